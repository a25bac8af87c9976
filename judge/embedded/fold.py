"""Text without disguises, and the way back: NFKC, no hidden characters, single spaces."""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

# What needs the slow way: hidden characters, white space other than single spaces and newlines.
_ODD = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    r"\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0"
    r"\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff]|  | \n|\n |\n\n|^[ \n]|[ \n]\Z"
)
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Mn", "Me"})
_FILLERS = frozenset("\u115f\u1160\u3164\uffa0")


@dataclass(frozen=True)
class Folded:
    """A folded text; `origin[i]` is the offset of its i-th character in the original.

    `origin` is null where folding changed nothing.
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
    if _ODD.search(text) is None and unicodedata.is_normalized("NFKC", text):
        return Folded(text, text)
    folded: list[str] = []
    origin = array("Q")
    for offset, char in enumerate(text):
        for plain in _plain(char):
            if plain in " \n":
                if not folded:
                    continue
                if folded[-1] in " \n":
                    folded[-1] = "\n" if plain == "\n" else folded[-1]
                    continue
            folded.append(plain)
            origin.append(offset)
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
    kept = unicodedata.normalize("NFKC", char)
    return "".join(
        " " if c.isspace() else c
        for c in kept
        if unicodedata.category(c) not in _UNSEEN and c not in _FILLERS
    )
