"""Make the shipped tables: `python -m guard.views.make_tables DATA_DIR cjk-decomp.txt`.

Needs the package `pypinyin`. `parts.txt`: common characters that consist of two characters, with
a mark at pairs that ordinary texts write side by side, and a gain. `syllables.txt`: the sound of
each character without its tone, a line a sound, spelled in Latin letters. `bopomofo.txt`: the
sounds in bopomofo.
"""

from __future__ import annotations

import argparse
import itertools
import math
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from judge.embedded.fold import fold
from judge.embedded.published import check_files, texts
from judge.errors import FlamesJudgeError

_RECORD = re.compile(r"(.):[a-z0-9/]+\(([^,]+),([^,]+)\)")
_TWICE = re.compile(r"(.):r[ad][a-z0-9/]*\(([^,]+)\)")
# How people type a part that can't be typed by itself, or is another one's form.
_ALONE = "亻氵讠钅忄扌纟犭礻衤饣刂冫艹灬⺼月⺮王覀朩𤴓⻊牜龵⺌夂辶⺈龶糸"
_ALONE_TYPED = "人水言金心手丝犬示衣食刀冰草火肉肉竹玉西木疋足牛手小夕走刀丰丝"
_TYPED = {
    **dict(zip(_ALONE, _ALONE_TYPED, strict=True)),
    "阝": "耳邑阜",
    "⺙": "攵文攴",
    **dict(zip("疒耂虍爫⺧⺁⺊㇠", "病老虎爪牛厂卜乙", strict=True)),
    "罒": "网四",
    "37030": "圣",  # of 轻
    "38068": "月",  # of 那
}
_SAME = {"37737": "龸"}  # of 尚, and of 常
# Everyday characters whose strokes cross, as they look.
_BY_EYE = tuple(
    f"{one[0]}:w({one[1]},{one[2]})"
    for one in ("来一米", "真直八", "生牛一", "西一四", "果日木", "未一木", "里甲二", "原厂泉")
)
_BOPOMOFO = frozenset(map(chr, range(0x3105, 0x312A)))
_BOPOMOFO_TONES = "ˉˊˇˋ˙"
_MOST_SEEN = 1  # times that benign texts may write a pair of parts side by side
_MOST_CHANCE = 0.05  # of a character's frequency: how often its parts may meet by chance


def parts(
    records: Iterable[str], frequency: Mapping[str, int], seen: Mapping[str, int]
) -> list[str]:
    """Lines of a character, its two parts, perhaps a mark, and a gain; each pair once.

    A pair is marked with "?" where ordinary texts write it, or where its parts are so common and
    the character so rare that they will meet by chance; a pair that is written more often than its
    character is left out. Of two characters with the same parts the commoner one is taken. The
    gain, 1 to 9, says how much likelier the character is than its two parts.

    Args:
        records: the lines of cjk-decomp.
        frequency: of each character in all texts.
        seen: how often benign texts write two characters side by side.
    """
    whole = _wholes(records)
    total, pairs = sum(frequency.values()), max(sum(seen.values()), 1)
    lines = []
    for pair, chars in whole.items():
        char = max(chars, key=lambda one: (frequency.get(one, 0), one))
        made = max(frequency.get(char, 0), 1) / total
        chance = math.prod(frequency.get(part, 0) / total for part in pair)
        written = seen.get(pair, 0) / pairs
        if pair.isalpha() and written <= made:
            word = seen.get(pair, 0) > _MOST_SEEN or chance > _MOST_CHANCE * made
            gain = min(max(round(math.log(made / max(chance, written, total**-2)) / 2), 1), 9)
            lines.append(char + pair + ("?" if word else "") + str(gain))
    return sorted(lines)


def _wholes(records: Iterable[str]) -> Mapping[str, set[str]]:
    """Two parts as people type them, and the common characters that they make."""
    common = frozenset(_gb2312())
    every: list[tuple[str, tuple[str, str]]] = []
    for record in records:
        if found := _RECORD.fullmatch(record) or _TWICE.fullmatch(record):
            first, second = found[2], found[found.re.groups]
            every.append((found[1], (_SAME.get(first, first), _SAME.get(second, second))))
    parted = dict(reversed(every))
    made = {two: char for char, two in sorted(parted.items()) if "\u4e00" <= char <= "\u9fff"}
    whole: dict[str, set[str]] = defaultdict(set)
    for char, two in every:
        if char in common:
            for first, second in {two, *_grouped_anew(char, parted, made)}:
                for typed in itertools.product(_spellings(first), _spellings(second)):
                    whole["".join(typed)].add(char)
    return whole


def _grouped_anew(
    char: str, parted: Mapping[str, tuple[str, str]], made: Mapping[tuple[str, str], str]
) -> Iterator[tuple[str, str]]:
    """Two parts that are there too where a part has parts: 牛 and 啡 are also 告 and 非."""
    first, second = parted[char]
    if second in parted:
        inner, last = parted[second]
        if (first, inner) in made:
            yield made[first, inner], last
    if first in parted:
        start, inner = parted[first]
        if (inner, second) in made:
            yield start, made[inner, second]


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


def bopomofo(sounds: Iterable[str]) -> list[str]:
    """Lines of a sound in bopomofo and in Latin letters.

    Args:
        sounds: the lines of `syllables`.
    """
    from pypinyin import Style, pinyin

    written: dict[str, str] = {}
    for line in sounds:
        sound, chars = line.split("\t")
        spelled = pinyin(chars[0], style=Style.BOPOMOFO)[0][0].strip(_BOPOMOFO_TONES)
        if spelled and set(spelled) <= _BOPOMOFO:
            written.setdefault(spelled, sound)
    return [f"{spelled}\t{sound}" for spelled, sound in sorted(written.items())]


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
    records = [*decomposition.read_text(encoding="utf-8").splitlines(), *_BY_EYE]
    sounds = syllables(frequency)
    return {
        "parts.txt": "\n".join(parts(records, frequency, seen)),
        "syllables.txt": "\n".join(sounds),
        "bopomofo.txt": "\n".join(bopomofo(sounds)),
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
