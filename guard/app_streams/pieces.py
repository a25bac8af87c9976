"""The pieces of a text that streams: each is new, or all of the text so far. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

GOING_ON: Final = 3  # pieces in a row that begin with the one before them: each is all so far
LEAST: Final = 16  # characters: shorter ones may begin so by chance


@dataclass
class Pieces:
    """A text's pieces, which are what is new, or each all so far: both readings are held in it.

    A piece that begins with the one before it may be all so far, and then adds its end alone. Where
    the next one shows that it was by chance, what that left out is made good.
    """

    last: str = ""
    in_a_row: int = 0
    owed: str = ""

    def new(self, piece: str) -> str:
        """What a piece adds."""
        before, self.last = self.last, piece
        if before and piece.startswith(before):
            self.in_a_row += piece != before
            self.owed = "" if self.are_whole else self.owed + piece
            return piece[len(before) :]
        self.in_a_row = 0
        return self.rest() + piece

    def rest(self) -> str:
        """What was left out."""
        owed, self.owed = self.owed, ""
        return owed

    @property
    def are_whole(self) -> bool:
        """Whether so many went on, and so far, that it was not by chance."""
        return self.in_a_row >= GOING_ON and len(self.last) >= LEAST
