"""Many jobs at once, bounded, each result handed on as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from judge.errors import BudgetReached

Job = TypeVar("Job")
Result = TypeVar("Result")
Task = asyncio.Task[tuple[Sequence[Job], Sequence[Result]]]


async def dispatch(
    jobs: Iterable[Job],
    work: Callable[[Sequence[Job]], Awaitable[Sequence[Result]]],
    done: Callable[[Sequence[Job], Sequence[Result]], None],
    *,
    width: int,
    batch_size: int = 1,
) -> bool:
    """Work through jobs with up to `width` batches in flight.

    `jobs` is read only as far as there is room, so a long file is never held. A batch that has come
    back is always handed to `done`, also when the run ends early.

    Args:
        jobs: what is to be done.
        work: does one batch; same length, same order.
        done: takes each batch with its results, in the order of their completion.
        width: the most batches in flight.
        batch_size: jobs a batch.

    Returns:
        False when the budget stopped the run before all jobs were done.

    Raises:
        Exception: what `work` raised first, other than BudgetReached; the rest is given up.
    """
    batches, in_flight = _batched(iter(jobs), batch_size), set[Task[Job, Result]]()
    within_budget = True

    async def run(batch: Sequence[Job]) -> tuple[Sequence[Job], Sequence[Result]]:
        return batch, await work(batch)

    try:
        while True:
            while within_budget and len(in_flight) < width and (batch := next(batches, None)):
                in_flight.add(asyncio.ensure_future(run(batch)))
            if not in_flight:
                return within_budget
            finished, in_flight = await asyncio.wait(in_flight, return_when=asyncio.FIRST_COMPLETED)
            within_budget &= _hand_on(finished, done)
    finally:
        for task in in_flight:
            task.cancel()
        await asyncio.gather(*in_flight, return_exceptions=True)
        kept = {task for task in in_flight if not task.cancelled() and not task.exception()}
        _hand_on(kept, done)


async def together(work: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """All results, in order; whatever happens, nothing that was begun is left running.

    Where the budget stops one, the others finish first: they are being paid for. Any other error,
    and a cancellation, gives them up.

    Raises:
        BudgetReached: the budget stopped one of them; the others are done.
        Exception: what one of them raised first.
    """
    tasks = [asyncio.ensure_future(one) for one in work]
    open_ = set(tasks)
    try:
        while open_:
            finished, open_ = await asyncio.wait(open_, return_when=asyncio.FIRST_EXCEPTION)
            for task in finished:
                if not isinstance(task.exception(), BudgetReached | None):
                    task.result()
        return [task.result() for task in tasks]
    finally:
        for task in open_:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _hand_on(
    finished: set[Task[Job, Result]], done: Callable[[Sequence[Job], Sequence[Result]], None]
) -> bool:
    """Hand on what is well before raising what is not; False when a task met the budget."""
    within_budget, error = True, None
    for task in finished:
        failed = task.exception()
        if failed is None:
            done(*task.result())
        elif isinstance(failed, BudgetReached):
            within_budget = False
        else:
            error = error or failed
    if error is not None:
        raise error
    return within_budget


def _batched(jobs: Iterator[Job], size: int) -> Iterator[Sequence[Job]]:
    while batch := list(islice(jobs, size)):
        yield batch
