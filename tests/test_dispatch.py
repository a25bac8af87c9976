from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.dispatch import dispatch, together
from judge.errors import BudgetReached, JudgeUnavailable


def run(count: int, width: int, batch_size: int) -> tuple[list[int], int]:
    seen: list[int] = []
    in_flight = most = 0

    async def work(batch: Sequence[int]) -> Sequence[int]:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        await asyncio.sleep(0)
        in_flight -= 1
        return [n * 2 for n in batch]

    def done(batch: Sequence[int], results: Sequence[int]) -> None:
        assert [n * 2 for n in batch] == list(results)
        seen.extend(batch)

    assert asyncio.run(dispatch(range(count), work, done, width=width, batch_size=batch_size))
    return seen, most


@given(st.integers(0, 60), st.integers(1, 9), st.integers(1, 7))
def test_every_job_is_done_once_and_no_more_than_the_width_at_a_time(
    count: int, width: int, batch_size: int
) -> None:
    """Whatever the width and the batch size, each result is handed on once."""
    seen, most = run(count, width, batch_size)
    assert sorted(seen) == list(range(count))
    assert most <= width


async def test_a_long_input_is_read_only_as_far_as_there_is_room() -> None:
    """With four in flight, the fifth job is not read before one is done."""
    read = 0
    release = asyncio.Event()

    def jobs() -> Iterator[int]:
        nonlocal read
        while read < 100:
            read += 1
            yield read

    async def work(batch: Sequence[int]) -> Sequence[int]:
        await release.wait()
        return batch

    running = asyncio.create_task(dispatch(jobs(), work, lambda *_: None, width=4))
    for _ in range(20):
        await asyncio.sleep(0)
    assert read == 4
    release.set()
    assert await running
    assert read == 100


async def test_results_that_are_in_are_kept_when_another_row_ends_the_run() -> None:
    """The first row's verdict was paid for: a refused key on the second does not lose it."""
    kept: list[int] = []

    async def work(batch: Sequence[int]) -> Sequence[int]:
        if batch[0] == 2:
            raise JudgeUnavailable("refused")
        return batch

    with pytest.raises(JudgeUnavailable):
        await dispatch([1, 2], work, lambda batch, _: kept.extend(batch), width=2)
    assert kept == [1]


async def test_a_spent_budget_stops_new_work_and_keeps_what_is_in_flight() -> None:
    """Rows that were sent before the budget ran out are still written."""
    kept: list[int] = []
    third_refused = asyncio.Event()

    async def work(batch: Sequence[int]) -> Sequence[int]:
        if batch[0] == 3:
            third_refused.set()
            raise BudgetReached("spent")
        await third_refused.wait()
        await asyncio.sleep(0)
        return batch

    within = await dispatch(range(1, 9), work, lambda batch, _: kept.extend(batch), width=3)
    assert within is False
    assert sorted(kept) == [1, 2]


async def test_an_interrupted_run_hands_on_what_has_come_back() -> None:
    """Cancelling the run keeps the finished row and gives up the one in flight."""
    kept: list[int] = []
    started = asyncio.Event()

    async def work(batch: Sequence[int]) -> Sequence[int]:
        if batch[0] == 2:
            started.set()
            await asyncio.Event().wait()
        return batch

    running = asyncio.create_task(
        dispatch([1, 2], work, lambda batch, _: kept.extend(batch), width=2)
    )
    await started.wait()
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert kept == [1]


async def test_together_gives_results_in_order() -> None:
    """Whoever is done first."""

    async def after(turns: int) -> int:
        for _ in range(turns):
            await asyncio.sleep(0)
        return turns

    assert await together(after(n) for n in (5, 1, 3)) == [5, 1, 3]
    assert await together(()) == []


async def test_together_leaves_nothing_running_when_it_is_cancelled() -> None:
    """Every one has ended before the cancellation goes on."""
    ended: list[int] = []

    async def wait(number: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(number)

    task = asyncio.ensure_future(together(wait(n) for n in range(3)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == [0, 1, 2]
