"""What of a growing text is looked at, and what of it may be released. Pure.

Looks are fixed by the text alone, never by how a network cut it: the k-th one sees `window`
characters from k * (window - overlap) on, and is due when they are there. The tail is looked at
when the text ends. Digits of a number that an edge may cut are left to the look that has it whole.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# After these a Chinese or English sentence, or a line, is over; closing marks belong to it.
_SENTENCE_END = re.compile(r"[。！？!?；;…\n]+[”’」』）)\"']*")
_DIGITS = "0123456789"
_NUMBER = 20  # digits: part of a longer order number, one would be a telephone number or a card


class Look(NamedTuple):
    """What a look sees, and where that ends in the whole text, in characters."""

    text: str
    end: int


class Windows:
    """One growing text. Work and memory for each call grow with the new text, not with the whole.

    Args:
        window: characters of a look.
        overlap: characters that it shares with the next one; that many are held back.
    """

    def __init__(self, window: int, overlap: int) -> None:
        self._window, self._overlap, self._step = window, overlap, window - overlap
        self._kept, self._base = "", 0  # what is not yet released, or still needed for a look
        self._next = 0  # where the next look starts
        self._seen = self._passed = self._freed = 0
        self.added = self.released = 0

    @property
    def passed(self) -> int:
        """How many characters are in looks that have passed."""
        return self._passed

    def add(self, text: str) -> list[Look]:
        """Take new text; gives the looks that are due by it."""
        self._kept += text
        self.added += len(text)
        due: list[Look] = []
        while self._next + self._window <= self.added:
            due.append(self._look(self._next, self._next + self._window, cut=True))
            self._seen = due[-1].end
            self._next += self._step
        return due

    def tail(self) -> Look | None:
        """The look at what no look has seen yet, when the text has ended."""
        if self.added <= self._seen:
            return None
        return self._look(max(0, self.added - self._window), self.added, cut=False)

    def settle(self, end: int) -> None:
        """All looks that end here or before have passed."""
        self._passed = max(self._passed, end)

    def safe(self) -> str:
        """Release what windows, with their overlap, have passed.

        Only to the end of a sentence, if one ends in the newest step; and once for each look, so
        that no network's cuts decide how far.
        """
        if self._passed == self._freed:
            return ""
        self._freed = self._passed
        limit = self._passed - self._overlap
        low = max(self.released, limit - self._step)
        ends = [
            match.end()
            for match in _SENTENCE_END.finditer(
                self._kept, low - self._base, max(limit - self._base, 0)
            )
        ]
        return self.release(self._base + ends[-1] if ends else limit)

    def release(self, to: int) -> str:
        """Release up to a place in the text; what was released before is not given again."""
        to = min(to, self.added)
        if to <= self.released:
            return ""
        text = self._kept[self.released - self._base : to - self._base]
        self.released = to
        needed = max(min(self.released, self._next, self.added - self._window) - 1, 0)
        self._kept, self._base = self._kept[needed - self._base :], needed
        return text

    def _look(self, start: int, end: int, *, cut: bool) -> Look:
        """What stands there; `cut`: a number at its end may go on. All of it is in a neighbour."""
        text = self._kept[start - self._base : end - self._base]
        most = min(self._overlap // 2, _NUMBER)
        if start and self._kept[start - self._base - 1] in _DIGITS:
            text = text[_short(len(text) - len(text.lstrip(_DIGITS)), most) :]
        after = _short(len(text) - len(text.rstrip(_DIGITS)), most) if cut else 0
        return Look(text[: len(text) - after], end - after)


def _short(digits: int, most: int) -> int:
    return digits if digits <= most else 0
