"""How hard providers are driven: adaptive concurrency, rates, money, the filter breaker."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiolimiter import AsyncLimiter

from judge.errors import BudgetReached

Clock = Callable[[], float]


class AdaptiveConcurrency:
    """A gate whose width grows by one a full round of successes and halves on a 429 (AIMD).

    Args:
        start: how many calls may be in flight at first.
        most: the upper bound; equal to `start` for a fixed width.
    """

    def __init__(self, start: int = 16, most: int = 128) -> None:
        self.width, self._most = start, most
        self.in_flight = 0
        self._successes = 0
        self._halved_at_call = 0
        self._calls = 0
        self._waiters: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[int]:
        """Hold one place while a call is in flight; gives the call's number."""
        while self.in_flight >= self.width:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            self._wake()  # another thread may have freed a place just now
            try:
                await waiter
            except asyncio.CancelledError:
                self._wake()
                raise
        self.in_flight += 1
        self._calls += 1
        try:
            yield self._calls
        finally:
            self.in_flight -= 1
            self._wake()

    def _wake(self) -> None:
        free = self.width - self.in_flight
        while free > 0 and self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                free -= _woken(waiter)

    def succeeded(self) -> None:
        """A call came back well: after a full round of them the gate is one wider."""
        self._successes += 1
        if self._successes >= self.width and self.width < self._most:
            self._successes = 0
            self.width += 1
            self._wake()

    def rate_limited(self, call: int) -> None:
        """A 429: halve, once for all the calls that were in flight together."""
        if call <= self._halved_at_call:
            return
        self._halved_at_call = self._calls
        self._successes = 0
        self.width = max(1, self.width // 2)


def _woken(waiter: asyncio.Future[None]) -> bool:
    """Wake who waits, in whatever event loop that is; false where that loop has ended."""

    def go_on() -> None:
        if not waiter.done():
            waiter.set_result(None)

    try:
        waiter.get_loop().call_soon_threadsafe(go_on)
    except RuntimeError:
        return False
    return True


class Rates:
    """Requests and tokens a minute, as the account allows them; null means unlimited."""

    def __init__(self, rpm: int | None = None, tpm: int | None = None) -> None:
        # A tenth of a minute at a time: a provider counts shorter windows than the minute's.
        self._requests = (
            AsyncLimiter(max(1.0, rpm / 10), 6 if rpm >= 10 else 60 / rpm) if rpm else None
        )
        self._tokens = AsyncLimiter(tpm, 60) if tpm else None

    async def wait(self, tokens: int) -> None:
        """Wait until one more call of about `tokens` tokens is within both rates."""
        if self._requests:
            await self._requests.acquire()
        if self._tokens:
            await self._tokens.acquire(min(float(tokens), self._tokens.max_rate))


@dataclass
class Spend:
    """Money spent in this run, and the budget that it may not pass.

    A call is let through when what is spent, and what the calls in flight will cost at the dearest
    call so far, stays within the budget.
    """

    budget_usd: float | None = None
    usd: float = 0.0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    calls: int = 0
    _in_flight: int = 0
    _dearest: float = 0.0

    @asynccontextmanager
    async def call(self, expected_usd: float | None) -> AsyncIterator[None]:
        """Reserve the cost of one call.

        Raises:
            BudgetReached: the budget leaves no room for it.
        """
        dearest = max(self._dearest, expected_usd or 0.0)
        if (
            self.budget_usd is not None
            and self.usd + (self._in_flight + 1) * dearest > self.budget_usd
        ):
            raise BudgetReached(f"the budget of {self.budget_usd:g} USD leaves no room for a call")
        self._in_flight += 1
        self._dearest = dearest
        try:
            yield
        finally:
            self._in_flight -= 1

    def paid(self, usd: float | None, prompt: int, cached: int, completion: int) -> None:
        """Book what a call has cost."""
        self.calls += 1
        self.usd += usd or 0.0
        self._dearest = max(self._dearest, usd or 0.0)
        self.prompt_tokens += prompt
        self.cached_tokens += cached
        self.completion_tokens += completion


@dataclass
class _Pause:
    """Begins once `most` of the last `window` calls were stopped.

    After `length_s` one call is let through, and its outcome ends the pause or begins another. What
    calls that were in flight when it began give says nothing.
    """

    clock: Clock
    most: int
    window: int
    length_s: float
    _stopped: deque[bool] = field(default_factory=deque)
    _until: float | None = None
    _trying: bool = False

    @property
    def on(self) -> bool:
        """Whether it lasts."""
        return self._until is not None and self.clock() < self._until

    def allows(self) -> bool:
        """Whether a call may be sent now."""
        if self._until is None:
            return True
        if self.on:
            return False
        self._until = self.clock() + self.length_s
        self._trying = True
        return True

    def record(self, *, filtered: bool | None) -> bool:
        """Count an outcome, None for one that says nothing; True when it has begun the pause."""
        if self._until is not None:
            if self._trying and filtered is False:
                self._until = None
                self._stopped.clear()
            self._trying = False
            return False
        if filtered is None:
            return False
        self._stopped.append(filtered)
        if len(self._stopped) > self.window:
            self._stopped.popleft()
        if sum(self._stopped) < self.most:
            return False
        self._until = self.clock() + self.length_s
        return True


class FilterBreaker:
    """Pauses who sends a provider what its content filter stops: accounts are locked for that.

    A text that is stopped says something of the text, and nothing of the judge. So it pauses only
    who chose it: a run, whose rows are one person's, or a caller of a server with records of his
    own. Texts that anybody may have chosen, as in a guard's traffic, pause nobody, neither all nor
    one conversation: whoever wants a judge gone, or his next texts unchecked where failures let
    them pass, would need no more than some texts that are stopped. What that gives up costs little:
    each such text is a call, as every other one is, and is told by its own kind of failure.

    Args:
        clock: seconds, monotonic.
        most: so many calls of one caller that were stopped pause his,
        window: of his last so many.
        pause_s: how long; then one call is let through, and its outcome ends or renews the pause.
    """

    def __init__(
        self, clock: Clock, most: int = 20, window: int = 40, pause_s: float = 60.0
    ) -> None:
        self.most, self.window, self.pause_s, self._clock = most, window, pause_s, clock
        self._each: OrderedDict[str, _Pause] = OrderedDict()  # the last `window` callers

    def allows(self, about: str | None) -> bool:
        """Whether a call may be sent now.

        Args:
            about: names who chose its text; None where anybody may have.
        """
        own = None if about is None else self._each.get(about)
        return own is None or own.allows()

    def record(self, about: str | None, *, filtered: bool | None) -> bool:
        """Count an outcome; True when it has just begun a pause.

        Args:
            about: as above.
            filtered: whether the filter stopped it; None where the call failed before it could.
        """
        if about is None:
            return False
        own = self._each.get(about)
        if own is None:
            own = _Pause(self._clock, self.most, self.window, self.pause_s)
            self._each[about] = own
        self._each.move_to_end(about)
        if len(self._each) > self.window:  # the oldest is forgotten, but no pause before its end
            oldest = next((name for name, one in self._each.items() if not one.on), None)
            if oldest is not None:
                del self._each[oldest]
        return own.record(filtered=filtered)
