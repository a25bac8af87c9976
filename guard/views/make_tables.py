"""Make the shipped tables: `python -m guard.views.make_tables DATA_DIR cjk-decomp.txt`.

Needs the package `pypinyin`. `parts.txt`: common characters that consist of two characters, with
a mark at pairs that ordinary texts write side by side. `syllables.txt`: the sound of each character
without its tone, a line a sound, spelled in Latin letters.
"""

from __future__ import annotations

import argparse
import itertools
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from judge.embedded.fold import fold
from judge.embedded.published import check_files, texts
from judge.errors import FlamesJudgeError

_RECORD = re.compile(r"(.):[a-z0-9/]+\((.),(.)\)")
_TWICE = re.compile(r"(.):r[ad][a-z0-9/]*\((.)\)")
# How people type a part that can't be typed by itself, or is another one's form.
_ALONE = "亻氵讠钅忄扌纟犭礻衤饣刂冫艹灬⺼月⺮王覀朩𤴓⻊牜龵⺌夂辶⺈龶糸"
_ALONE_TYPED = "人水言金心手丝犬示衣食刀冰草火肉肉竹玉西木疋足牛手小夕走刀丰丝"
_TYPED = {
    **dict(
        zip(_ALONE, "人水言金心手丝犬示衣食刀冰草火肉肉竹玉西木疋足牛手小夕走刀丰丝", strict=True)
    ),
    "阝": "耳邑阜",
    "⺙": "攵文攴",
}
_MOST_SEEN = 1  # times that benign texts may write a pair of parts side by side
_MOST_CHANCE = 0.05  # of a character's frequency: how often its parts may meet by chance


def parts(
    records: Iterable[str], frequency: Mapping[str, int], seen: Mapping[str, int]
) -> list[str]:
    """Lines of a character and its two parts, each pair once.

    A pair is marked with "?" where ordinary texts write it, or where its parts are so common and
    the character so rare that they will meet by chance. Of two characters with the same parts the
    commoner one is taken.

    Args:
        records: the lines of cjk-decomp.
        frequency: of each character in all texts.
        seen: how often benign texts write two characters side by side.
    """
    common = frozenset(_gb2312())
    whole: dict[str, set[str]] = defaultdict(set)
    for record in records:
        found = _RECORD.fullmatch(record) or _TWICE.fullmatch(record)
        if found and found[1] in common:
            for two in itertools.product(_spellings(found[2]), _spellings(found[found.re.groups])):
                whole["".join(two)].add(found[1])
    total = sum(frequency.values())
    lines = []
    for pair, chars in whole.items():
        char = max(chars, key=lambda one: (frequency.get(one, 0), one))
        chance = frequency.get(pair[0], 0) * frequency.get(pair[1], 0) / total
        word = seen.get(pair, 0) > _MOST_SEEN or chance > _MOST_CHANCE * frequency.get(char, 0)
        if pair.isalpha():
            lines.append(char + pair + ("?" if word else ""))
    return sorted(lines)


def _spellings(part: str) -> set[str]:
    return {part, *_TYPED.get(part, "")}


def syllables(frequency: Mapping[str, int]) -> list[str]:
    """Lines of a sound and its characters, the most frequent first."""
    from pypinyin import Style, lazy_pinyin
    from pypinyin.constants import PINYIN_DICT

    sounds: dict[str, list[str]] = defaultdict(list)
    for code in sorted(PINYIN_DICT):
        if 0x3400 <= code <= 0x9FFF:
            spelled = lazy_pinyin(chr(code), style=Style.NORMAL, v_to_u=False)[0]
            sounds[spelled].append(chr(code))
    sounds = {s: chars for s, chars in sounds.items() if s.isascii() and s.isalpha()}
    for chars in sounds.values():
        chars.sort(key=lambda char: (-frequency.get(char, 0), char))
    return [f"{sound}\t{''.join(sounds[sound])}" for sound in sorted(sounds)]


def _gb2312() -> Iterator[str]:
    """The 6,763 characters of the national standard for simplified Chinese."""
    for row, cell in itertools.product(range(0xB0, 0xF8), range(0xA1, 0xFF)):
        try:
            yield bytes([row, cell]).decode("gb2312")
        except UnicodeDecodeError:
            continue


def make(data: Path, decomposition: Path) -> dict[str, str]:
    """The tables by the names of their files.

    Raises:
        InputError: a published file is missing or isn't the one expected.
    """
    check_files(data)
    read = [(fold(text.text).text, text.kind == "safe") for text in texts(data)]
    seen = Counter(a + b for text, benign in read if benign for a, b in itertools.pairwise(text))
    frequency = Counter(char for text, _ in read for char in text)
    records = decomposition.read_text(encoding="utf-8").splitlines()
    return {
        "parts.txt": "\n".join(parts(records, frequency, seen)),
        "syllables.txt": "\n".join(syllables(frequency)),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the tables beside this module."""
    parser = argparse.ArgumentParser("python -m guard.views.make_tables", description=__doc__)
    parser.add_argument("data", type=Path, help="folder with the published files")
    parser.add_argument("decomposition", type=Path, help="cjk-decomp.txt")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "data")
    options = parser.parse_args(arguments)
    try:
        made = make(options.data, options.decomposition)
    except FlamesJudgeError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    for name, content in made.items():
        (options.out / name).write_text(content + "\n", encoding="utf-8")
        print(f"{name}: {content.count(chr(10)) + 1} lines")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
