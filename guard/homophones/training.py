"""Make the weights from the published data: `python -m guard.homophones.training DATA_DIR`.

Needs the extra `train`. The same data, versions and machine give the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from guard.homophones.shipped import CARD, FILE, Homophones, folder, pack
from guard.homophones.unusual import Usual
from guard.views import plain, spoken, undisguised
from judge.embedded.ordinary import NAME, about_recipe
from judge.embedded.published import FILES, Text, check_files, texts
from judge.embedded.train_evidence import train_evidence, with_cuts
from judge.embedded.training import archive, compare
from judge.errors import FlamesJudgeError

EASED = 0.5  # taken off the cuts: only unusual windows are asked


def train(data: Sequence[Text]) -> Homophones:
    """Heads on texts by their sounds.

    Their cuts are those that `judge.embedded` would choose, at most 1 % false alarms on each
    source's benign texts with all windows asked, less `EASED`.
    """
    usual = Usual.of(plain(text.text) for text in data)
    heard = [replace(text, text=by_sound(text.text)) for text in data]
    heads = train_evidence(heard)
    return Homophones(with_cuts(heads, heads.cuts - EASED), usual)


def by_sound(text: str) -> str:
    """A text, undisguised, by its sounds."""
    return spoken(undisguised(plain(text))).text


def card(content: bytes, figures: Any = None) -> dict[str, Any]:
    """What the file is, what it was made from, and how good it is."""
    used = {"cold_train.csv", "cold_test.csv", "chineseharm_bench.json", "jade_v3_zh.jsonl"}
    return {
        "format": 1,
        "weights_sha256": {FILE: hashlib.sha256(content).hexdigest()},
        "data": {
            name: {"source": file.source, "licence": file.licence, "sha256": file.sha256}
            for name, file in FILES.items()
            if name in used
        }
        | {NAME: about_recipe()},
        "figures": figures,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, write the files, and say how they compare with those that lie there."""
    parser = argparse.ArgumentParser("python -m guard.homophones.training", description=__doc__)
    parser.add_argument("data", type=Path, help="folder with the published files")
    parser.add_argument("--out", type=Path, default=Path(str(folder())))
    options = parser.parse_args(arguments)
    try:
        check_files(options.data)
        content = archive(pack(train(texts(options.data))))
    except FlamesJudgeError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    print(compare(FILE, content, options.out / FILE))  # noqa: T201
    (options.out / FILE).write_bytes(content)
    written = json.dumps(card(content), ensure_ascii=False, indent=1)
    (options.out / CARD).write_text(written + "\n", encoding="utf-8")
    print("next: python -m guard.selftest.unseen, which adds the figures to the card")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
