"""The judge of records, paid from the day's money: many calls at once, and hardly any on credit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from guard.engine.limits import DailyBudget
from guard.engine.spending import PaidJudge
from judge.errors import BudgetReached
from judge.protocols import Judge
from judge.verdict import Case, Outcome


class RecordsJudge(PaidJudge):
    """A paid judge that has time: what calls under way leave of their money is waited for.

    Args:
        judge: is asked.
        budget: the day's money.
        most: cases that it is asked about in one go.
    """

    def __init__(self, judge: Judge, budget: DailyBudget, most: int) -> None:
        super().__init__(judge, budget)
        self._money, self._most = budget, most
        self._under_way = 0
        self._settled = asyncio.Event()

    @property
    def batch_size(self) -> int:
        return min(super().batch_size, self._most)

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        """As the judge does.

        Raises:
            BudgetReached: the day's money is spent, and none of it set aside any more.
            JudgeUnavailable: no case can be judged as things stand.
        """
        while True:
            while self._under_way and not self._money.open:
                await self._settlement()
            self._under_way += 1
            try:
                return await super().assess(cases)
            except BudgetReached:
                if self._under_way == 1:
                    raise
            finally:
                self._under_way -= 1
                self._settled.set()
            await self._settlement()

    async def _settlement(self) -> None:
        """Wait until a call that is under way has ended."""
        self._settled.clear()
        await self._settled.wait()
