"""What keeps a slow, failing or dear judge from holding up a chatbot: breaker and daily budget."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import UTC, datetime
from math import inf
from typing import NamedTuple, Protocol

from guard.policy import BreakerPolicy

DAYS = 8  # whose spend one process knows
Clock = Callable[[], float]
Now = Callable[[], datetime]


class Purse(Protocol):
    """Where a day's spend is kept; several processes may share one."""

    def spent(self, day: str) -> float:
        """USD spent on a day, `2026-01-31`."""

    def add(self, day: str, usd: float) -> None:
        """Count money as spent on a day."""


class PocketPurse:
    """One process's spend, of the last days on which there was one.

    A clock that was wrong for a moment, by a day or by years, gives no day its money again.
    """

    def __init__(self) -> None:
        self._days = OrderedDict[str, float]()

    def spent(self, day: str) -> float:
        return self._days.get(day, 0.0)

    def add(self, day: str, usd: float) -> None:
        self._days[day] = self.spent(day) + usd
        if len(self._days) > DAYS:
            self._days.popitem(last=False)


class Held(NamedTuple):
    """Money that is set aside, and of which day."""

    day: str
    usd: float


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
    def limited(self) -> bool:
        """Whether there is a limit at all."""
        return self._usd is not None

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

    def hold(self, usd: float) -> Held:
        """Set money aside, so that other calls leave it; `settle` it in any case."""
        held = Held(self._day(), usd)
        if usd:
            self._purse.add(held.day, usd)
        return held

    def settle(self, held: Held, usd: float | None) -> None:
        """Put what a call has cost in the place of what was set aside; None as for `spend`."""
        cost = (self._usd or 0.0) if usd is None else usd
        if cost != held.usd:
            self._purse.add(held.day, cost - held.usd)

    def _day(self) -> str:
        return self._now().astimezone(UTC).date().isoformat()


class Breaker:
    """Opens after failures in a row about so many conversations; after a rest one call may try.

    A failure may be its text's own fault, and no one is to shut the judge for others with such
    texts. So those of one conversation count once, and none counts while others get answers: not
    for `alive_s` after one. A judge that is down answers nobody.

    Args:
        policy: how many failures, how long a rest.
        clock: seconds, monotonic.
        alive_s: for so long after an answer a failure says nothing about the judge.
    """

    def __init__(self, policy: BreakerPolicy, clock: Clock, alive_s: float) -> None:
        self._policy, self._clock, self._alive_s = policy, clock, alive_s
        self._failures, self._opened, self._answered = 0, 0.0, -inf
        self._failed_about = deque[str](maxlen=policy.failures)
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
        self._failures, self._trying, self._answered = 0, False, self._clock()
        self._failed_about.clear()

    def failed(self, about: str | None) -> None:
        """A call failed in a way that the next one may too.

        Args:
            about: names the conversation; None where the judge says that it can't judge at all.
        """
        self._trying = False
        alive = self._clock() - self._answered < self._alive_s
        if alive or about in self._failed_about:
            return
        if about is not None:
            self._failed_about.append(about)
        self._failures += 1
        if self.is_open:
            self._opened = self._clock()

    def gave_up(self) -> None:
        """A call ended without telling anything about the judge, as when its user left."""
        self._trying = False
