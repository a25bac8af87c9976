"""Where whole records are judged: beside the guard, in a thread with an event loop of its own.

A file of records means seconds of reading, judging and reporting; a guard's decision must not wait
for that. So the bench has its own judge too, whose calls may take the model's own timeout and not
the guard's deadline alone.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from guard.engine.limits import DailyBudget
from guard.server.records.paying import RecordsJudge
from judge.calibration import Calibration
from judge.dispatch import together
from judge.errors import BudgetReached, InputError
from judge.protocols import Judge
from judge.verdict import Case, Failure, FailureKind, Outcome, RubricRef, Verdict

BATCH: Final = 16  # cases that are judged in one go, so that all who wait get their turn
THREADS: Final = 4
BUDGET_SHARE: Final = 0.5  # of the day's money; the rest is kept for the guard's decisions
T = TypeVar("T")


class Bench:
    """Judges records, and does what else takes long about them.

    Args:
        judge: is asked; by this bench alone.
        budget: what may be spent on records.
        calibration: the server's, where it has one.
    """

    def __init__(self, judge: Judge, budget: DailyBudget, calibration: Calibration | None) -> None:
        self.judge: Judge = RecordsJudge(judge, budget, BATCH)
        self.budget, self.calibration = budget, calibration
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="bench")
        self._loop: asyncio.AbstractEventLoop | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Work until the body ends; what is not done by then is cancelled."""
        self._loop = loop = asyncio.new_event_loop()
        loop.set_default_executor(self._threads)
        thread = threading.Thread(target=loop.run_forever, name="bench", daemon=True)
        thread.start()
        try:
            yield
        finally:
            try:
                await self.do(self._ended())
            finally:
                loop.call_soon_threadsafe(loop.stop)
                await asyncio.to_thread(thread.join)
                self._threads.shutdown(wait=False, cancel_futures=True)
                loop.close()
                self._loop = None

    async def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the bench; one that is no longer waited for is cancelled."""
        if self._loop is None:
            work.close()
            raise RuntimeError("the bench is not open")
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def aside(self, function: Callable[..., T], *given: Any) -> T:
        """Run a function that blocks in one of the bench's threads."""
        return await asyncio.wrap_future(self._threads.submit(function, *given))

    async def assess(self, cases: Sequence[Case]) -> list[Outcome]:
        """Outcomes in the cases' order; once the money is spent they are failures that say so.

        Raises:
            JudgeUnavailable: no case can be judged as things stand.
        """
        size = self.judge.batch_size
        batches = [cases[at : at + size] for at in range(0, len(cases), size)]
        found = await self.do(together(self._assessed(batch) for batch in batches))
        return [outcome for batch in found for outcome in batch]

    def calibrated(self, verdict: Verdict) -> float | None:
        """P(harmless) of a verdict by the calibration; None where it has none for it."""
        if self.calibration is None:
            return None
        try:
            found = self.calibration.of(verdict.dimension, verdict.judge, verdict.rubric)
        except InputError:
            return None
        return found.p_harmless(verdict)

    async def _assessed(self, batch: Sequence[Case]) -> Sequence[Outcome]:
        try:
            return await self.judge.assess(batch)
        except BudgetReached as error:
            return [self._unpaid(case, str(error)) for case in batch]

    def _unpaid(self, case: Case, why: str) -> Failure:
        return Failure(
            record_id=case.record.id,
            dimension=case.rubric.dimension,
            judge=self.judge.ref(case.rubric),
            rubric=RubricRef.of(case.rubric),
            kind=FailureKind.QUOTA,
            detail=why,
        )

    async def _ended(self) -> None:
        """Cancel all that still runs, and let the judge go."""
        mine = asyncio.current_task()
        tasks = [task for task in asyncio.all_tasks() if task is not mine]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.judge.aclose()
        if "litellm" in sys.modules:
            from judge.llm.library import close_loop_clients

            await close_loop_clients()
        await asyncio.get_running_loop().shutdown_asyncgens()
