"""What else is put between the characters of a text: a letter or a string each time, a count.

Marks between characters are for `guard.views.joins`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from guard.views import pairs
from guard.views.model import View
from guard.views.numbers import DIGITS
from guard.views.signs import ALTERNATES, COUNTED, LINES, STRING
from judge.embedded import pii

_HAN = "[\u3400-\u4dbf\u4e00-\u9fff]"
_CHINESE = re.compile(_HAN)
_STROKES = "丨丶丿亅"  # marks to the eye
_COUNTED = re.compile(rf"[0-9][0-9]?(?:{_HAN}[0-9]{{1,2}}){{4,}}")
_COUNTER = re.compile("[0-9]+")
_STRING = re.compile(
    rf"([\"-+\-/<-@\[-`{{-~][^\u3400-\u4dbf\u4e00-\u9fff\n]{{1,11}}?){_HAN}(?:\1{_HAN}){{3}}"
)
_UNITS = re.compile("[年月日时分秒号点章节]")
_LISTED = re.compile(rf"\n[0-9]{{1,3}}[.、,:)]{{0,2}} ?{_HAN}{{1,2}}\n")
_ITEM = re.compile(r"(?:^|\n)[0-9]{1,3}[.、,:)]{0,2} ?(?=\S{1,2}(?:\n|\Z))")
_PICTURES = re.compile("[\u2600-\u27bf\u2b50\u2b55\U0001f300-\U0001faff]+")
_IN_WORDS = re.compile(rf"(?<=\w){_PICTURES.pattern}(?=\w)")
_MOST = 4  # different strings
_LETTER = "[A-Za-z\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3]"
# It begins with a letter, so that Chinese texts are passed over quickly.
_OTHER = r"[^\sA-Za-z\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3]"
_LETTERED = re.compile(rf"{_LETTER}(?<={_OTHER}{_LETTER})(?:{_OTHER}{_LETTER}){{4,}}(?!{_LETTER})")
_STRAY = re.compile(_LETTER)
# Eight characters, each by itself, with anything but digits, kana and hangul between.
_WORDS = "\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3"
_BETWEEN, _NOT_DIGITS = re.compile(f"[^{_WORDS}]+"), re.compile(f"[^0-9{_WORDS}]+")
_ALONE = rf"{_HAN}(?!{_HAN})(?<!{_HAN}{{2}})"
_SOME_ALONE = re.compile(rf"[^{_WORDS}](?:{_HAN}[^{_WORDS}]{{1,24}}){{3}}")  # quick to rule out
_NOISY = re.compile(rf"(?:{_ALONE}[0-9]{{0,4}}[^0-9{_WORDS}][^{_WORDS}]{{0,23}}){{7,}}{_ALONE}")
_VARIOUS = 4  # different strings; fewer are undone by themselves
_LEAST_CHINESE = 4
_NEAR = 12  # characters from one emoji inside words to the next
_FEWEST = 4  # items of a list that spells a text


def without_fillers(view: View) -> View:
    """The text without what stands between each two characters, or without their numbers.

    That is: the same letter at every second place, five times or more; a string that starts with
    a mark, before four characters in a row; a number before each of five characters, unless both
    together are somebody's number; the numbers of a list of characters.
    """
    text, there = view.text, view.signs
    gone = list(_letters(text)) if there & ALTERNATES else []
    gone += _strings(text) if there & STRING else ()
    gone += _counters(text) if there & COUNTED else ()
    gone += _numbers(text) if there & LINES else ()
    return view.without("fillers", _apart(sorted(gone))) if gone else view


def _letters(text: str) -> Iterator[tuple[int, int]]:
    """A letter behind every second character, five times or more, and where else it does that."""
    chosen = {text[at] for at in pairs.alternating(text) if _fills(text[at : at + 9])}
    for at, char in enumerate(text) if chosen else ():
        before = text[at - 2] if at > 1 else ""
        if char in chosen and char in (before, text[at + 2 : at + 3]):
            yield at, at + 1


def without_pictures(view: View) -> View:
    """The text without emoji, where two inside its words stand near each other, in any part."""
    text = view.text
    if text.isascii() or not _PICTURES.search(text):
        return view
    inside = [found.start() for found in _IN_WORDS.finditer(text)]
    if all(after - before > _NEAR for before, after in pairwise(inside)):
        return view
    return view.without("pictures", (found.span() for found in _PICTURES.finditer(text)))


def without_strays(view: View) -> View:
    """The text without a letter, any, behind each of its characters: five or more."""
    text = view.text
    rows = [] if text.isascii() else [row.span() for row in _LETTERED.finditer(text)]
    rows = [row for row in rows if len(_CHINESE.findall(text, *row)) >= _LEAST_CHINESE]
    gone = [one.span() for row in rows for one in _STRAY.finditer(text, *row)]
    return view.without("fillers", gone) if gone else view


def without_noise(view: View) -> View:
    """The text without what stands between eight or more characters, something else each time."""
    text = view.text
    if text.isascii() or not _SOME_ALONE.search(text):
        return view
    rows = [row.span() for row in _NOISY.finditer(text)]
    gone = [span for row in rows for span in _noise(text, *row)]
    return view.without("fillers", gone) if gone else view


def _noise(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """What stands between the characters of a row, with its digits where all of it has some.

    Emoji are left to `without_pictures`, which keeps the punctuation.
    """
    between = [found[0] for found in _BETWEEN.finditer(text, start, end)]
    pictures = sum(map(bool, map(_PICTURES.search, between)))
    if len({*between}) >= _VARIOUS and 2 * pictures < len(between):
        counted = all(map(_COUNTER.search, between))
        pattern = _BETWEEN if counted else _NOT_DIGITS
        yield from (found.span() for found in pattern.finditer(text, start, end))


def _fills(text: str) -> bool:
    """Whether the letter at the even places of nine characters stands between Chinese ones."""
    letter, others = text[0], text[1::2]
    return (
        letter.isalpha()
        and letter not in _STROKES
        and letter not in others
        and len(set(others)) > 2
        and len(_CHINESE.findall(others)) > 2
    )


def _strings(text: str) -> Iterator[tuple[int, int]]:
    """The strings between characters; where each is an end and a beginning, these alone as well.

    So `**` before the first character and behind the last, with `****` between.
    """
    between = {found[1] for found in _STRING.finditer(text)}
    strings: set[str] = set()
    for string in sorted(between, key=len, reverse=True)[:_MOST]:
        opening = _opening(text, string)
        strings |= {string, opening, string.removesuffix(opening)} if opening else {string}
    if strings:
        any_of = re.compile("|".join(map(re.escape, sorted(strings, key=len, reverse=True))))
        yield from (found.span() for found in any_of.finditer(text))


def _opening(text: str, string: str) -> str:
    """What of a string between characters stands before the first of them."""
    first = max(text.find(string) - 1, 0)
    ends = (string[at:] for at in range(1, len(string)))
    return next((end for end in ends if text.endswith(end, 0, first)), "")


def _counters(text: str) -> Iterator[tuple[int, int]]:
    rows = [row for row in _COUNTED.finditer(text) if not _UNITS.search(row[0])]
    rows = [row for row in rows if not pii.is_mobile("".join(_COUNTER.findall(row[0])))]
    found = pii.find(text.translate(DIGITS)) if rows else ()
    personal = {at for one in found for at in range(one.start, one.end)}
    for row in rows:
        if personal.isdisjoint(range(*row.span())):
            yield from (one.span() for one in _COUNTER.finditer(text, *row.span()))


def _numbers(text: str) -> Iterator[tuple[int, int]]:
    if not _LISTED.search(text):
        return
    items = [found.span() for found in _ITEM.finditer(text)]
    if len(items) >= _FEWEST:
        yield from items


def _apart(spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Sorted spans without those that overlap one before them."""
    done = 0
    for start, end in spans:
        if start >= done:
            yield start, end
            done = end
