"""What the calls behind one outcome used and cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import reduce
from typing import TypeVar

from judge.verdict import Usage


@dataclass
class Bill:
    """What the calls behind one outcome used and cost, failed ones and re-asks included.

    `open` are those that may be billed although nobody has said so: under way, or timed out.
    """

    calls: int = 0
    open: int = 0
    prompt: int | None = None
    cached: int | None = None
    completion: int | None = None
    cost_usd: float | None = None

    def sent(self) -> None:
        """A call is under way."""
        self.calls += 1
        self.open += 1

    def ended(self) -> None:
        """A call was answered, with its bill, or failed without one."""
        self.open -= 1

    def add(self, usage: Usage, cost_usd: float | None) -> None:
        """Add one answered call; a count that no call gave stays null."""
        self.prompt = _sum(self.prompt, usage.prompt)
        self.cached = _sum(self.cached, usage.cached)
        self.completion = _sum(self.completion, usage.completion)
        self.cost_usd = _sum(self.cost_usd, cost_usd)

    def include(self, part: Bill) -> None:
        """Add another bill's calls."""
        self.calls += part.calls
        self.open += part.open
        self.add(part.usage(), part.cost_usd)

    def usage(self) -> Usage:
        """The tokens, as an outcome records them."""
        return Usage(prompt=self.prompt, cached=self.cached, completion=self.completion)


def total_usd(costs: Iterable[float | None]) -> float | None:
    """What is known of a sum; null where nothing is."""
    return reduce(_sum, costs, None)


_Number = TypeVar("_Number", int, float)


def _sum(total: _Number | None, more: _Number | None) -> _Number | None:
    return more if total is None else total if more is None else total + more


_CURRENT: ContextVar[Bill | None] = ContextVar("bill", default=None)


def current_bill() -> Bill | None:
    """The bill that calls of this task go on, or None."""
    return _CURRENT.get()


@contextmanager
def billing() -> Iterator[Bill]:
    """Collect the calls that are made inside; they go on the bill around this one as well."""
    bill, around = Bill(), _CURRENT.get()
    token = _CURRENT.set(bill)
    try:
        yield bill
    finally:
        _CURRENT.reset(token)
        if around is not None:
            around.include(bill)
