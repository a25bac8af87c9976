"""The judge's money at run time: set aside before a case is asked, settled when it has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from weakref import WeakKeyDictionary

from guard.engine.limits import DailyBudget, Held
from judge.errors import BudgetReached
from judge.llm.bill import billing
from judge.protocols import Judge
from judge.rubric import Rubric
from judge.verdict import Case, Failure, FailureKind, JudgeRef, Outcome

# Nothing was answered, so that nobody sends a bill.
_UNBILLED = frozenset(
    {FailureKind.ABSTAINED, FailureKind.OVERSIZE, FailureKind.PROVIDER_FILTER_INPUT}
    | {kind for kind in FailureKind if kind.transient}
)


class PaidJudge(Judge):
    """A judge that is paid from the day's money.

    Every case under way has set aside what it may cost at most: by the judge's own word, else what
    the dearest case so far has cost, for which the first one is waited for. So calls at once
    overdraw a day by one case a process and event loop.

    Args:
        judge: is asked.
        budget: the money; several processes may share it.
    """

    def __init__(self, judge: Judge, budget: DailyBudget) -> None:
        self._judge, self._budget = judge, budget
        self._dearest: float | None = None  # USD a case; None before one has ended
        self._first = WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock]()

    @property
    def name(self) -> str:
        return self._judge.name

    @property
    def batch_size(self) -> int:
        return self._judge.batch_size

    def ref(self, rubric: Rubric) -> JudgeRef:
        return self._judge.ref(rubric)

    def signers(self, rubric: Rubric) -> Sequence[JudgeRef]:
        return self._judge.signers(rubric)

    def most_usd(self, case: Case) -> float:
        return self._judge.most_usd(case)

    def trust(self) -> str | None:
        return self._judge.trust()

    async def warm(self) -> None:
        await self._judge.warm()

    async def aclose(self) -> None:
        await self._judge.aclose()

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        """As the judge does; a call that is broken off is taken to cost the most that it may.

        Raises:
            BudgetReached: the day's money is spent, or set aside.
            JudgeUnavailable: no case can be judged as things stand.
        """
        if not self._budget.limited:
            return await self._paid(cases, 0.0)
        most = sum(map(self._judge.most_usd, cases))
        if not most and self._dearest is None:
            loop = asyncio.get_running_loop()  # a lock wakes nobody who waits in another one
            async with self._first.setdefault(loop, asyncio.Lock()):
                if self._dearest is None:
                    return await self._paid(cases, most)
        return await self._paid(cases, most)

    async def _paid(self, cases: Sequence[Case], most: float) -> Sequence[Outcome]:
        if not self._budget.open:
            raise BudgetReached("the day's money is spent, or set aside for calls under way")
        held = self._budget.hold(most or (self._dearest or 0.0) * len(cases))
        cost: float | None = None
        with billing() as bill:
            try:
                outcomes = await self._judge.assess(cases)
                cost = self._cost(outcomes, held.usd)
            except asyncio.CancelledError:
                begun = bill.open or not most  # who says no price doesn't say either when it asks
                cost = (bill.cost_usd or 0.0) + (held.usd if begun else 0.0)
                raise
            except BaseException:
                cost = bill.cost_usd or 0.0
                raise
            finally:
                self._settle(held, cost)
        return outcomes

    def _cost(self, outcomes: Sequence[Outcome], held_usd: float) -> float | None:
        """What cases have cost; None where nobody knows."""
        most = held_usd / max(1, len(outcomes))
        costs = [cost_of(outcome, most) for outcome in outcomes]
        known = [cost for cost in costs if cost is not None]
        self._dearest = max(self._dearest or 0.0, *known) if known else self._dearest
        return None if len(known) < len(costs) else sum(known)

    def _settle(self, held: Held, cost: float | None) -> None:
        """Put the cost in the place of what was set aside."""
        with suppress(Exception):  # then that stays counted, and what was found still counts
            self._budget.settle(held, cost)


def cost_of(outcome: Outcome, most: float = 0.0) -> float | None:
    """What an outcome has cost in USD; None where nobody knows.

    Args:
        outcome: of a case.
        most: what the case may have cost at most, for an answer that came without a price, or not
            at all in the time of a call; 0 where that isn't known.
    """
    if outcome.cached:
        return 0.0
    failed = outcome.kind if isinstance(outcome, Failure) else None
    if outcome.cost_usd is None and outcome.usage is not None and failed not in _UNBILLED:
        return most or None
    return (outcome.cost_usd or 0.0) + (most if failed is FailureKind.TIMEOUT else 0.0)
