"""The day's money at run time: what is set aside for calls, and what calls are charged."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from guard.decision import Decision, Part, merged
from guard.engine import Asked, Guard
from guard.engine.limits import DailyBudget, PocketPurse
from guard.loading import Given
from guard.stream import StreamSession
from judge.backends.fallback import FallbackJudge
from judge.backends.panel import CascadeJudge, PanelJudge
from judge.llm.bill import billing
from judge.protocols import Judge
from judge.records import Record
from judge.testing import ScriptedJudge
from judge.verdict import Case, FailureKind, Outcome, Usage
from tests.guard.llm_made import PRICE, llm_guard, load_libraries, until
from tests.guard.made import ABUSE, LEGAL, RUBRICS, Memory, Time, WordScanner, guard, policy
from tests.openai_server import OpenAIServer, Reply, error, rate_limited
from tests.oracle import oracle

TODAY = "2026-01-01"
HANGS = Reply(hang=True)
ANSWER_USD = 1100 * PRICE[0] / 1e6  # the loopback server's usage


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    load_libraries()


class Kept(PocketPurse):
    """A purse that says what is in it, whatever the day."""

    usd = 0.0

    def add(self, day: str, usd: float) -> None:
        self.usd += usd
        super().add(day, usd)


async def ask(one: Guard, number: int = 0) -> Decision:
    asked = Asked(prompt=f"第{number}问", request_id=f"r{number}")
    return await one.look("output", [Part("text", "你好")], asked)


async def check(one: Guard) -> Decision:
    """The same, recorded."""
    return await one.check("output", [Part("text", "你好")], Asked(prompt="问"))


def kinds(decisions: Sequence[Decision]) -> list[str]:
    return [one.missed[0].kind if one.missed else one.status for one in decisions]


async def settled(purse: Kept, usd: float) -> None:
    """Wait until calls that were broken off have ended and are settled."""
    await until(lambda: purse.usd == pytest.approx(usd))


def most(judge: Judge) -> float:
    """What the judge says that a case of `ask` may cost."""
    record = Record(id="r0", prompt="第0问", response="你好")
    return judge.most_usd(Case(record=record, rubric=RUBRICS["Legality"], response="你好"))


async def test_a_call_that_is_cut_at_the_deadline_is_charged_the_most_it_may_have_cost() -> None:
    """The provider bills it all the same: prompt, and an answer as long as it may be."""
    purse = Kept()
    given = Given(scanner=WordScanner(), purse=purse)
    with OpenAIServer(HANGS) as server:
        async with llm_guard(server, given, deadline_s=0.3, budget_usd_per_day=1.0) as one:
            assert most(one.judge) > 2048 * PRICE[1] / 1e6
            assert kinds([await ask(one)]) == ["deadline"]
            await settled(purse, most(one.judge))
            assert kinds([await ask(one, 1), await ask(one, 2)]) == ["deadline", "budget"]
        assert len(server.requests) == 2


async def test_a_call_that_times_out_by_itself_is_charged_too() -> None:
    """The model's own patience ends before the deadline."""
    purse = Kept()
    given = Given(scanner=WordScanner(), purse=purse)
    with OpenAIServer(HANGS) as server:
        llm = {"timeout_s": 0.2}
        async with llm_guard(server, given, llm=llm, budget_usd_per_day=1) as one:
            assert kinds([await ask(one)]) == ["timeout"]
            assert purse.usd == pytest.approx(most(one.judge))


async def test_a_check_that_never_came_to_its_call_costs_nothing() -> None:
    """It waited behind another one until its deadline."""
    purse = Kept()
    given = Given(scanner=WordScanner(), purse=purse)
    with OpenAIServer(HANGS) as server:
        more: dict[str, Any] = {"llm": {"concurrency": 1}, "deadline_s": 0.3}
        async with llm_guard(server, given, budget_usd_per_day=9, **more) as one:
            await one.warm()  # so that both begin at once
            assert kinds(await asyncio.gather(ask(one), ask(one, 1))) == ["deadline"] * 2
            await settled(purse, most(one.judge))
        assert len(server.requests) == 1


async def test_a_call_that_the_provider_refuses_is_no_unknown_cost() -> None:
    """One 429, or a fault at the provider's, doesn't use up the day."""
    purse = Kept()
    given = Given(scanner=WordScanner(), purse=purse)
    replies = (rate_limited(), error(500, {"error": "down"}))

    def script(request: dict[str, Any], number: int) -> Reply:
        return replies[number] if number < 2 else oracle()(request, number)

    with OpenAIServer(script) as server:
        async with llm_guard(server, given, budget_usd_per_day=1) as one:
            found = [await ask(one, number) for number in range(3)]
    assert kinds(found) == ["rate_limited", "unavailable", "allowed"]
    assert purse.usd == pytest.approx(ANSWER_USD)


async def test_calls_at_once_overdraw_a_day_by_one_of_them() -> None:
    """What each may cost is set aside before it is asked, from the first one on."""
    purse = Kept()
    given = Given(scanner=WordScanner(), purse=purse)
    with OpenAIServer(oracle()) as server:
        async with llm_guard(server, given, budget_usd_per_day=1.0) as one:
            assert 0.5 < most(one.judge) < 1.0
            found = kinds(await asyncio.gather(*(ask(one, number) for number in range(10))))
            assert sorted(found) == ["allowed"] * 2 + ["budget"] * 8
            assert purse.usd == pytest.approx(2 * ANSWER_USD)
            assert kinds([await ask(one, 11)]) == ["allowed"]  # what was set aside is back


class Priced(ScriptedJudge):
    """Says what it costs at most."""

    def __init__(self, usd: float) -> None:
        super().__init__(lambda _: 3)
        self._usd = usd

    def most_usd(self, case: Case) -> float:
        return self._usd


def test_judges_of_several_may_cost_what_all_of_them_may() -> None:
    """Members, steps and fallbacks: whoever may be asked is paid for."""
    one, two = Priced(0.25), Priced(0.5)
    several = (PanelJudge([one, two]), CascadeJudge(one, two), FallbackJudge(one, [two]))
    assert [most(judge) for judge in several] == [0.75] * 3
    assert most(ScriptedJudge(lambda _: 3)) == 0.0


class Dear(ScriptedJudge):
    """Says no price before, and costs a dollar a case; answers when it is let."""

    def __init__(self, cost: float = 1.0) -> None:
        super().__init__(lambda _: 3)
        self._cost, self.may_answer = cost, asyncio.Event()

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        outcomes = await super().assess(cases)
        await self.may_answer.wait()
        more = {"cost_usd": self._cost, "usage": Usage(prompt=1)}
        return [outcome.model_copy(update=more) for outcome in outcomes]


class Remembers(ScriptedJudge):
    """Answers with what was paid for long ago."""

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        outcomes = await super().assess(cases)
        return [one.model_copy(update={"cost_usd": 5.0, "cached": True}) for one in outcomes]


async def test_a_judge_that_says_no_price_is_taken_to_cost_what_it_has_cost() -> None:
    """Its first call is waited for; then calls run at once, and stop where the money does."""
    judge, purse = Dear(), Kept()
    one = guard(policy(LEGAL, budget_usd_per_day=2.5), judge, purse=purse)
    asking = [asyncio.ensure_future(ask(one, number)) for number in range(10)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(judge.seen) == 1
    judge.may_answer.set()
    assert sorted(kinds(await asyncio.gather(*asking))) == ["allowed"] * 3 + ["budget"] * 7
    assert purse.usd == pytest.approx(3.0)


async def test_an_event_says_what_the_judges_answers_cost() -> None:
    """Whoever reads the log can tell where the money went."""
    sink = Memory()
    with OpenAIServer(oracle()) as server:
        given = Given(scanner=WordScanner(), sinks=[sink])
        async with llm_guard(server, given) as one:
            assert (await check(one)).status == "allowed"
    assert [event.cost_usd for event in sink.events] == [pytest.approx(ANSWER_USD)]


async def test_a_cost_that_nobody_knows_is_null_and_takes_nothing_from_a_known_one() -> None:
    """A judge without a price, an answer kept from before, and no judge asked at all."""
    sink, judge = Memory(), Dear(0.25)
    judge.may_answer.set()
    for plan, asked in (
        (policy(LEGAL), ScriptedJudge(lambda _: 3)),
        (policy(LEGAL), Remembers(lambda _: 3)),
        (policy(ABUSE), judge),
        (policy(LEGAL), judge),
    ):
        await check(guard(plan, asked, sinks=(sink,)))
    assert [event.cost_usd for event in sink.events] == [None, None, None, 0.25]
    free = await ask(guard(policy(ABUSE), judge))
    paid = await ask(guard(policy(LEGAL), judge))
    assert merged(free, paid).cost_usd == merged(paid, free).cost_usd == 0.25


async def test_a_streams_event_says_what_all_looks_cost() -> None:
    """Each window was judged, and then the whole answer."""
    sink, judge = Memory(), Dear(0.25)
    judge.may_answer.set()
    stream = {"mode": "window", "window": 80, "overlap": 40}
    one = guard(policy(LEGAL, stream=stream), judge, sinks=(sink,))
    session = StreamSession(one, Asked(prompt="你好"))
    await session.feed(0, "content", "好" * 200)
    await session.finish(0)
    await session.close()
    [event] = sink.events
    assert len(judge.seen) > 2
    assert event.cost_usd == 0.25 * len(judge.seen)


async def test_without_a_limit_no_call_waits_for_another() -> None:
    """Whoever sets no budget pays with no time either."""
    judge = Dear()
    one = guard(policy(LEGAL), judge)
    asking = [asyncio.ensure_future(ask(one, number)) for number in range(10)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(judge.seen) == 10
    judge.may_answer.set()
    assert kinds(await asyncio.gather(*asking)) == ["allowed"] * 10


async def test_a_user_who_leaves_is_charged_for_all_the_same() -> None:
    """A call that was begun is billed, whoever still waits for it."""
    purse = Kept()
    given = Given(scanner=WordScanner(), purse=purse)
    with OpenAIServer(HANGS) as server:
        async with llm_guard(server, given, budget_usd_per_day=9) as one:
            left = asyncio.ensure_future(ask(one))
            await until(lambda: bool(server.requests))
            left.cancel()
            await asyncio.wait([left])
            await settled(purse, most(one.judge))


def test_money_that_was_set_aside_before_midnight_is_settled_on_its_own_day() -> None:
    """The new day begins with nothing spent, and with no credit either."""
    time, purse = Time(), PocketPurse()
    budget = DailyBudget(2.0, purse, time.now)
    held = budget.hold(1.5)
    assert purse.spent(TODAY) == 1.5
    time.today += timedelta(days=1)
    budget.settle(budget.hold(0.5), 0.7)
    budget.settle(held, 0.1)
    assert purse.spent("2026-01-02") == pytest.approx(0.7)


async def test_a_purse_that_locks_while_a_call_runs_takes_nothing_from_what_was_found() -> None:
    """The verdict counts, and what was set aside stays counted."""

    class Locks(Kept):
        locked = False

        def add(self, day: str, usd: float) -> None:
            if self.locked:
                raise OSError(day)
            super().add(day, usd)

    purse = Locks()

    class Harmful(ScriptedJudge):
        def most_usd(self, case: Case) -> float:
            return 0.5

        async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
            purse.locked = True
            more = {"cost_usd": 0.1}
            return [one.model_copy(update=more) for one in await super().assess(cases)]

    plan = policy(LEGAL, on_failure="allow", budget_usd_per_day=1.0)
    decision = await ask(guard(plan, Harmful(lambda _: 0.1), purse=purse))
    assert (decision.status, decision.missed) == ("blocked", ())
    assert purse.usd == 0.5


@pytest.mark.parametrize("kind", [FailureKind.UNAVAILABLE, FailureKind.OVERSIZE])
async def test_a_failure_without_a_bill_leaves_the_money_as_it_was(kind: FailureKind) -> None:
    """Also where the judge counts the tokens of calls that brought none."""
    purse = Kept()

    class Fails(ScriptedJudge):
        async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
            more = {"usage": Usage()}
            return [one.model_copy(update=more) for one in await super().assess(cases)]

    one = guard(policy(LEGAL, budget_usd_per_day=1.0), Fails(lambda _: kind), purse=purse)
    assert kinds([await ask(one)]) == [kind]
    assert purse.usd == 0.0


async def test_a_provider_that_asks_to_wait_beyond_the_deadline_is_not_waited_for() -> None:
    """What is wrong is told at once, by its own name, and costs nothing: nobody was billed."""
    purse = Kept()
    given = Given(scanner=WordScanner(), purse=purse)
    with OpenAIServer(rate_limited("60")) as server:
        more: dict[str, Any] = {"llm": {"retries": 3}, "deadline_s": 5.0}
        async with llm_guard(server, given, budget_usd_per_day=0.5, **more) as one:
            assert kinds([await ask(one, number) for number in range(3)]) == ["rate_limited"] * 3
        assert len(server.requests) == 3
    assert purse.usd == 0.0


@pytest.mark.parametrize(("ended", "usd"), [(True, 0.0), (False, 0.5)])
async def test_a_check_that_is_cut_between_two_tries_is_charged_for_none(
    *, ended: bool, usd: float
) -> None:
    """Only a call that is under way then may be billed; a 429 before it is not."""
    purse = Kept()

    class Tries(ScriptedJudge):
        def most_usd(self, case: Case) -> float:
            return 0.5

        async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
            with billing() as own:  # as a judge counts the calls of each case
                own.sent()
                if ended:
                    own.ended()
                await asyncio.Event().wait()
            return []

    plan = policy(LEGAL, deadline_s=0.01, budget_usd_per_day=9)
    assert kinds([await ask(guard(plan, Tries(lambda _: 3), purse=purse))]) == ["deadline"]
    await settled(purse, usd)
    assert purse.usd == usd


@pytest.mark.parametrize("jump", [timedelta(days=1), timedelta(days=3650), timedelta(days=-2)])
def test_a_clock_that_was_wrong_for_a_moment_gives_no_day_its_money_again(jump: timedelta) -> None:
    """Nor is what is spent afterwards forgotten; and only the last days are known."""
    time, purse = Time(), PocketPurse()
    budget = DailyBudget(2.0, purse, time.now)
    budget.spend(1.5)
    time.today += jump
    budget.settle(budget.hold(0.5), 0.7)
    time.today -= jump
    assert (budget.open, purse.spent(TODAY)) == (True, 1.5)
    budget.settle(budget.hold(0.5), 0.7)
    assert (budget.open, purse.spent(TODAY)) == (False, pytest.approx(2.2))
    for _ in range(50):
        time.today += timedelta(days=1)
        budget.spend(0.1)
    assert purse.spent(TODAY) == 0
