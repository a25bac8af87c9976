"""Signs of disguises: one compiled pass over a text tells which searches can find anything in it.

A sign is no finding: it says that a search is worth making, and its absence that it isn't. Without
the compiled pass every search is made.
"""

from __future__ import annotations

import re
from functools import cache

from guard.views.alike import tables
from judge.embedded import compiled

MASKED = 1  # a character that stands for another, or a rare one beyond the basic plane
BOPOMOFO = 2
ESCAPE = 4  # what escapes of programs and pages are made with
STRING = 8  # a mark that a filler string may start with
BASE64 = 16  # sixteen of its characters or white space in a row
HEX = 32  # two digits that a Chinese character in UTF-8 may start with
COUNTED = 64  # digits for five counters
NUMERALS = 128  # digits or Chinese numerals for a telephone number
PARTED = 256  # one or two Chinese characters between marks
LINES = 512  # more than one line
TAG = 1024
ALTERNATES = 2048  # a character at every second of nine places
ALL = 4095

# The classes of characters, a bit each, as the compiled pass takes them; 1 is for what is masked.
_CLASSES = (
    (2, "[\u3105-\u3129]"),
    (4, r"[\\&%+=]"),
    (8, r"[\"-+\-/<-@\[-`{-~]"),
    (16, r"[A-Za-z0-9+/_\-= \n]"),
    (32, "[0-9]"),
    (64, "[0-9零〇一二三四五六七八九壹贰叁参肆伍陆柒捌玖幺弌弍弎〡-〩洞拐勾]"),
    (128, r"[\W_丨丶丿亅]"),
)


def signs(text: str) -> int:
    """The signs in a folded text, as bits."""
    return ALL if compiled.grams is None else compiled.grams.signs(text, _table())


def load() -> None:
    """Make the table now and not at the first text."""
    _table()


@cache
def _table() -> bytes:
    """The classes of each character of the basic plane."""
    found = bytearray(0x10000)
    for code in (code for _, to in tables() for code in to if code < len(found)):
        found[code] |= 1
    for bit, pattern in _CLASSES:
        is_in = re.compile(pattern).match
        for code in range(len(found)):
            if is_in(chr(code)):
                found[code] |= bit
    return bytes(found)
