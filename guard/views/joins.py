"""Words pulled apart: separators between characters, one character written as its two parts.

What a Chinese text does by itself is left alone: its punctuation, spaces between words, and parts
that stand side by side as words of their own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

from guard.views.model import View

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# 丨, 丶, 丿 and 亅 are characters by name, and strokes to the eye: they count as marks.
_HAN = "[\u3400-\u4dbf\u4e00-\u4e27\u4e29-\u4e35\u4e37-\u4e3e\u4e40-\u4e84\u4e86-\u9fff]"
_STOPS = "，。！？；：、…“”‘’（）《》「」『』,!?;:()\"'~～"
_MARK, _ODD = r"[\W_丨丶丿亅]", rf"(?:[^\w{_STOPS}]|[_丨丶丿亅])"
# Pieces behind odd marks, or single characters behind any; at most four marks in a row.
_CHAIN = re.compile(
    rf"(?:{_ODD}{{1,4}}{_HAN}{{1,2}}(?!{_HAN})){{2,}}|(?:{_MARK}{{1,4}}{_HAN}(?!{_HAN})){{3,}}"
)
_TWO_PIECES = re.compile(rf"{_MARK}{_HAN}{{1,2}}{_MARK}{{1,4}}{_HAN}{{1,2}}(?!{_HAN})")
_ONE_MARK, _ONE_HAN = re.compile(_MARK), re.compile(_HAN)
_PIECES, _DOUBLE = re.compile(f"{_HAN}+"), re.compile(_HAN * 2)
_NUMERALS = str.maketrans("零〇一二三四五六七八九壹贰叁肆伍陆柒捌玖幺", "001234567891234567891")
_DIGIT = "[0-9零〇一二三四五六七八九壹贰叁肆伍陆柒捌玖幺]"
_NUMBER = re.compile(rf"{_DIGIT}(?:[ .\-]?{_DIGIT}){{10,}}")
_BITS = 18
_WORDS = "?"
_MANY, _SHARE = 3, 0.03  # split characters, from which on the text is taken to be full of them


class _Parts(NamedTuple):
    """`whole` maps two parts to their character, `words` those that may be words too.

    `maybe` is false for other pairs' hashes.
    """

    whole: Mapping[str, str]
    words: Mapping[str, str]
    maybe: NDArray[np.bool_]


def load() -> None:
    """Make the table now and not at the first text."""
    _parts()


def without_separators(view: View) -> View:
    """The text without what stands between the characters of words that were pulled apart.

    That is: three single characters with odd marks between each two, four pieces of one or two
    characters with odd marks between, or four single characters with any punctuation between.
    What parts these is dropped between any two characters of the text.
    """
    text = view.text
    parting = _parting(text) if _TWO_PIECES.search(text) else None
    if not parting:
        return view
    dropped = {at for one in parting.finditer(text) for at in range(*one.span())}
    kept = [i for i in range(len(text)) if i not in dropped]
    spans = [(i, i + 1) for i in kept]
    return view.shorter("separators", "".join([text[i] for i in kept]), spans)


def _parting(text: str) -> re.Pattern[str] | None:
    """What stands between two characters where words are pulled apart; null where nothing does."""
    marks: set[str] = set()
    for match in _CHAIN.finditer(text):
        start, end = match.span()
        led = bool(start) and bool(_ONE_HAN.match(text, start - 1))
        pieces = len(_PIECES.findall(text, start, end)) + led
        if pieces >= 3 + bool(_DOUBLE.search(text, start, end)):
            marks |= _chosen(Counter(_ONE_MARK.findall(text, start, end)))
    if not marks:
        return None
    chosen = "".join(re.escape(mark) for mark in sorted(marks))
    return re.compile(f"(?<={_HAN})[{chosen}]+(?={_HAN})")


def _chosen(marks: Counter[str]) -> set[str]:
    """Of a chain's marks the commonest and its equals; of mixed ones those that are odd."""
    _, most = marks.most_common(1)[0]
    if 2 * most >= marks.total():
        return {mark for mark, count in marks.items() if 2 * count > most}
    odd = {mark for mark in marks if mark not in _STOPS}
    return odd or set(marks)


def with_digits(view: View) -> View:
    """Long numbers written in Chinese numerals, as digits."""
    text = _NUMBER.sub(lambda found: found[0].translate(_NUMERALS), view.text)
    return view if text == view.text else view.same_length("numerals", text)


def with_whole_glyphs(view: View) -> View:
    """One character for each pair of parts: 女马 is 妈. Twice, for what has three parts.

    Where a text is full of such pairs, those count too that may be words.
    """
    whole, words, _ = _parts()
    once = _joined(view, whole)
    if once is view:
        return view
    joined = len(view.text) - len(once.text)
    if joined >= max(_MANY, _SHARE * len(view.text)):
        once = _joined(once, words)
    return _joined(once, whole)


def _joined(view: View, whole: Mapping[str, str]) -> View:
    text = view.text
    pieces: list[str] = []
    spans: list[tuple[int, int]] = []
    done = 0
    for at in _candidates(view):
        made = whole.get(text[at : at + 2])
        if made is None or at < done:
            continue
        pieces += [text[done:at], made]
        spans += [*_each(done, at), (at, at + 2)]
        done = at + 2
    if not done:
        return view
    spans += _each(done, len(text))
    return view.shorter("split", "".join([*pieces, text[done:]]), spans)


def _each(start: int, end: int) -> Iterator[tuple[int, int]]:
    return zip(range(start, end), range(start + 1, end + 1), strict=True)


def _candidates(view: View) -> list[int]:
    """Where two characters may be the parts of one, in order."""
    import numpy as np

    found: list[int] = _parts().maybe[view.pairs >> np.uint32(32 - _BITS)].nonzero()[0].tolist()
    return found


@cache
def _parts() -> _Parts:
    """The shipped table: a line is a character, its two parts and a mark if these may be words."""
    import numpy as np

    file = resources.files("guard.views") / "data" / "parts.txt"
    lines = file.read_text(encoding="utf-8").split()
    whole = {line[1:]: line[0] for line in lines if not line.endswith(_WORDS)}
    words = {line[1:3]: line[0] for line in lines if line.endswith(_WORDS)}
    maybe = np.zeros(1 << _BITS, dtype=bool)
    pairs = View("", "".join([*whole, *words])).pairs[::2]
    maybe[pairs >> np.uint32(32 - _BITS)] = True
    return _Parts(whole, words, maybe)
