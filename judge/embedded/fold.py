"""Text without disguises, and the way back: NFKC, no hidden characters, single spaces."""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

# Full-width forms stand one for one; nearly every Chinese text has some.
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
_COMMON = tuple((mark, chr(_FULL_WIDTH[ord(mark)])) for mark in "，：？！；（）")
_WIDE = re.compile("[\uff01-\uff5e\u3000]")
# What folding leaves as it is: then no offsets are needed.
_LETTERS = (
    r"[!-~\u2013\u2014\u2018\u2019\u201c\u201d\u2022\u3001-\u3003\u3005-\u3015"
    r"\u3400-\u4dbf\u4e00-\u9fff\U0001f300-\U0001f64f]"
)
_RUN = rf"{_LETTERS}++(?:[ \n]{_LETTERS}++)*+"
_PLAIN, _PIECE = re.compile(_RUN), re.compile(rf"{_RUN}|.", re.DOTALL)
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Mn", "Me"})
_FILLERS = frozenset("\u115f\u1160\u3164\uffa0")
# Letters in black circles and boxes, and those that flags are made of: NFKC knows the white ones.
_BOXED = {first + i: chr(65 + i) for first in (0x1F150, 0x1F170, 0x1F1E6) for i in range(26)}


@dataclass(frozen=True)
class Folded:
    """A folded text; `origin[i]` is the offset of its i-th character in the original.

    `origin` is null where folding moved nothing.
    """

    original: str
    text: str
    origin: Sequence[int] | None = None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The original offsets of the folded characters from `start` up to `end` (not empty)."""
        if self.origin is None:
            return start, end
        return self.origin[start], self.origin[end - 1] + 1


def fold(text: str) -> Folded:
    """NFKC, hidden characters and combining marks dropped, runs of white space to one character.

    A run with a line break becomes one newline, any other a space; both ends are stripped. The
    time is linear in the text's length.
    """
    plain = text
    for mark, narrow in _COMMON:
        plain = plain.replace(mark, narrow)
    if _WIDE.search(plain):
        plain = plain.translate(_FULL_WIDTH)
    if _PLAIN.fullmatch(plain):
        return Folded(text, plain)
    return _fold_in_pieces(text, plain)


def _fold_in_pieces(text: str, plain: str) -> Folded:
    """As `fold`, noting where each character comes from.

    Args:
        text: the text.
        plain: it, with full-width forms as what they stand for, one for one.
    """
    folded: list[str] = []
    origin = array("Q")
    space = True  # before the first character, and after white space
    for piece in _PIECE.finditer(plain):
        start, end = piece.span()
        if end - start > 1 or _PLAIN.match(piece[0]):
            folded.append(piece[0])
            origin.extend(range(start, end))
            space = False
            continue
        for char in _plain(piece[0]):
            blank = char in " \n"
            if not (blank and space):
                folded.append(char)
                origin.append(start)
            elif folded and char == "\n":
                folded[-1] = char
            space = blank
    while folded and folded[-1] in " \n":
        folded.pop(), origin.pop()
    return Folded(text, "".join(folded), origin)


@lru_cache(maxsize=1 << 14)
def _plain(char: str) -> str:
    """What is left of one character."""
    if char in "\r\n\x0b\x0c\x85\u2028\u2029":
        return "\n"
    if char.isspace():
        return " "
    kept = _BOXED.get(ord(char)) or unicodedata.normalize("NFKC", char)
    return "".join(
        " " if c.isspace() else c
        for c in kept
        if unicodedata.category(c) not in _UNSEEN and c not in _FILLERS
    )
