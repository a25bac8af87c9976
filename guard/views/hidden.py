"""Texts that a reader doesn't see as they are stored: reordered, hidden, or encoded."""

from __future__ import annotations

import base64
import binascii
import html
import re
from array import array
from collections.abc import Iterator

from guard.views.model import View, plain

_REORDERS = re.compile("\u202e")
_CONTROL = re.compile("[\u202a-\u202e\u2066-\u2069\n\r\u2028\u2029]")
_CARRIERS = re.compile("[\U000e0000-\U000e01ef]|[\ufe00-\ufe0f]{4}")
_TAGS = re.compile("[\U000e0020-\U000e007e]+")
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4,}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-]{16,}(?:\r?\n[A-Za-z0-9+/_\-]+)*")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|&#(?:[0-9]{2,7}|[xX][0-9a-fA-F]{2,6});?")
_UNWRITTEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ue000-\uf8ff]")
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
    found = [_read(bytes(map(_byte, run))) for run in _SELECTORS.findall(text)]
    if spelled := "\n".join(filter(None, found)):
        yield _unplaced("hidden", spelled)


def _byte(selector: str) -> int:
    code = ord(selector)
    return code - 0xFE00 if code <= 0xFE0F else code - 0xE0100 + 16


def decoded(text: str) -> View | None:
    """What the runs of Base64 in a text say, where it is readable."""
    found = [_from_base64(run) for run in _BASE64.findall(text)]
    spelled = "\n".join(filter(None, found))
    return _unplaced("base64", spelled) if spelled else None


def _from_base64(run: str) -> str | None:
    letters = "".join(run.split()).replace("-", "+").replace("_", "/")
    whole = letters[: len(letters) // 4 * 4] if len(letters) % 4 == 1 else letters
    try:
        return _read(base64.b64decode(whole + "=" * (-len(whole) % 4), validate=True))
    except binascii.Error:
        return None


def unescaped(text: str) -> View | None:
    """The text with the characters that JSON's and HTML's escapes stand for.

    Tool calls' arguments are JSON inside a string, and pages show HTML's as characters.
    """
    if not _ESCAPE.search(text):
        return None
    said = _ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else html.unescape(m[0]), text)
    whole = said.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return _unplaced("escaped", whole)


def _read(data: bytes) -> str | None:
    """UTF-8 that a person could have written: long enough, and without control characters."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return text if len(text) >= _LEAST and not _UNWRITTEN.search(text) else None


def _unplaced(name: str, text: str) -> View:
    return View(name, plain(text).text, placed=False)
