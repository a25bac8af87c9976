"""Texts that stand on a page otherwise than in a string: in columns, or with tags between."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator

from guard.views.model import View

_HAN = "[\u3400-\u4dbf\u4e00-\u9fff]"
_TAG = r"<(?:/?[A-Za-z][^<>]{0,100}|!--[^<>]{0,100}--)>"
_TAGS = re.compile(rf"(?:{_TAG} ?)+")
_TAGGED = re.compile(rf"{_HAN}{{1,2}}{_TAG}")
# What is set in line, and where such tags stand inside a number or an address.
_INLINE = (
    r"<(?:/?(?:a|b|code|em|font|i|mark|s|small|span|strong|u)(?: [^<>]{0,100})?|!--[^<>]{0,100}--)>"
)
_SET_IN_LINE = re.compile(_INLINE)
_INSIDE = re.compile(rf"[0-9@](?:{_INLINE})+[0-9A-Za-z@]|[A-Za-z](?:{_INLINE})+@")
_LEAST = 3  # pieces of one or two characters between tags
_ROW = r"[^\n]{1,9}"
_SHORT = re.compile(r"\n[^\n]{2,9}\n[^\n]{2,9}(?:\n|\Z)")
_BLOCK = re.compile(rf"(?:(?<=\n)|\A)(?:{_ROW}\n){{3,}}{_ROW}(?=\n|\Z)")
_MOST_IN_A_ROW = 6
_LINE = re.compile(r"^(?:[\-*+#>]|[0-9]+[.、)]).*$|[，。！？；：,.!?;:]$", re.MULTILINE)
_FULL = 0.6  # of the rows have the greatest width


def without_tags(view: View) -> View | None:
    """The text without the tags of HTML, where they stand between its characters.

    Inside a number or an address those alone that part nothing on a page: no cells, no lines.
    """
    text = view.text
    if sum(1 for _ in zip(range(_LEAST), _tagged(text), strict=False)) == _LEAST:
        return view.without("tags", (tags.span() for tags in _TAGS.finditer(text)))
    if _INSIDE.search(text):
        return view.without("tags", (tag.span() for tag in _SET_IN_LINE.finditer(text)))
    return None


def _tagged(text: str) -> Iterator[int]:
    """Where pieces of one or two characters between tags end; no tag belongs to two.

    Not one pattern: it would be tried from each tag of a long row of them.
    """
    done = 0
    for tags in _TAGS.finditer(text):
        new = tags.start() + len(tags[0].rstrip()) > done
        piece = _TAGGED.match(text, tags.end()) if new else None
        if piece:
            done = piece.end()
            yield done


def columns(view: View) -> Iterator[View]:
    """Short lines read from top to bottom: columns from the left, and from the right.

    What isn't in such lines isn't in these views.
    """
    text = view.text
    if not _SHORT.search(text):
        return
    found = [one.span() for one in _BLOCK.finditer(text) if not _is_read_across(one[0])]
    blocks = [_rows(text, *span) for span in found]
    for backwards in (False, True):
        order: list[int] = []
        for rows in blocks:
            order += _downwards(rows, backwards=backwards)
        if order:
            yield _reordered(view, order)


def _is_read_across(block: str) -> bool:
    """Whether most lines end with a stop, or start like items: a poem, a list."""
    return 2 * len(_LINE.findall(block)) >= block.count("\n") + 1


def _rows(text: str, start: int, end: int) -> list[list[int]]:
    """Where the characters of each line stand, without spaces."""
    rows: list[list[int]] = [[]]
    for at in range(start, end):
        if text[at] == "\n":
            rows.append([])
        elif text[at] != " ":
            rows[-1].append(at)
    return rows


def _downwards(rows: list[list[int]], *, backwards: bool) -> Iterator[int]:
    width = max(map(len, rows))
    full = sum(len(row) == width for row in rows)
    if 1 < width <= _MOST_IN_A_ROW and full >= _FULL * len(rows):
        for column in range(width):
            at = ~column if backwards else column
            yield from (row[at] for row in rows if column < len(row))


def _reordered(view: View, order: list[int]) -> View:
    text = "".join([view.text[at] for at in order])
    if not view.placed:
        return View("columns", text, placed=False)
    starts, ends = view.origin, view.until
    origin = array("Q", order if starts is None else [starts[at] for at in order])
    return View("columns", text, origin, None if ends is None else [ends[at] for at in order])
