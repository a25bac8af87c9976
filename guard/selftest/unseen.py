"""Measure the scanner on texts that no head saw: `python -m guard.selftest.unseen DATA_DIR`.

Both kinds of heads are fitted anew without 30 % of ChineseHarm and of our own ordinary texts, and
half of JADE's prompts; COLD's test set and XSTest are never trained on. The selftest then runs on
what was left out, and its figures go into the card. Needs the extra `train` and `pypinyin`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from guard.evidence import Scanner
from guard.homophones.shipped import CARD, FILE, folder
from guard.homophones.training import card, train
from guard.selftest.disguises import Row
from guard.selftest.measure import SAFE, Alarms, SelftestReport, render_selftest, selftest
from guard.selftest.rows import with_pinyin
from judge.embedded.fold import fold
from judge.embedded.published import Text, answers, check_files, cold_test, texts
from judge.embedded.train_evidence import train_evidence
from judge.errors import FlamesJudgeError, InputError
from judge.stats.estimate import Estimate

SHARES: Mapping[str, float] = {
    "chineseharm": 0.3,
    "jade": 0.5,
    "ordinary 1": 0.3,
    "ordinary 2": 0.3,
}
_ABUSE = 600  # texts of COLD's test set, by chance


def split(data: Sequence[Text], rng: Random) -> tuple[list[Text], list[Text]]:
    """Texts to fit on and texts to test on; the same text twice is on one side."""
    groups = {(text.source, fold(text.text).text) for text in data if text.source in SHARES}
    held: set[tuple[str, str]] = set()
    for source, share in SHARES.items():
        own = sorted(group for group in groups if group[0] == source)
        held.update(rng.sample(own, round(share * len(own))))
    sides: tuple[list[Text], list[Text]] = ([], [])
    for text in data:
        sides[(text.source, fold(text.text).text) in held].append(text)
    return sides


def unseen(folder: Path, held: Sequence[Text], rng: Random) -> tuple[list[Row], list[Row]]:
    """Rows of ChineseHarm's kinds, and rows of COLD's abuse; with each, all benign rows."""
    cold = cold_test(folder)
    benign = [Row(text=t, kind=SAFE, source="cold test") for t in cold["safe"]]
    benign += [Row(text=t, kind=SAFE, source="cold test, anti-bias") for t in cold["anti_bias"]]
    english = (answer.text for answer in answers(folder) if answer.source != "jade")
    benign += [Row(text=t, kind=SAFE, source="xstest") for t in english]
    benign += [Row(text=t.text, kind=SAFE, source=t.source) for t in held if t.kind == SAFE]
    harmful = [text for text in held if text.kind not in {SAFE, "unsafe"}]
    kinds = [with_pinyin(text.text, text.kind, text.source) for text in harmful]
    abuse = [with_pinyin(t, "abuse", "cold test") for t in rng.sample(cold["abuse"], _ABUSE)]
    return [*kinds, *benign], [*abuse, *benign]


def figures(name: str, report: SelftestReport) -> dict[str, Any]:
    """A report as the card keeps it: shares to four digits, with their intervals."""
    return {
        "rows": name,
        "n": report.plain.n,
        "recall": {"plain": _short(report.plain)}
        | {one.name: _short(one.recall) for one in report.behind},
        "plain_view_alone": {one.name: _short(one.without) for one in report.behind},
        "lost": {one.name: _short(one.lost) for one in report.behind},
        "by_kind": report.by_kind,
    }


def _alarms(named: Iterable[tuple[str, Alarms]]) -> dict[str, Any]:
    return {
        name: {"n": one.alarms.n, "alarms": _short(one.alarms), "added": _short(one.added)}
        for name, one in named
    }


def _short(figure: Estimate) -> list[float]:
    return [round(value, 4) for value in (figure.value, figure.low, figure.high)]


def _weights(out: Path) -> bytes:
    """What the card is about; looked for first, since measuring takes minutes."""
    try:
        return (out / FILE).read_bytes()
    except OSError as error:
        mend = "make the weights first with python -m guard.homophones.training"
        raise InputError(f"can't be read: {error.strerror}", file=out / FILE, mend=mend) from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit, test, print, and write the figures into the card."""
    parser = argparse.ArgumentParser("python -m guard.selftest.unseen", description=__doc__)
    parser.add_argument("data", type=Path, help="folder with the published files")
    parser.add_argument("--out", type=Path, default=Path(str(folder())))
    options = parser.parse_args(arguments)
    try:
        check_files(options.data)
        content = _weights(options.out)
    except FlamesJudgeError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    rng = Random(1)  # noqa: S311 - a split and disguises, no secret
    fitted, held = split(texts(options.data), rng)
    scanner = Scanner(train_evidence(fitted), train(fitted))
    kinds, abuse = (selftest(scanner, rows, rng) for rows in unseen(options.data, held, rng))
    for report in (kinds, abuse):
        print(render_selftest(report))  # noqa: T201
    found = {
        "disguises": [figures("chineseharm, held out", kinds), figures("cold test", abuse)],
        "false_alarms": _alarms([*kinds.by_source.items(), ("all", kinds.benign)]),
    }
    written = json.dumps(card(content, found), ensure_ascii=False, indent=1)
    (options.out / CARD).write_text(written + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
