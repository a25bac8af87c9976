"""The pieces of a text that streams: each is new, or all of the text so far. Pure."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from typing import Final

GOING_ON: Final = 3  # pieces that went on from the longest one: each is all so far
SURELY: Final = 8  # such pieces; what then comes in between, and is no news, has been read
LEAST: Final = 16  # characters: shorter ones may begin alike by chance
_TAIL: Final = 32  # characters in which marks are looked for
# What stands behind a text only while it grows: a cursor, dots, the ends of tags.
_MARKS: Final = re.compile(r"(?:[\u2581-\u258f_|….]|\s|</[a-z0-9]{1,10}>)+$")


@dataclass
class Pieces:
    """A text's pieces, which are what is new, or each all so far: both readings are held in it.

    A piece that begins with an earlier one may be all so far, and then adds its end alone. Where
    the next one shows that it was by chance, what that left out is made good.
    """

    last: str = ""
    longest: str = ""  # others may come in between
    went_on: int = 0
    owed: str = ""
    between: deque[str] = field(default_factory=lambda: deque(maxlen=8))

    def new(self, piece: str) -> str:
        """What a piece adds."""
        whole = self.are_whole
        earlier = self.longest if len(self.longest) >= LEAST else self.last
        begun = max(_begun(piece, self.last), _begun(piece, earlier))
        if not begun or (piece == self.last and not whole):
            return self._anew(piece)
        goes_on, self.last = piece.startswith(self.last), piece
        if len(piece) > len(self.longest):
            self.longest, self.went_on = piece, self.went_on + 1
        if not whole:
            self.owed = "" if self.are_whole else self.owed + piece
            return piece[begun:]
        added, end = self.rest() if goes_on else "", _kept(piece)
        self.owed = piece[max(begun, end) :]
        return added + piece[begun:end]

    def rest(self) -> str:
        """What was left out."""
        owed, self.owed = self.owed, ""
        return owed

    @property
    def are_whole(self) -> bool:
        """Whether so many went on, and so far, that it was not by chance."""
        return self.went_on >= GOING_ON and len(self.longest) >= LEAST

    def _anew(self, piece: str) -> str:
        self.last = piece
        if len(piece) > len(self.longest):
            self.longest, self.went_on = piece, 0
        if self.went_on < SURELY:
            return self.rest() + piece
        again = piece in self.between
        self.between.append(piece)
        return self.rest() + piece * (not again)


def _begun(piece: str, earlier: str) -> int:
    """How much of a piece an earlier one had, all or all but marks behind it; 0 where neither."""
    if piece.startswith(earlier):
        return len(earlier)
    kept = _kept(earlier)
    return kept if piece.startswith(earlier[:kept]) else 0


def _kept(text: str) -> int:
    """How much of a text stays when it grows."""
    marks = _MARKS.search(text, max(0, len(text) - _TAIL))
    return len(text) if marks is None else marks.start()
