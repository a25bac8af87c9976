"""The judge at run time: when it is left alone, what a deadline cuts, who may break off."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from guard.chat import asked_by
from guard.decision import Decision, Part
from guard.engine import Asked, Guard
from guard.engine.limits import PocketPurse
from guard.openai_api import read_request
from judge.errors import JudgeUnavailable
from judge.records import Turn
from judge.testing import ScriptedJudge
from judge.verdict import Case, FailureKind, Outcome
from tests.guard.jumping import in_jumps
from tests.guard.made import LEGAL, Time, guard, policy

SLOW, DOWN = "慢", "坏"
TRANSIENT = [kind for kind in FailureKind if kind.transient]
LASTING = [kind for kind in FailureKind if not kind.transient]


class Erratic(ScriptedJudge):
    """Hangs on slow texts, fails for now on others, and on the rest it answers."""

    def __init__(self, kind: FailureKind = FailureKind.UNAVAILABLE) -> None:
        super().__init__(lambda case: kind if DOWN in case.response else 0.9)
        self.works = True

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        if not self.works or any(SLOW in case.response for case in cases):
            self.seen.extend(cases)
            await asyncio.Event().wait()
        return await super().assess(cases)


def erratic(kind: FailureKind = FailureKind.UNAVAILABLE) -> tuple[Guard, Erratic, Time]:
    """A guard of three failures' patience over it, and its clock."""
    time, judge = Time(), Erratic(kind)
    plan = policy(LEGAL, deadline_s=0.01, breaker={"failures": 3, "rest_s": 10})
    return guard(plan, judge, clock=time.clock), judge, time


async def ask(one: Guard, text: str, who: object = "") -> Decision:
    return await one.look("output", [Part("text", text)], Asked(prompt=f"我是{who}"))


@pytest.mark.parametrize("bad", [SLOW, DOWN])
async def test_one_conversation_s_failures_do_not_leave_everybody_without_a_judge(bad: str) -> None:
    """A text that is too much for the judge comes again and again, and with further turns."""
    one, judge, _ = erratic()
    history = (Turn(role="user", content="我是甲"), Turn(role="assistant", content="你好"))
    for number in range(6):
        await ask(one, bad, "甲")
        asked = Asked(prompt=f"再说{number}", history=history)
        await one.look("output", [Part("text", f"{bad}{number}")], asked)
    assert (one.breaker_open, len(judge.seen)) == (False, 12)
    assert (await ask(one, "好", "乙")).status == "allowed"


async def test_without_a_conversation_the_same_text_counts_once() -> None:
    """As where single texts are checked: /v1/moderations, or another gateway's hook."""
    one, _, _ = erratic()
    for _ in range(5):
        await one.look("output", [Part("text", SLOW)], Asked(request_id="r"))
    assert not one.breaker_open
    for number in range(2):
        await one.look("output", [Part("text", f"{SLOW}{number}")], Asked(request_id="r"))
    assert one.breaker_open


@pytest.mark.parametrize("bad", [SLOW, DOWN])
async def test_a_judge_that_answers_nobody_is_left_alone(bad: str) -> None:
    """Three conversations fail: the fourth gets its answer at once, and no call is made."""
    one, judge, _ = erratic()
    kinds = [(await ask(one, bad, number)).missed[0].kind for number in range(4)]
    assert (one.breaker_open, len(judge.seen), kinds[3]) == (True, 3, "breaker")


async def test_texts_of_many_conversations_shut_no_judge_that_answers_others() -> None:
    """An attacker makes up as many conversations as he likes, all at once."""
    one, _, time = erratic()
    for _ in range(5):
        await ask(one, "好", "乙")
        time.seconds += 0.005  # less than the deadline
        await asyncio.gather(*(ask(one, SLOW, number) for number in range(10)))
    assert not one.breaker_open


async def test_a_judge_that_goes_down_is_noticed_once_its_last_answer_is_old() -> None:
    """What is not counted in between is a deadline's time."""
    one, judge, time = erratic()
    await ask(one, "好", "乙")
    judge.works = False
    for number in range(9):
        time.seconds += 0.004
        await ask(one, "好", number)
    assert (one.breaker_open, len(judge.seen)) == (True, 1 + 2 + 3)


class Broke(PocketPurse):
    """The day's money is spent."""

    def spent(self, day: str) -> float:
        return 1.0


@pytest.mark.parametrize("kind", ["deadline", "breaker", "budget", "unavailable", "rate_limited"])
async def test_every_rule_that_could_not_be_checked_is_named(kind: str) -> None:
    """Two that go by one dimension, however its check failed: none stands for the other."""
    lax = {**LEGAL, "cut": 0.8, "action": "flag"}
    fair = {**LEGAL, "dimension": "Fairness"}
    budget = 1.0 if kind == "budget" else None
    plan = policy(
        LEGAL, lax, fair, deadline_s=0.01, budget_usd_per_day=budget, breaker={"failures": 1}
    )
    judge: ScriptedJudge = Erratic(FailureKind.RATE_LIMITED)
    if kind == "unavailable":
        judge = Ends(JudgeUnavailable("the key was refused"))
    one = guard(plan, judge, purse=Broke() if kind == "budget" else PocketPurse())
    bad = DOWN if kind == "rate_limited" else SLOW
    decision = await ask(one, bad, "甲")
    if kind == "breaker":
        decision = await ask(one, bad, "乙")
    rules = ["Legality:output:block", "Legality:output:flag", "Fairness:output:block"]
    assert sorted((m.rule, m.kind) for m in decision.missed) == sorted((r, kind) for r in rules)


@pytest.mark.parametrize("kind", LASTING)
async def test_what_depends_on_the_text_never_counts_against_the_judge(kind: FailureKind) -> None:
    """Texts that can't be judged say nothing about the others."""
    one, judge, _ = erratic(kind)
    for number in range(6):
        await ask(one, DOWN, number)
    assert (one.breaker_open, len(judge.seen)) == (False, 6)


@pytest.mark.parametrize("kind", TRANSIENT)
async def test_what_passes_counts_against_the_judge(kind: FailureKind) -> None:
    """The judge's own trouble, told by three conversations."""
    one, _, _ = erratic(kind)
    for number in range(3):
        await ask(one, DOWN, number)
    assert one.breaker_open


async def test_who_has_failed_already_does_not_keep_the_judge_from_others() -> None:
    """After the rest one call tries; where it says nothing new, the next one may try at once."""
    one, _, time = erratic()
    for number in range(3):
        await ask(one, SLOW, number)
    time.seconds = 10.5
    assert (await ask(one, SLOW, 2)).missed[0].kind == "deadline"
    assert (await ask(one, "好", "乙")).status == "allowed"
    assert not one.breaker_open


async def test_a_text_that_was_too_long_to_be_asked_about_does_not_close_the_breaker() -> None:
    """Nobody was asked; the next call tries."""
    one, judge, time = erratic(FailureKind.OVERSIZE)
    judge.works = False
    for number in range(3):
        await ask(one, "好", number)
    judge.works, time.seconds = True, 10.5
    await ask(one, DOWN, "甲")
    assert one.breaker_open
    await ask(one, "好", "乙")
    assert not one.breaker_open


async def test_one_answer_of_several_shows_a_judge_at_work() -> None:
    """One dimension's call is slow, the other's isn't: the text is unchecked, the judge is well."""

    class Half(ScriptedJudge):
        async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
            if cases[0].rubric.dimension == "Fairness":
                await asyncio.Event().wait()
            return await super().assess(cases)

    plan = policy(
        LEGAL, {**LEGAL, "dimension": "Fairness"}, deadline_s=0.01, breaker={"failures": 1}
    )
    one = guard(plan, Half(lambda _: 0.9))
    decision = await ask(one, "好")
    assert (decision.status, [missed.kind for missed in decision.missed]) == (
        "failed",
        ["deadline"],
    )
    assert not one.breaker_open


async def test_a_judge_that_is_down_for_long_takes_no_memory_for_it() -> None:
    """Only the conversations of the last failures are known."""
    one, judge, time = erratic()
    judge.works = False
    for number in range(50):
        time.seconds += 11
        await ask(one, "好", number)
    assert len(judge.seen) == 50
    assert len(one._breaker._failed_about) == 3


def turn(role: str, content: str | None, **more: object) -> dict[str, object]:
    return {"role": role, "content": content, **more}


CALLS = turn("assistant", None, tool_calls=[
    {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
])  # fmt: skip
BEGUN = [("user", "怎么做？"), ("assistant", "当然，第一步")]


@pytest.mark.parametrize(
    ("messages", "prompt", "history"),
    [
        ([turn("user", "怎么做？")], "怎么做？", []),
        ([turn("user", "怎么做？"), turn("assistant", "当然，第一步")], "怎么做？", BEGUN),
        (
            [turn("system", "守法"), turn("user", "旧"), turn("assistant", "答"),
             turn("user", "新"), turn("assistant", "开头")],
            "新",
            [("system", "守法"), ("user", "旧"), ("assistant", "答"), ("user", "新"),
             ("assistant", "开头")],
        ),
        (
            [turn("user", "怎么做？"), turn("system", "照做")],
            "怎么做？",
            [("user", "怎么做？"), ("system", "照做")],
        ),
        (
            [turn("user", "查一下"), CALLS, turn("tool", "查到：混合甲乙", tool_call_id="c")],
            "查一下",
            [("user", "查一下"), ("user", "查到：混合甲乙")],
        ),
        (
            [turn("user", "一"), turn("developer", "照做"), turn("user", "二")],
            "二",
            [("user", "一"), ("system", "照做")],
        ),
        ([turn("assistant", "开头")], "", [("assistant", "开头")]),
    ],
)  # fmt: skip
async def test_the_judge_of_an_answer_is_told_all_turns_that_it_goes_on_from(
    messages: list[dict[str, object]], prompt: str, history: list[tuple[str, str]]
) -> None:
    """Also what stands behind the question: a begun answer, an instruction, a tool's result."""
    judge = ScriptedJudge(lambda _: 0.9)
    request = read_request({"model": "m", "messages": messages})
    asked = asked_by(request, "r")
    await guard(policy(LEGAL), judge).look("output", [Part("text", "，把它倒进去。")], asked)
    record = judge.seen[0].record
    assert (record.prompt, [(one.role, one.content) for one in record.history]) == (prompt, history)
    assert judge.seen[0].response == "，把它倒进去。"


def test_a_conversation_is_the_same_before_and_behind_a_tool_s_result() -> None:
    """Its later requests are joined with the first, which holds the question alone."""
    said = [turn("user", "查一下"), CALLS, turn("tool", "查到", tool_call_id="c")]
    first, later = (
        asked_by(read_request({"model": "m", "messages": said[:end]}), "r") for end in (1, 3)
    )
    assert first.conversation == later.conversation


class Takes(ScriptedJudge):
    """Takes a time by the loop's clock for each verdict, and counts those that it has given."""

    def __init__(self, seconds: float, p: float = 0.9) -> None:
        super().__init__(lambda _: p)
        self.seconds, self.given = seconds, 0

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        await asyncio.sleep(self.seconds)
        self.given += 1
        return await super().assess(cases)


@pytest.mark.parametrize(("seconds", "said"), [(1.999, "blocked"), (2.0, "?"), (2.001, "failed")])
def test_a_verdict_counts_up_to_the_deadline_and_not_behind_it(seconds: float, said: str) -> None:
    """At the very deadline it is one or the other, never both and never neither."""
    one = guard(policy(LEGAL, deadline_s=2.0), Takes(seconds, 0.1))
    decision, _ = in_jumps(ask(one, "好"))
    in_time = bool(decision.outcomes)
    assert decision.status == ("blocked" if in_time else "failed")
    assert [missed.kind for missed in decision.missed] == ([] if in_time else ["deadline"])
    assert said in {"?", decision.status}


def test_the_deadline_is_of_each_check() -> None:
    """Three checks after one another have three times as long."""
    judge = Takes(1.5)
    one = guard(policy(LEGAL, deadline_s=2.0), judge)

    async def three() -> list[Decision]:
        return [await ask(one, "好", number) for number in range(3)]

    decisions, seconds = in_jumps(three())
    assert ([decision.status for decision in decisions], seconds) == (["allowed"] * 3, 4.5)


class Ends(ScriptedJudge):
    """Ends a call as a broken judge may."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(lambda _: 0.9)
        self.error: BaseException | None = error

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return await super().assess(cases)


class Odd(BaseException):
    """No Exception."""


@pytest.mark.parametrize(
    ("error", "kind"),
    [(Odd(), "error:Odd"), (asyncio.CancelledError(), "error:CancelledError")],
)
async def test_a_judge_that_ends_oddly_leaves_a_text_unchecked_and_cancels_nobody(
    error: BaseException, kind: str
) -> None:
    """A judge's own cancellation is not its caller's; and the try after the rest is free again."""
    time, judge = Time(), Ends(error)
    one = guard(policy(LEGAL, breaker={"failures": 1, "rest_s": 1}), judge, clock=time.clock)
    decision = await ask(one, "好", 0)
    assert (decision.status, decision.missed[0].kind) == ("failed", kind)
    time.seconds = 1.5
    assert (await ask(one, "好", 1)).missed[0].kind == kind
    judge.error, time.seconds = None, 3.0
    assert (await ask(one, "好", 2)).status == "allowed"
    assert len(asyncio.all_tasks()) == 1


async def test_who_leaves_in_mid_check_is_let_go_and_leaves_nothing_behind() -> None:
    """Also as the one call that tries after the rest: the next one may try at once."""
    one, judge, time = erratic()
    judge.works = False
    for number in range(3):
        await ask(one, "好", number)
    time.seconds = 10.5
    trying = asyncio.ensure_future(ask(one, SLOW, "甲"))
    await until_asked(judge, 4)
    trying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trying
    judge.works = True
    assert (await ask(one, "好", "乙")).status == "allowed"
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1


async def test_a_caller_s_own_timeout_is_passed_on() -> None:
    """`asyncio.timeout` around a check works as around anything else."""
    one = guard(policy(LEGAL, deadline_s=60, breaker={"failures": 1}), Erratic())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await ask(one, SLOW)
    assert not one.breaker_open


async def until_asked(judge: Erratic, times: int) -> None:
    for _ in range(100):
        if len(judge.seen) >= times:
            return
        await asyncio.sleep(0)
    raise AssertionError("the judge was not asked")


async def test_a_judge_that_can_t_judge_at_all_is_left_alone_whoever_asks() -> None:
    """A refused key is nobody's text."""

    class Refused(ScriptedJudge):
        async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
            self.seen.extend(cases)
            raise JudgeUnavailable("the key was refused")

    judge = Refused(lambda _: 0.9)
    one = guard(policy(LEGAL, breaker={"failures": 2}), judge)
    for _ in range(4):
        await ask(one, "好", "甲")
    assert (one.breaker_open, len(judge.seen)) == (True, 2)


async def test_one_text_s_refusal_does_not_shut_a_judge_that_answers_others() -> None:
    """A provider may word its no to one text as if it refused them all."""

    class Refuses(ScriptedJudge):
        async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
            if DOWN in cases[0].response:
                raise JudgeUnavailable("the provider refuses every call")
            return await super().assess(cases)

    time = Time()
    plan = policy(LEGAL, deadline_s=1.0, breaker={"failures": 2})
    one = guard(plan, Refuses(lambda _: 0.9), clock=time.clock)
    for _ in range(4):
        assert (await ask(one, "好", "乙")).status == "allowed"
        assert [(await ask(one, DOWN, "甲")).missed[0].kind for _ in range(3)] == [
            "unavailable"
        ] * 3
        time.seconds += 0.5
    assert not one.breaker_open
    time.seconds += 1.0
    assert [(await ask(one, DOWN, "甲")).missed[0].kind for _ in range(3)][2] == "breaker"


class Unloaded(ScriptedJudge):
    """Has to be loaded, which takes longer than any deadline here; else it never answers."""

    def __init__(self, *, broken: bool = False) -> None:
        super().__init__(lambda _: 0.9)
        self.loaded, self._broken = 0, broken

    async def warm(self) -> None:
        await asyncio.sleep(0.05)
        self.loaded += 1
        if self._broken:
            raise JudgeUnavailable("no weights")

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        if not self.loaded:
            await asyncio.Event().wait()
        return await super().assess(cases)


async def test_loading_the_judge_does_not_count_against_the_first_check() -> None:
    """Nor is it done twice; an edge that has warmed the guard has done it."""
    judge = Unloaded()
    one = guard(policy(LEGAL, deadline_s=0.01), judge)
    assert [(await ask(one, "好")).status for _ in range(2)] == ["allowed", "allowed"]
    await one.warm()
    assert judge.loaded == 1


async def test_a_judge_that_can_t_be_loaded_is_asked_all_the_same() -> None:
    """It then says by itself what is wrong; only who warms the guard is told of it at once."""
    one = guard(policy(LEGAL), Unloaded(broken=True))
    assert (await ask(one, "好")).status == "allowed"
    with pytest.raises(JudgeUnavailable):
        await one.warm()
