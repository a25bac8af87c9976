"""What keeps a slow, failing or dear judge from holding up a chatbot: breaker and daily budget."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from guard.policy import BreakerPolicy

Clock = Callable[[], float]
Now = Callable[[], datetime]


class Purse(Protocol):
    """Where a day's spend is kept; several processes may share one."""

    def spent(self, day: str) -> float:
        """USD spent on a day, `2026-01-31`."""

    def add(self, day: str, usd: float) -> None:
        """Count money as spent on a day."""


class PocketPurse:
    """One process's spend, of one day at a time."""

    def __init__(self) -> None:
        self._day, self._usd = "", 0.0

    def spent(self, day: str) -> float:
        return self._usd if day == self._day else 0.0

    def add(self, day: str, usd: float) -> None:
        self._usd = self.spent(day) + usd
        self._day = day


class DailyBudget:
    """How much the judge may still spend today (UTC).

    Args:
        usd: a day's money; None for no limit.
        purse: where the spend is kept.
        now: the time, with its zone.
    """

    def __init__(self, usd: float | None, purse: Purse, now: Now) -> None:
        self._usd, self._purse, self._now = usd, purse, now

    @property
    def open(self) -> bool:
        """Whether another call may be made; the last one may overdraw by its own cost."""
        return self._usd is None or self._purse.spent(self._day()) < self._usd

    def spend(self, usd: float | None) -> None:
        """Count a call's cost; a call whose cost nobody knows uses up a limited budget."""
        if self._usd is not None and usd is None:
            usd = self._usd
        if usd:
            self._purse.add(self._day(), usd)

    def _day(self) -> str:
        return self._now().astimezone(UTC).date().isoformat()


class Breaker:
    """Opens after so many failures in a row; after a rest one call may try.

    Args:
        policy: how many failures, how long a rest.
        clock: seconds, monotonic.
    """

    def __init__(self, policy: BreakerPolicy, clock: Clock) -> None:
        self._policy, self._clock = policy, clock
        self._failures, self._opened = 0, 0.0
        self._trying = False

    @property
    def is_open(self) -> bool:
        """Whether calls are held back at the moment."""
        return self._failures >= self._policy.failures

    def admits(self) -> bool:
        """Whether a call may be made now; after the rest this lets one try."""
        if not self.is_open:
            return True
        if self._trying or self._clock() - self._opened < self._policy.rest_s:
            return False
        self._trying = True
        return True

    def succeeded(self) -> None:
        """A call came back with an answer."""
        self._failures, self._trying = 0, False

    def failed(self) -> None:
        """A call failed in a way that the next one may too."""
        self._failures += 1
        self._trying = False
        if self.is_open:
            self._opened = self._clock()

    def gave_up(self) -> None:
        """A call ended without telling anything about the judge, as when its user left."""
        self._trying = False
