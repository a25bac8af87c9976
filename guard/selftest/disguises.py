"""Disguises that people put on Chinese texts, for testing whether the guard sees through them.

What undoes them (`guard.views`) has tables of its own. Independent of those are the parts that
characters are split into (another dictionary; a dozen common characters, 来 and 真 among them, were
added to the guard's after a look at it), the readings (given with each row, read in context,
where the guard knows one reading a character), the separators and the look-alike letters. Shared
are OpenCC's two directions, and which characters have a sound: homophones are drawn from the
guard's own list of sounds. What folding undoes (width, hidden characters) is defined by Unicode.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import resources
from random import Random
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from opencc import OpenCC

Disguise = Callable[["Row", Random], str]

_HAN = re.compile("[\u4e00-\u9fff]")
_PAIRS = re.compile("(?<=[\u4e00-\u9fff])(?=[\u4e00-\u9fff])")
_ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u180e"
_SEPARATORS = (" ", "  ", "\u3000", "\n", *"*.-_|/+~^#·•☆★♥、，。…🔥💰丨￥→＊")
_ALIKE = {
    **dict(zip("aceopxyijs", "асеорхуіјѕ", strict=True)),
    **dict(zip("ABCEHKMOPTXY", "АВСЕНКМОРТХУ", strict=True)),
    **dict(zip("vwnu", "νԝոս", strict=True)),
}
_COMMON = 12  # of the characters of a sound, the most frequent are taken
_HALF = 0.5


class Row(BaseModel):
    """One text of the selftest.

    Args:
        text: the text.
        kind: the evidence that it holds, or `safe`.
        source: the data set that it is from.
        pinyin: a syllable for each Chinese character of the text, in order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    kind: str
    source: str
    pinyin: tuple[str, ...] = ()


def _between(marks: Sequence[str]) -> Disguise:
    return lambda row, rng: _PAIRS.sub(lambda _: rng.choice(marks), row.text)


def _separated(row: Row, rng: Random) -> str:
    mark = rng.choice(_SEPARATORS)
    return _PAIRS.sub(lambda _: mark, row.text)


def _full_width(row: Row, _: Random) -> str:
    return row.text.translate({code: code + 0xFEE0 for code in range(0x21, 0x7F)})


def _traditional(row: Row, _: Random) -> str:
    made: str = _converter().convert(row.text.encode("utf-8", "replace").decode())
    return made


@cache
def _converter() -> OpenCC:
    from opencc import OpenCC

    return OpenCC("s2t")


def _homoglyphs(row: Row, _: Random) -> str:
    return "".join([_ALIKE.get(char, char) for char in row.text])


def _sounds(share: float) -> Disguise:
    return lambda row, rng: _respelled(row, rng, share, _homophone)


def _latin(share: float) -> Disguise:
    return lambda row, rng: _respelled(row, rng, share, lambda _, sound, __: f"{sound} ")


def _respelled(row: Row, rng: Random, share: float, by: Callable[[str, str, Random], str]) -> str:
    """Runs of one to four Chinese characters respelled, until about a share of them is."""
    sounds = iter(row.pinyin)
    made: list[str] = []
    left, change = 0, False
    for char in row.text:
        if not _HAN.match(char):
            made.append(char)
            continue
        if not left:
            left, change = rng.randint(1, 4), rng.random() < share
        left -= 1
        sound = next(sounds)
        made.append(by(char, sound, rng) if change else char)
    return "".join(made)


def _homophone(char: str, sound: str, rng: Random) -> str:
    others = [other for other in _of_sound().get(sound, "")[:_COMMON] if other != char]
    return rng.choice(others) if others else char


def _split(share: float) -> Disguise:
    def disguised(row: Row, rng: Random) -> str:
        parts = _parts()
        return "".join([parts.get(c, c) if rng.random() < share else c for c in row.text])

    return disguised


def _reordered(row: Row, _: Random) -> str:
    return "\n".join([f"\u202e{line[::-1]}\u202c" for line in row.text.splitlines()])


def _in_selectors(row: Row, _: Random) -> str:
    data = row.text.encode("utf-8", "replace")
    return "😀" + "".join([chr(0xFE00 + b if b < 16 else 0xE0100 + b - 16) for b in data])


def _base64(row: Row, _: Random) -> str:
    return "解码：" + base64.b64encode(row.text.encode("utf-8", "replace")).decode()


def _mixed(row: Row, rng: Random) -> str:
    """One way to write the characters, then perhaps a separator, then hidden characters."""
    written = rng.choice([_traditional, _sounds(_HALF), _split(_HALF), _homoglyphs])(row, rng)
    parted = rng.choice([_separated, _full_width])(_with(row, written), rng)
    return _between(_ZERO_WIDTH if rng.random() < _HALF else _SELECTORS)(_with(row, parted), rng)


def _with(row: Row, text: str) -> Row:
    return row.model_copy(update={"text": text})


_TAGS = [chr(code) for code in range(0xE0020, 0xE007F)]


def _within(row: Row, rng: Random) -> str:
    """In the middle of a longer text, as a sentence, as a line or between commas."""
    before, after = rng.sample(_STORY, 2)
    first, last = rng.choice((("。", "。"), ("\n", "\n"), ("，", "，")))
    return before + first + row.text + last + after


_STORY = (
    "周末我们常去河边散步，孩子们在草地上放风筝，老人坐在树下下棋，聊聊今年的收成和天气，到傍晚才慢慢走回家",
    "这道菜的做法并不复杂，先把土豆切成丝，用清水泡一会儿，再下锅快炒，出锅前加一点醋，味道就会很清爽",
    "图书馆新到了一批历史类的书，有讲丝绸之路的，也有讲古代建筑的，借阅期是三十天，到期前可以在网上续借一次",
    "学习一门语言最要紧的是坚持，每天读一点，听一点，写一点，过上半年再回头看，就会发现自己已经走了很远",
)
_SELECTORS = [chr(code) for code in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE0110))]

DISGUISES: Mapping[str, Disguise] = {
    "in a longer text": _within,
    "zero-width": _between(_ZERO_WIDTH),
    "full-width": _full_width,
    "traditional": _traditional,
    "homoglyphs": _homoglyphs,
    "separators": _separated,
    "split glyphs, half": _split(_HALF),
    "split glyphs, all": _split(1),
    "homophones, half": _sounds(_HALF),
    "homophones, all": _sounds(1),
    "pinyin, half": _latin(_HALF),
    "pinyin, all": _latin(1),
    "bidi override": _reordered,
    "tag characters": _between(_TAGS),
    "variation selectors": _between(_SELECTORS),
    "hidden in selectors": _in_selectors,
    "base64": _base64,
    "mixed": _mixed,
}


@cache
def _parts() -> Mapping[str, str]:
    """A character and its two parts, as people type them."""
    lines = _lines("guard.selftest", "data", "parts.txt")
    return {line[0]: line[1:] for line in lines}


@cache
def _of_sound() -> Mapping[str, str]:
    lines = _lines("guard.views", "data", "syllables.txt")
    return dict(line.split("\t") for line in lines)


def _lines(package: str, folder: str, name: str) -> list[str]:
    file = resources.files(package) / folder / name
    return file.read_text(encoding="utf-8").splitlines()
