"""A text that comes in pieces, which are what is new or each all so far: how it is read. Pure.

Nobody says which. Both readings would differ in what a client shows, so that neither may be
guessed: pieces are taken for new until some have gone on from the one before them, one after the
other and so far that it is no chance. Until that shows, such pieces wait.
"""

from __future__ import annotations

import math
import re
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from guard.texts.escapes import Unescaping

GOING_ON: Final = 3  # pieces in a row that went on from the one before them
LEAST: Final = 16  # characters: shorter ones may begin alike by chance
SEAM: Final = 48  # of a piece, beside another: where pieces are new after all, texts meet there
_TAIL: Final = 32  # characters in which marks are looked for
# What stands behind a text only while it grows: a cursor, dots, the ends of tags.
_MARKS: Final = re.compile(r"(?:\s*[\u2581-\u258f_|….]|\s*</[a-z0-9]{1,10}>)+\s*$")


@dataclass(eq=False)
class Reading:
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


class Fed(NamedTuple):
    """What is to be judged next, in which channel, and what then.

    `aside`: it is none of the channel's, but where two of its pieces meet. `hasten`: it may have
    ended. `drop`: it was no reading of the text.
    """

    channel: Reading
    text: str
    then: Literal["go on", "aside", "hasten", "drop"] = "go on"


Needs = MutableMapping[Reading, float]
"""How far channels must be shown before an event may go out."""


class Readings:
    """One text, under one path.

    Args:
        name: of its channel.
    """

    def __init__(self, name: str) -> None:
        self.new, self.whole = Reading(name), Reading(f"{name}.so_far")
        self._last, self._kept, self._mark = "", 0, ""
        self._went_on = 0
        self._chain: list[tuple[Needs, int]] = []  # who waits, and how far `new` had come
        self._since = 0  # how far it had come before the first of those that may be one text

    def take(self, piece: str, needs: Needs) -> list[Fed]:
        """Take a piece; `needs` are its event's."""
        before, kept, was_whole = self._last, self._kept, self._are_whole
        goes_on = _goes_on(piece, before, kept) and (was_whole or piece != before)
        self._mark = self._mark if goes_on else mark_of(before, piece) or self._mark
        kept_now = stays(piece, self._mark)
        self._last, self._kept = piece, max(kept_now, kept) if goes_on and was_whole else kept_now
        self._went_on = self._went_on + (piece != before) if goes_on else 0
        if not goes_on:
            self.settle()
            self._chain = []
            closing: list[Fed] = []
            if was_whole:  # `new` has not had its end, which this piece may go on from
                closing.append(Fed(self.whole, self.whole.read(before[kept:]), "hasten"))
                closing.append(Fed(self.new, self.new.read(before[-SEAM:])))
            self._since = self.new.added
            return [*closing, self._as_new(piece, needs, waits=False)]
        if was_whole:
            seam = Fed(self.whole, before[-SEAM:] + piece[:SEAM], "aside")
            return [self._as_whole(piece[kept : self._kept], needs), seam]
        if self._are_whole:
            return self._known_whole(piece, needs)
        return [self._as_new(piece, needs, waits=True)]

    def hasten(self) -> list[Fed]:
        """Others come meanwhile, and stand behind it: it may have ended."""
        self.settle()
        behind = (one for one in (self.new, self.whole) if one.shown < one.added)
        return [Fed(one, "", "hasten") for one in behind]

    def end(self) -> list[Fed]:
        """No more comes."""
        self.settle()
        rest = self._last[self._kept :] if self._are_whole else ""
        return [
            Fed(self.new, self.new.read("", final=True)),
            Fed(self.whole, self.whole.read(rest, final=True)),
        ]

    def settle(self) -> None:
        """What waits for the next piece goes by its being new: another text may come first."""
        for waiting, end in self._chain:
            if self.new in waiting:
                waiting[self.new] = end

    @property
    def _are_whole(self) -> bool:
        return self._went_on >= GOING_ON and len(self._last) >= LEAST

    def _as_new(self, piece: str, needs: Needs, *, waits: bool) -> Fed:
        fed = Fed(self.new, self.new.read(piece))
        self._chain.append((needs, self.new.end))
        needs[self.new] = math.inf if waits else self.new.end
        return fed

    def _as_whole(self, text: str, needs: Needs) -> Fed:
        fed = Fed(self.whole, self.whole.read(text))
        needs[self.whole] = self.whole.end
        return fed

    def _known_whole(self, piece: str, needs: Needs) -> list[Fed]:
        """From now on the pieces are read as all so far; so are those that waited for that."""
        fed = self._as_whole("\n" * bool(self.whole.added) + piece[: self._kept], needs)
        for waiting, _ in self._chain:
            waiting.pop(self.new, None)
            waiting[self.whole] = self.whole.end
        self._chain = []
        seam = self.new.read(piece[:SEAM])
        if self._since:
            return [fed, Fed(self.new, seam, "hasten")]
        dropped, self.new = self.new, Reading(self.new.name)  # nobody waits for it any more
        return [fed, Fed(dropped, seam, "drop")]


def _goes_on(piece: str, before: str, kept: int) -> bool:
    """Whether a piece begins with the one before it, or with that less the marks behind it."""
    return bool(kept) and piece.startswith(before[:kept])


def stays(text: str, mark: str = "") -> int:
    """How much of a text stays when it grows: all but a mark behind it, this or a usual one."""
    if mark and text.endswith(mark):
        return len(text) - len(mark)
    marks = _MARKS.search(text, max(0, len(text) - _TAIL))
    return len(text) if marks is None else marks.start()


def mark_of(before: str, piece: str) -> str:
    """What stands behind both of two texts, of which one is the other gone on; else ""."""
    for size in range(1, min(_TAIL, len(before) - LEAST) + 1):
        if piece.startswith(before[:-size]) and piece.endswith(before[-size:]):
            return before[-size:]
    return ""
