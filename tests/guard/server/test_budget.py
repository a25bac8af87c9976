"""The day's money for records: what many calls at once may take of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from guard.server.counters import Counters
from judge.errors import BudgetReached
from judge.testing import ScriptedJudge
from judge.verdict import Case, Outcome
from tests.guard.server.records import (
    bench_of,
    judging,
    lines,
    opinion,
    reaches,
    row,
    submitted,
)


class SlowJudge(ScriptedJudge):
    """Takes a while and a dollar for each case; knows how many it was asked at once."""

    def __init__(self, usd: float = 1.0) -> None:
        super().__init__(opinion, name="slow")
        self._usd, self._now = usd, 0
        self.most = 0

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            await asyncio.sleep(0.01)
            outcomes = await super().assess(cases)
        finally:
            self._now -= 1
        return [outcome.model_copy(update={"cost_usd": self._usd}) for outcome in outcomes]


async def test_calls_at_once_do_not_overdraw_the_day_s_money(tmp_path: Path) -> None:
    """Sixteen could be under way when the last dollar is spent."""
    judge = SlowJudge()
    bench = bench_of(judge, usd=9.0, purse=Counters())
    async with judging(judge, tmp_path, bench=bench) as served:
        run = await submitted(served, lines([row(n) for n in range(40)]))
        told = await reaches(served, run, lambda one: one["phase"] == "paused")
    assert (told["judged"], told["problem"]) == (9, "the day's budget is spent")
    assert len(judge.seen) == 9
    assert judge.most > 1


async def test_workers_do_not_overdraw_the_money_that_they_share(tmp_path: Path) -> None:
    """Each counts the other's calls while they are under way, and not once they are paid."""
    judges = [SlowJudge(), SlowJudge()]
    purses = [Counters(tmp_path / "counters.sqlite") for _ in judges]
    benches = [
        bench_of(judge, usd=20.0, purse=purse) for judge, purse in zip(judges, purses, strict=True)
    ]
    async with (
        judging(judges[0], tmp_path, bench=benches[0]) as one,
        judging(judges[1], tmp_path, bench=benches[1]) as other,
    ):
        runs = [await submitted(one, lines([row(n * 30 + i) for i in range(30)])) for n in range(4)]
        for run in runs:
            await reaches(other, run, lambda told: told["phase"] == "paused")
    assert 20 <= len(judges[0].seen) + len(judges[1].seen) <= 21  # each may still take one


async def test_records_of_one_request_do_not_overdraw_the_money() -> None:
    """A hundred of them are asked about at once."""
    judge = SlowJudge()
    async with judging(judge, bench=bench_of(judge, usd=5.0)) as served:
        answer = await served.post("/v1/judge", {"records": [row(n) for n in range(100)]})
    kinds = [result.get("kind", result["type"]) for result in answer.json["results"]]
    assert (kinds.count("verdict"), kinds.count("quota")) == (5, 95)
    assert len(judge.seen) == 5


async def test_a_judge_that_says_itself_that_its_money_is_spent_is_not_asked_for_ever() -> None:
    """Those under way are waited for, and then it is believed."""

    class Broke(SlowJudge):
        left = 3

        async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
            self.left -= 1
            if self.left < 0:
                raise BudgetReached("the judge's own money is spent")
            return await super().assess(cases)

    judge = Broke()
    async with asyncio.timeout(10), judging(judge, bench=bench_of(judge, usd=100.0)) as served:
        answer = await served.post("/v1/judge", {"records": [row(n) for n in range(50)]})
    kinds = {result.get("kind", result["type"]) for result in answer.json["results"]}
    assert kinds == {"verdict", "quota"}


async def test_without_a_limit_nothing_waits_for_the_first_call(tmp_path: Path) -> None:
    """Whoever sets no budget pays with no time either."""
    judge = SlowJudge()
    async with judging(judge, tmp_path) as served:
        run = await submitted(served, lines([row(n) for n in range(16)]))
        await reaches(served, run, lambda told: told["phase"] == "done")
    assert judge.most == 16


@pytest.mark.parametrize("usd", [0.0, 1e-9])
async def test_a_judge_that_costs_next_to_nothing_is_not_held_back(usd: float) -> None:
    """A limit doesn't make a free judge slow: twice as many are asked with each answer."""
    judge = SlowJudge(usd)
    async with judging(judge, bench=bench_of(judge, usd=5.0)) as served:
        await served.post("/v1/judge", {"records": [row(n) for n in range(100)]})
    assert judge.most > 20
