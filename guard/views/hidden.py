"""Texts that a reader doesn't see as they are stored: reordered, or in invisible characters."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator

from guard.views.encoded import read
from guard.views.model import View, plain

_REORDERS = re.compile("\u202e")
_CONTROL = re.compile("[\u202a-\u202e\u2066-\u2069\n\r\u2028\u2029]")
_CARRIERS = re.compile("[\U000e0000-\U000e01ef]|[\ufe00-\ufe0f]{4}")
_TAGS = re.compile("[\U000e0020-\U000e007e]+")
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4,}")
_LEAST = 2  # characters of a message


def reordered(text: str) -> View | None:
    """The text as it is displayed where a right-to-left override reverses a part of it."""
    if not _REORDERS.search(text):
        return None
    order = array("Q")
    for start, end, backwards in _runs(text):
        order.extend(range(end - 1, start - 1, -1) if backwards else range(start, end))
    shown = plain("".join([text[i] for i in order]))
    where = order if shown.origin is None else array("Q", [order[i] for i in shown.origin])
    return View("reordered", shown.text, where)


def _runs(text: str) -> Iterator[tuple[int, int, bool]]:
    """(start, end, whether an override reverses it), without the controls; embeddings are flat."""
    opened: list[str] = []
    done = 0
    for match in _CONTROL.finditer(text):
        at, char = match.start(), match[0]
        yield done, at, bool(opened) and opened[-1] == "\u202e"
        done = at + 1
        if char in "\u202c\u2069":
            if opened:
                opened.pop()
        elif char in "\n\r\u2028\u2029":
            opened.clear()
            done = at
        else:
            opened.append(char)
    yield done, len(text), bool(opened) and opened[-1] == "\u202e"


def messages(text: str) -> Iterator[View]:
    """What invisible characters spell: tag characters as ASCII, variation selectors as bytes."""
    if not _CARRIERS.search(text):
        return
    tags = "".join(_TAGS.findall(text))
    if len(tags) >= _LEAST:
        yield _unplaced("hidden", "".join([chr(ord(c) - 0xE0000) for c in tags]))
    found = [read(bytes(map(_byte, run))) for run in _SELECTORS.findall(text)]
    if spelled := "\n".join(filter(None, found)):
        yield _unplaced("hidden", spelled)


def _byte(selector: str) -> int:
    code = ord(selector)
    return code - 0xFE00 if code <= 0xFE0F else code - 0xE0100 + 16


def _unplaced(name: str, text: str) -> View:
    return View(name, plain(text).text, placed=False)
