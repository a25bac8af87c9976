"""A line in the log where texts pass unchecked: for edges that have no headers and no counters."""

from __future__ import annotations

from typing import Final

from guard.engine.limits import Clock
from guard.event import GuardEvent
from guard.log import LOG

EVERY_S: Final = 60.0


class Passing:
    """Warns of texts that pass although a check failed: one line for each kind and minute.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: dict[str, float] = {}
        self._untold: dict[str, int] = {}

    def observe(self, event: GuardEvent) -> None:
        """Take note of one decision."""
        if event.status == "failed_open":
            for kind in {one.kind for one in event.missed}:
                self._passed(kind, event.side)

    def _passed(self, kind: str, side: str) -> None:
        now, last = self._clock(), self._told.get(kind)
        if last is not None and now - last < EVERY_S:
            self._untold[kind] = self._untold.get(kind, 0) + 1
            return
        self._told[kind], more = now, self._untold.pop(kind, 0)
        since = f", as did {more} more since the last such line" if more else ""
        LOG.warning("failed open: a text (%s) passed unchecked: %s%s", side, kind, since)
