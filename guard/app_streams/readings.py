"""A text that comes in pieces, which are what is new or each all so far: how it is read. Pure.

Nobody says which. Both readings would differ in what a client shows, so that neither may be
guessed: pieces are taken for new until some have gone on from an earlier one, one after the other
and so far that it is no chance. Until that shows, such pieces wait. Between them others may stand,
as a status does, and all so far may be but the end of it: its beginning is cut off.
"""

from __future__ import annotations

import math
import re
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from guard.texts.escapes import Unescaping

GOING_ON: Final = 3  # times that a text has grown
LEAST: Final = 16  # characters: shorter ones may begin alike by chance
REPEATED: Final = 4  # characters that such a piece counts for which says nothing new
SEAM: Final = 48  # of a piece, beside another: where pieces are new after all, texts meet there
MOST_GROWING: Final = 16  # texts that are remembered, since they may grow
_TAIL: Final = 32  # characters in which marks are looked for
_TRIES: Final = 8  # places where a piece may go on whose beginning is cut off
# What stands behind a text only while it grows: a cursor, dots, the ends of tags.
_MARKS: Final = re.compile(r"(?:\s*[\u2581-\u258f_|….]|\s*</[a-z0-9]{1,10}>)+\s*$")
_CUT_OFF: Final = re.compile(r"[\s….]*")  # what may stand for a beginning


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


@dataclass(eq=False)
class Growing:
    """A text of which each piece may be all so far.

    Args:
        last: its newest piece.
        mark: what stands behind such texts.
        since: how much had come of all texts when it last grew.
    """

    last: str
    mark: str
    since: float
    whole: Reading | None = None  # once it is known to grow
    said: str = ""  # until then: all of it
    waiting: list[tuple[Needs, int]] = field(default_factory=list)  # who, and how far `new` was
    grew: int = 0

    def __post_init__(self) -> None:
        self.kept = stays(self.last, self.mark)
        self.said = self.last[: self.kept]

    @property
    def is_whole(self) -> bool:
        """Whether it has grown so often and so far that it is no chance."""
        return self.grew >= GOING_ON and len(self.last) >= LEAST

    @property
    def rests(self) -> bool:
        """Whether nobody waits for it any more; it may go on all the same."""
        return self.since == math.inf

    def begins(self, piece: str) -> int:
        """How much of a piece came before, if the piece begins with it, less the marks behind."""
        return self.kept if piece.startswith(self.last[: self.kept]) else 0

    def overlaps(self, piece: str) -> int:
        """The same where its mark is not known yet, or its beginning is cut off."""
        if mark := mark_of(self.last, piece):
            before, self.mark, self.kept = self.kept, mark, len(self.last) - len(mark)
            self.said = self.said[: max(len(self.said) - before, 0)] + self.last[: self.kept]
            return self.kept
        found = _CUT_OFF.match(piece)
        start, at = found.end() if found else 0, -1
        head = piece[start : start + LEAST]
        for _ in range(_TRIES if len(head) == LEAST else 0):
            at = self.last.find(head, at + 1, self.kept)
            if at < 0:
                break
            if piece.startswith(self.last[at : self.kept], start):
                return start + self.kept - at
        return 0

    def go_on(self, piece: str, start: int, came: int) -> str:
        """Take a piece that came before up to `start`; gives what is new in it."""
        kept, grows = max(stays(piece, self.mark), start), piece != self.last
        if grows or self.rests or self.whole is not None:
            self.since = came
        self.grew += grows
        self.last, self.kept = piece, kept
        return piece[start:kept]


class Readings:
    """One text, under one path.

    Args:
        name: of its channel.
        window: characters of other texts for which it waits, before it may have ended.
        near: the same of a short text.
    """

    def __init__(self, name: str, window: int, near: int) -> None:
        self.new, self._window, self._near = Reading(name), window, near
        self._texts: list[Growing] = []  # the newest last
        self._free: list[Reading] = []
        self._wholes = 0
        self._only: Growing | None = None  # whose pieces are all of `new`, and wait
        self._last, self._mark = "", ""
        self._apart = False  # `new` has not had the last piece's end, which the next may go on from
        self._came = self._grew = 0
        self._hastened = 0  # how far `new` had come when it may have ended

    def take(self, piece: str, needs: Needs) -> list[Fed]:
        """Take a piece; `needs` are its event's."""
        one, start = self._gone_on(piece)
        self._came += len(piece) - start or min(len(piece), REPEATED)
        self._grew = self._came
        if one is None:
            one, text = Growing(piece, self._mark, self._came), ""
        else:
            self._texts.remove(one)
            text = one.go_on(piece, start, self._came)
            self._mark = one.mark
        self._texts.append(one)
        if one.whole is not None:
            fed = [*self._as_whole(one.whole, text, [needs]), self._seam(piece)]
        else:
            one.said += text
            read = self._known if one.is_whole else self._as_new
            fed = read(one, piece, needs)
        self._last, self._apart = piece, one.whole is not None
        return [*fed, *self._rested()]

    def others(self, came: int) -> list[Fed]:
        """So many characters of others came meanwhile, and stand behind it: it may have ended."""
        self._came += came
        return self._rested()

    def end(self) -> list[Fed]:
        """No more comes."""
        fed = [Fed(self.new, self.new.read("", final=True))]
        for one in self._texts:
            self._settle(one)
            if one.whole is not None:
                fed.append(Fed(one.whole, one.whole.read(one.last[one.kept :], final=True)))
        return fed

    def _gone_on(self, piece: str) -> tuple[Growing | None, int]:
        """The text that a piece goes on from, and how much of the piece had come."""
        found: Growing | None = None
        start = 0
        for way in (Growing.begins, Growing.overlaps):
            for one in reversed(self._texts):
                if (had := way(one, piece)) > start:
                    found, start = one, had
            if found is not None or len(piece) < LEAST:
                break
        return found, start

    def _as_new(self, one: Growing, piece: str, needs: Needs) -> list[Fed]:
        fed = [Fed(self.new, self.new.read(self._last[-SEAM:]))] if self._apart else []
        self._only = one if self.new.end == 0 or self._only is one else None
        fed.append(Fed(self.new, self.new.read(piece)))
        one.waiting.append((needs, self.new.end))
        for waiting, end in one.waiting:
            waiting[self.new] = math.inf if one.grew and len(one.waiting) > 1 else end
        return fed

    def _as_whole(self, whole: Reading, text: str, waiting: list[Needs]) -> list[Fed]:
        fed = Fed(whole, whole.read(text))
        for needs in waiting:
            needs[whole] = whole.end
        return [fed]

    def _known(self, one: Growing, piece: str, needs: Needs) -> list[Fed]:
        """From now on its pieces are read as all so far; so are those that waited for that."""
        if not self._free:
            self._free.append(Reading(f"{self.new.name}.so_far{self._wholes or ''}"))
            self._wholes += 1
        one.whole = whole = self._free.pop()
        waiting = [needs, *(each for each, _ in one.waiting)]
        for each, _ in one.waiting:
            each.pop(self.new, None)
        fed = self._as_whole(whole, "\n" * bool(whole.added) + one.said, waiting)
        one.said, one.waiting = "", []
        if self._only is not one:
            return [*fed, self._seam(piece)]
        dropped, self.new = self.new, Reading(self.new.name)  # nobody waits for it any more
        self._hastened = 0
        return [*fed, Fed(dropped, dropped.read(piece[:SEAM]), "drop")]

    def _seam(self, piece: str) -> Fed:
        """Where a piece that is read as all so far would meet the one before it."""
        if self._apart:
            return Fed(self.new, self._last[-SEAM:] + piece[:SEAM], "aside")
        return Fed(self.new, self.new.read(piece[:SEAM]))

    def _rested(self) -> list[Fed]:
        """Let nothing wait long for a text that may have ended."""
        fed = [each for one in list(self._texts) if self._waited(one) for each in self._rest(one)]
        if len(self._texts) > MOST_GROWING:
            fed += self._forget(
                min(self._texts[:-1], key=lambda one: (one.whole is not None, one.grew > 0))
            )
        ended = self._apart and all(one.whole is not None or one.rests for one in self._texts)
        if self._hastened < self.new.added and (ended or self._came - self._grew > self._window):
            self._hastened = self.new.added
            fed.append(Fed(self.new, "", "hasten"))
        return fed

    def _waited(self, one: Growing) -> bool:
        return self._came - one.since > (self._window if len(one.last) >= LEAST else self._near)

    def _rest(self, one: Growing) -> list[Fed]:
        """It waits no more; a long one may yet go on."""
        if len(one.last) < LEAST:
            return self._forget(one)
        self._settle(one)
        one.since = math.inf
        return [] if one.whole is None else [Fed(one.whole, "", "hasten")]

    def _forget(self, one: Growing) -> list[Fed]:
        self._settle(one)
        self._texts.remove(one)
        if one.whole is None:
            return []
        self._free.append(one.whole)
        return [Fed(one.whole, one.whole.read(one.last[one.kept :], final=True), "hasten")]

    def _settle(self, one: Growing) -> None:
        """What waits for it to grow goes by its being new."""
        self._only = None if self._only is one else self._only
        for waiting, end in one.waiting:
            waiting[self.new] = end
        one.waiting = []


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
