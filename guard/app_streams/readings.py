"""A text that comes in pieces, which are what is new or each all so far: how it is read. Pure.

Nobody says which. Both readings would differ in what a client shows, so that neither may be
guessed: pieces are taken for new until some have gone on from the one before them, one after the
other and so far that it is no chance. Until that shows, such pieces wait.
"""

from __future__ import annotations

import math
import re
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from guard.escapes import Unescaping

GOING_ON: Final = 3  # pieces in a row that went on from the one before them
LEAST: Final = 16  # characters: shorter ones may begin alike by chance
_TAIL: Final = 32  # characters in which marks are looked for
# What stands behind a text only while it grows: a cursor, dots, the ends of tags.
_MARKS: Final = re.compile(r"(?:\s*[\u2581-\u258f_|….]|\s*</[a-z0-9]{1,10}>)+\s*$")


@dataclass(eq=False)
class Channel:
    """One reading of a text: how much of it has come, and how much may be shown."""

    name: str
    added: int = 0
    shown: int = 0
    escapes: Unescaping = field(default_factory=Unescaping)

    def read(self, text: str, *, final: bool = False) -> str:
        """What more of it is read as, without JSON's escapes."""
        said = self.escapes.add(text, final=final)
        self.added += len(said)
        return said

    @property
    def end(self) -> int:
        """How far it must be shown before an event may: to behind an escape that it ends in."""
        return self.added + self.escapes.waits


Needs = MutableMapping[Channel, float]
"""How far channels must be shown before an event may go out."""
Fed = Sequence[tuple[Channel, str]]
"""What is to be judged next, and in which channel."""


class Readings:
    """One text, under one path.

    Args:
        name: of its channel.
        gap: newlines after which all looks at a channel have passed what stands before them.
    """

    def __init__(self, name: str, gap: int) -> None:
        self.new, self.whole = Channel(name), Channel(f"{name}.so_far")
        self._gap = "\n" * gap
        self._last, self._kept = "", 0
        self._went_on = 0
        self._chain: list[tuple[Needs, int]] = []  # who waits, and how far `new` had come

    def take(self, piece: str, needs: Needs) -> Fed:
        """Take a piece; `needs` are its event's."""
        before, kept, was_whole = self._last, self._kept, self._are_whole
        goes_on = _goes_on(piece, before, kept) and (was_whole or piece != before)
        self._last, self._kept = piece, stays(piece)
        self._went_on = self._went_on + (piece != before) if goes_on else 0
        if not goes_on:
            self._settle()
            closing = [(self.whole, before[kept:] + self._gap)] if was_whole else []
            return [*self._read(*closing), *self._as_new(piece, needs, waits=False)]
        if was_whole:
            return self._as_whole(piece[kept : self._kept], needs)
        if self._are_whole:
            return self._known_whole(piece[: self._kept], needs)
        return self._as_new(piece, needs, waits=True)

    def end(self) -> Fed:
        """No more comes."""
        self._settle()
        rest = self._last[self._kept :] if self._are_whole else ""
        return [
            (self.new, self.new.read("", final=True)),
            (self.whole, self.whole.read(rest, final=True)),
        ]

    @property
    def _are_whole(self) -> bool:
        return self._went_on >= GOING_ON and len(self._last) >= LEAST

    def _read(self, *texts: tuple[Channel, str]) -> Fed:
        return [(channel, channel.read(text)) for channel, text in texts]

    def _as_new(self, piece: str, needs: Needs, *, waits: bool) -> Fed:
        fed = self._read((self.new, piece))
        self._chain.append((needs, self.new.end))
        needs[self.new] = math.inf if waits else self.new.end
        return fed

    def _as_whole(self, text: str, needs: Needs) -> Fed:
        fed = self._read((self.whole, text))
        needs[self.whole] = self.whole.end
        return fed

    def _known_whole(self, text: str, needs: Needs) -> Fed:
        """From now on the pieces are read as all so far; so are those that waited for that."""
        fed = self._as_whole("\n" * bool(self.whole.added) + text, needs)
        for waiting, _ in self._chain:
            waiting.pop(self.new, None)
            waiting[self.whole] = self.whole.end
        self._chain = []
        return [*fed, *self._read((self.new, self._gap))]

    def _settle(self) -> None:
        """What waited is read as new."""
        for waiting, end in self._chain:
            if self.new in waiting:
                waiting[self.new] = end
        self._chain = []


def _goes_on(piece: str, before: str, kept: int) -> bool:
    """Whether a piece begins with the one before it, or with that less the marks behind it."""
    return bool(kept) and piece.startswith(before[:kept])


def stays(text: str) -> int:
    """How much of a text stays when it grows."""
    marks = _MARKS.search(text, max(0, len(text) - _TAIL))
    return len(text) if marks is None else marks.start()
