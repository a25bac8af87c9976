"""One guard in several event loops: the application's, and the one that serves synchronous code."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from guard.decision import Part
from guard.engine import Asked, Guard
from judge.testing import ScriptedJudge
from judge.verdict import Case, Outcome
from tests.guard.made import LEGAL, guard, policy

PATIENCE_S = 10.0  # of a test that fails


class Meeting(ScriptedJudge):
    """Loads, or answers, once two loops ask it to."""

    def __init__(self, *, loads: bool) -> None:
        super().__init__(lambda _: 0.9)
        self._loads, self._both = loads, threading.Barrier(2, timeout=PATIENCE_S)

    async def warm(self) -> None:
        if self._loads:
            await asyncio.to_thread(self._both.wait)

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        if not self._loads:
            await asyncio.to_thread(self._both.wait)
        return await super().assess(cases)


def in_two_loops(one: Guard, texts: int = 3) -> list[str]:
    """The statuses of texts that are checked at once in two loops; less where one hangs."""
    told: list[str] = []

    async def ask() -> None:
        looks = [one.look("output", [Part("text", "好")], Asked()) for _ in range(texts)]
        told.extend(look.status for look in await asyncio.gather(*looks))

    threads = [threading.Thread(target=asyncio.run, args=(ask(),), daemon=True) for _ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * PATIENCE_S)
    return told


def test_a_guard_that_two_loops_begin_to_use_at_once_answers_both() -> None:
    """Else the one waits for ever for the other to have loaded the judge, whatever the deadline."""
    assert in_two_loops(guard(policy(LEGAL, deadline_s=60), Meeting(loads=True))) == ["allowed"] * 6


@pytest.mark.parametrize("budget", [None, 1.0])
def test_first_answers_in_two_loops_wait_for_none_of_the_other(budget: float | None) -> None:
    """Also where money is limited, so that a first one is waited for to know what it costs."""
    plan = policy(LEGAL, deadline_s=60, budget_usd_per_day=budget)
    one = guard(plan, Meeting(loads=False))
    assert in_two_loops(one, texts=1) == ["allowed"] * 2
