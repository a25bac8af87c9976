"""Words pulled apart by separators between their characters, and long numbers in numerals.

What a Chinese text does by itself is left alone: its punctuation, and spaces between words.
"""

from __future__ import annotations

import re
from collections import Counter

from guard.views.model import View

# 丨, 丶, 丿 and 亅 are characters by name, and strokes to the eye: they count as marks.
_HAN = "[\u3400-\u4dbf\u4e00-\u4e27\u4e29-\u4e35\u4e37-\u4e3e\u4e40-\u4e84\u4e86-\u9fff]"
_STOPS = "，。！？；：、…“”‘’（）《》「」『』,!?;:()\"'~～"
_MARK, _ODD = r"[\W_丨丶丿亅]", rf"(?:[^\w{_STOPS}]|[_丨丶丿亅])"
# Pieces behind odd marks, or single characters behind any; at most six marks in a row.
_CHAIN = re.compile(
    rf"(?:{_ODD}{{1,6}}{_HAN}{{1,2}}(?!{_HAN})){{2,}}|(?:{_MARK}{{1,6}}{_HAN}(?!{_HAN})){{3,}}"
)
_NEAR = 24  # characters between two chains that are one
_TWO_PIECES = re.compile(rf"{_MARK}{_HAN}{{1,2}}{_MARK}{{1,6}}{_HAN}{{1,2}}(?!{_HAN})")
_LATIN, _LONG = re.compile("[A-Za-z0-9]"), re.compile("[0-9]{2}|[A-Za-z]")
_ONE_MARK, _ONE_HAN = re.compile(_MARK), re.compile(_HAN)
_PIECES, _DOUBLE = re.compile(f"{_HAN}+"), re.compile(_HAN * 2)
_NUMERALS = str.maketrans("零〇一二三四五六七八九壹贰叁肆伍陆柒捌玖幺", "001234567891234567891")
_DIGIT = "[0-9零〇一二三四五六七八九壹贰叁肆伍陆柒捌玖幺]"
_NUMBER = re.compile(rf"{_DIGIT}(?:[ .\-]?{_DIGIT}){{10,}}")


def without_separators(view: View) -> View:
    """The text without what stands between the characters of words that were pulled apart.

    That is: three single characters with odd marks between each two, four pieces of one or two
    characters with odd marks between, or four single characters with any punctuation between.
    What parts these is dropped between any two characters of the text; odd marks everywhere, but
    for those between Latin words or longer numbers.
    """
    text = view.text
    if not _TWO_PIECES.search(text):
        return view
    marks, chains = _parting(text)
    if not marks:
        return view
    inside = bytearray(len(text))
    done = -_NEAR
    for start, end in chains:
        first = done if start - done < _NEAR else start
        inside[first:end] = b"\1" * (end - first)
        done = end
    runs = re.compile(f"[{''.join(re.escape(mark) for mark in sorted(marks))}]+")
    between = re.compile(f"(?<={_HAN}){runs.pattern}(?={_HAN})")
    gone = [found.span() for found in runs.finditer(text) if _dropped(text, found, inside, between)]
    return view.without("separators", gone)


def _dropped(text: str, run: re.Match[str], inside: bytearray, between: re.Pattern[str]) -> bool:
    start, end = run.span()
    if between.match(text, start):
        return True
    odd = bool(inside[start]) or not any(mark in _STOPS for mark in run[0])
    return odd and not _parts_words(text, start, end)


def _parts_words(text: str, start: int, end: int) -> bool:
    """Whether marks stand between two Latin words or two numbers."""
    before, after = text[max(start - 2, 0) : start], text[end : end + 2]
    if not (_LATIN.match(before[-1:]) and _LATIN.match(after[:1])):
        return False
    return bool(_LONG.match(before) or _LONG.match(after)) or not (before[-1] + after[0]).isdigit()


def _parting(text: str) -> tuple[frozenset[str], list[tuple[int, int]]]:
    """What stands between characters where words are pulled apart, and where they are."""
    marks: set[str] = set()
    chains: list[tuple[int, int]] = []
    for match in _CHAIN.finditer(text):
        start, end = match.span()
        led = bool(start) and bool(_ONE_HAN.match(text, start - 1))
        pieces = len(_PIECES.findall(text, start, end)) + led
        if pieces >= 3 + bool(_DOUBLE.search(text, start, end)):
            marks |= _chosen(Counter(_ONE_MARK.findall(text, start, end)))
            chains.append((start, end))
    return frozenset(marks), chains


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
