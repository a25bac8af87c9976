"""One text through the guard: what is decided, and what becomes of checks that fail."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Sequence
from datetime import timedelta

import pytest

from guard.decision import Part, merged
from guard.engine.asking import PIECE, Asked
from judge.errors import JudgeUnavailable
from judge.records import Turn
from judge.testing import ScriptedJudge
from judge.verdict import Case, FailureKind, Hazard, Outcome, Usage
from tests.guard.made import (
    ABUSE,
    BAD,
    LEGAL,
    SECRET,
    FullDisk,
    Memory,
    Time,
    WordScanner,
    guard,
    policy,
)

ASKED = Asked(prompt="你好", request_id="r1")


def part(text: str) -> list[Part]:
    return [Part("choices[0].message.content", text)]


async def test_what_no_rule_finds_is_allowed() -> None:
    """The ordinary case."""
    decision = await guard().check("output", part("你好呀"), ASKED)
    assert (decision.status, decision.stops) == ("allowed", False)


async def test_evidence_is_blocked_on_its_side_alone() -> None:
    """A rule about answers doesn't stop a question."""
    one = guard()
    assert (await one.check("output", part(BAD), ASKED)).status == "blocked"
    assert (await one.check("input", part(BAD), ASKED)).status == "allowed"


async def test_a_rule_about_pii_covers_all_of_its_kinds_and_a_kind_only_itself() -> None:
    """`pii` is `pii:mobile` too; `pii:card` isn't."""
    every = guard(policy({"evidence": "pii", "action": "block"}))
    card = guard(policy({"evidence": "pii:card", "action": "block"}))
    assert (await every.check("output", part(SECRET), ASKED)).stops
    assert not (await card.check("output", part(SECRET), ASKED)).stops


async def test_the_most_severe_rule_decides_and_all_are_recorded() -> None:
    """A flag doesn't hide a block."""
    sink = Memory()
    one = guard(policy({"evidence": "pii", "action": "flag"}, ABUSE), sinks=(sink,))
    decision = await one.check("output", part(BAD + SECRET), ASKED)
    assert decision.status == "blocked"
    assert {rule.rule for rule in sink.events[0].rules} == {"abuse:output:block", "pii:output:flag"}


async def test_a_dimension_is_judged_with_the_conversation_around_it() -> None:
    """The newest answer is judged; the turns before it are context."""
    judge = ScriptedJudge(lambda case: 0.2 if "偷税" in case.response else 0.9)
    one = guard(policy(LEGAL), judge)
    history = (Turn(role="user", content="第一问"),)
    asked = Asked(prompt="第二问", history=history)
    assert (await one.check("output", part("可以这样偷税"), asked)).status == "blocked"
    assert (await one.check("output", part("请依法纳税"), asked)).status == "allowed"
    case = judge.seen[0]
    assert (case.record.prompt, case.record.history, case.hazard) == (
        "第二问", history, Hazard.UNKNOWN,
    )  # fmt: skip


async def test_only_dimensions_that_rules_name_are_judged() -> None:
    """Nobody pays for five dimensions who asked about one."""
    judge = ScriptedJudge(lambda _: 0.9)
    await guard(policy(LEGAL, ABUSE), judge).check("output", part("你好"), ASKED)
    assert [case.rubric.dimension for case in judge.seen] == ["Legality"]


async def test_the_end_of_a_long_text_counts() -> None:
    """A harmful tail behind pages of harmless text is judged as well."""
    judge = ScriptedJudge(lambda case: 0.1 if "尾巴" in case.response else 0.9)
    text = "好" * (2 * PIECE) + "尾巴"
    decision = await guard(policy(LEGAL), judge).check("output", part(text), ASKED)
    assert decision.status == "blocked"
    joined = "".join(case.response for case in judge.seen)
    assert len(joined) >= len(text)


async def test_a_text_that_one_call_takes_is_judged_whole_as_score_does() -> None:
    """Else a promise's cut, found among P(harmless) of whole texts, is held against pieces."""
    judge = ScriptedJudge(lambda _: 0.9)
    text = "好" * (PIECE + 10_000)
    await guard(policy(LEGAL), judge).check("output", part(text), ASKED)
    assert [case.response for case in judge.seen] == [text]


async def test_pieces_leave_room_for_the_conversation_in_a_call() -> None:
    """A judge with a short context, and a long question: each piece and its context still fit."""
    judge = ScriptedJudge(lambda case: 0.1 if "尾巴" in case.response else 0.9)
    history = (Turn(role="user", content="问" * 2_000),)
    asked = Asked(prompt="问" * 3_000, history=history)
    plan = policy(LEGAL, llm={"max_chars": 10_000})
    decision = await guard(plan, judge).check("output", part("好" * 20_000 + "尾巴"), asked)
    assert decision.status == "blocked"
    assert max(len(case.response) for case in judge.seen) == 5_000


async def test_thinking_in_an_answer_is_judged_too() -> None:
    """A user reads it."""
    judge = ScriptedJudge(lambda case: 0.1 if "秘方" in case.response else 0.9)
    decision = await guard(policy(LEGAL), judge).check(
        "output", part("<think>秘方</think>不行"), ASKED
    )
    assert decision.stops


@pytest.mark.parametrize("kind", [k for k in FailureKind if k is not FailureKind.ABSTAINED])
@pytest.mark.parametrize("on_failure", ["block", "allow"])
async def test_a_judge_that_fails_never_lets_a_text_pass_unless_the_policy_says_so(
    kind: FailureKind, on_failure: str
) -> None:
    """Every failure kind; where it passes, the status says so."""
    sink = Memory()
    plan = policy(LEGAL, on_failure=on_failure)
    decision = await guard(plan, ScriptedJudge(lambda _: kind), sinks=(sink,)).check(
        "output", part("你好"), ASKED
    )
    open_ = on_failure == "allow"
    assert decision.stops is not open_
    assert decision.status == ("failed_open" if open_ else "failed")
    assert [one.kind for one in sink.events[0].missed] == [kind]


@pytest.mark.parametrize("on_abstain", ["block", "allow"])
async def test_an_abstention_does_what_the_policy_says_and_is_counted(on_abstain: str) -> None:
    """To abstain is no failure."""
    plan = policy(LEGAL, on_abstain=on_abstain)
    judge = ScriptedJudge(lambda _: FailureKind.ABSTAINED)
    decision = await guard(plan, judge).check("output", part("你好"), ASKED)
    assert decision.stops is (on_abstain == "block")
    assert (decision.abstained, decision.failed) == (("Legality:output:block",), False)


class Hangs(ScriptedJudge):
    """Never answers."""

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        await asyncio.Event().wait()
        return []


class Breaks(ScriptedJudge):
    """Raises what no judge should."""

    def __init__(self, error: Exception) -> None:
        super().__init__(lambda _: 3)
        self._error = error
        self.calls = 0

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        self.calls += 1
        raise self._error


async def test_a_judge_that_hangs_is_left_at_the_deadline() -> None:
    """The user gets an answer in time, and it isn't the unchecked one."""
    plan = policy(LEGAL, deadline_s=0.01)
    decision = await guard(plan, Hangs(lambda _: 3)).check("output", part("你好"), ASKED)
    assert (decision.status, decision.missed[0].kind) == ("failed", "deadline")


@pytest.mark.parametrize(
    ("error", "kind"),
    [(JudgeUnavailable("no key"), "unavailable"), (ZeroDivisionError(), "error:ZeroDivisionError")],
)
async def test_whatever_a_judge_raises_the_text_counts_as_unchecked(
    error: Exception, kind: str
) -> None:
    """A bug in a judge is no way around the guard."""
    decision = await guard(policy(LEGAL), Breaks(error)).check("output", part("你好"), ASKED)
    assert (decision.status, decision.missed[0].kind) == ("failed", kind)


async def test_a_scanner_that_raises_fails_closed() -> None:
    """As for judges."""

    class Broken(WordScanner):
        def kinds(self, text: str) -> Sequence[tuple[str, str]]:
            raise MemoryError

    decision = await guard(scanner=Broken()).check("output", part("你好"), ASKED)
    assert (decision.status, decision.missed[0].kind) == ("failed", "error:MemoryError")


async def test_the_breaker_spares_a_failing_judge_and_tries_again_after_a_rest() -> None:
    """While it rests, every text counts as unchecked."""
    time, judge = Time(), Breaks(JudgeUnavailable("down"))
    plan = policy(LEGAL, breaker={"failures": 2, "rest_s": 10})
    one = guard(plan, judge, clock=time.clock)
    kinds = [(await one.check("output", part("你好"), ASKED)).missed[0].kind for _ in range(4)]
    assert kinds == ["unavailable", "unavailable", "breaker", "breaker"]
    assert (judge.calls, one.breaker_open) == (2, True)
    time.seconds = 10.5
    await one.check("output", part("你好"), ASKED)
    await one.check("output", part("你好"), ASKED)
    assert judge.calls == 3


class Dear(ScriptedJudge):
    """Each verdict costs a dollar, or an unknown sum."""

    def __init__(self, cost: float | None) -> None:
        super().__init__(lambda _: 3)
        self._cost = cost

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        outcomes = await super().assess(cases)
        more = {"cost_usd": self._cost, "usage": Usage(prompt=1)}
        return [outcome.model_copy(update=more) for outcome in outcomes]


@pytest.mark.parametrize(("cost", "calls"), [(1.0, 3), (None, 1)])
async def test_a_spent_budget_stops_the_judge_until_the_next_day(
    cost: float | None, calls: int
) -> None:
    """A cost that nobody knows uses up the day; tomorrow there is money again."""
    time, judge = Time(), Dear(cost)
    one = guard(policy(LEGAL, budget_usd_per_day=2.5), judge, now=time.now)
    statuses = [(await one.check("output", part("你好"), ASKED)).status for _ in range(5)]
    assert statuses == ["allowed"] * calls + ["failed"] * (5 - calls)
    time.today += timedelta(days=1)
    assert (await one.check("output", part("你好"), ASKED)).status == "allowed"


async def test_shadow_mode_decides_and_records_but_never_stops() -> None:
    """One can see what a policy would do."""
    sink = Memory()
    one = guard(policy(ABUSE, shadow=True), sinks=(sink,))
    decision = await one.check("output", part(BAD), ASKED)
    assert (decision.action, decision.stops) == ("block", False)
    assert (sink.events[0].action, sink.events[0].shadow) == ("block", True)


async def test_content_that_cant_be_read_is_blocked_unless_the_policy_lets_it_pass() -> None:
    """A picture may hold anything."""
    assert guard().unread("input", ["messages[0].content[1]"]).stops
    decision = guard(policy(ABUSE, unread="allow")).unread("input", ["messages[0].content[1]"])
    assert (decision.stops, decision.status) == (False, "failed_open")


async def test_a_rule_s_words_in_one_language_leave_the_policy_s_in_the_other() -> None:
    """Nobody's users get the shipped words where the policy has its own."""
    plan = policy({**ABUSE, "messages": {"zh": "别骂人。"}}, messages={"zh": "不行。", "en": "No."})
    decision = await guard(plan).look("output", part(BAD), ASKED)
    assert [decision.message(plan, asked) for asked in ("你好", "Hi")] == ["别骂人。", "No."]


async def test_events_hold_hashes_and_texts_only_when_asked() -> None:
    """A log is no copy of people's conversations."""
    plain, full = Memory(), Memory()
    await guard(sinks=(plain,)).check("output", part(BAD), ASKED)
    await guard(sinks=(full,), texts=True).check("output", part(BAD), ASKED)
    assert BAD not in plain.events[0].model_dump_json()
    assert (full.events[0].text, full.events[0].prompt) == (BAD, "你好")
    assert plain.events[0].text_sha256 == full.events[0].text_sha256


@pytest.mark.parametrize(
    ("texts", "written"),
    [
        (["加微信领彩金"], "加微信领彩金"),
        (["想一想", "", "说出来"], "想一想\n说出来"),
        (["半\ud800个"], "半\\ud800个"),
    ],
)
async def test_whoever_has_a_text_can_tell_its_events_by_their_hash(
    texts: list[str], written: str
) -> None:
    """It is what `sha256sum` says of the text; several are joined by line feeds, as recorded."""
    sink = Memory()
    one = guard(sinks=(sink,), texts=True)
    await one.check("output", [Part("text", text) for text in texts], ASKED)
    (event,) = sink.events
    assert event.text == written
    assert event.text_sha256 == hashlib.sha256(written.encode()).hexdigest()


async def test_a_text_that_no_file_can_hold_is_checked_and_recorded() -> None:
    """A lone surrogate is no way around the log."""
    sink = Memory()
    one = guard(sinks=(sink,), texts=True)
    assert (await one.check("output", part(BAD + "\ud800"), ASKED)).stops
    assert sink.events[0].model_dump_json()


async def test_an_event_that_cant_be_written_is_counted_and_the_decision_stands(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A full disk is no way around the guard, and is seen: in the count and in the log."""
    told: list[int] = []
    one = guard(sinks=(FullDisk(),), lost=told.append)
    for _ in range(12):
        assert (await one.check("output", part(BAD), ASKED)).stops
    assert (one.lost, told) == (12, list(range(1, 13)))
    said = "events lost since the start: %d; a log can't be written"
    assert caplog.messages == [said % 1, said % 10]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("怎么做", "抱歉"),
        ("how", "Sorry"),
        ("", "抱歉"),
        ("2", "抱歉"),
        ("？👍", "抱歉"),
        ("да", "Sorry"),
    ],
)
async def test_the_message_is_in_the_users_language_and_never_holds_the_text(
    asked: str, said: str
) -> None:
    """Chinese or English; without a word, as where a number picks from a menu, Chinese."""
    plan = policy(ABUSE)
    decision = await guard(plan).check("output", part(BAD), Asked(prompt=asked))
    assert decision.message(plan, asked).startswith(said)
    assert BAD not in decision.message(plan, asked)


async def test_concurrent_texts_never_mix() -> None:
    """A hundred at once, half of them harmful."""
    judge = ScriptedJudge(lambda case: 0.1 if case.response.endswith("1") else 0.9)
    one = guard(policy(LEGAL), judge)
    texts = [f"第{i}句{i % 2}" for i in range(100)]
    decisions = await asyncio.gather(*(one.check("output", part(t), ASKED) for t in texts))
    assert [decision.stops for decision in decisions] == [t.endswith("1") for t in texts]


async def test_a_user_who_leaves_doesnt_count_against_the_judge() -> None:
    """A cancelled check tells nothing about the judge."""
    one = guard(policy(LEGAL, breaker={"failures": 1}), Hangs(lambda _: 3))
    task = asyncio.ensure_future(one.check("output", part("你好"), ASKED))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not one.breaker_open


async def test_a_long_text_is_scanned_beside_the_event_loop() -> None:
    """A megabyte doesn't hold up the other users."""
    threads: list[str] = []

    class Watching(WordScanner):
        def kinds(self, text: str) -> Sequence[tuple[str, str]]:
            threads.append(threading.current_thread().name)
            return super().kinds(text)

    one = guard(scanner=Watching())
    await one.check("output", part("短"), ASKED)
    decision = await one.check("output", part("长" * 1_000_000 + BAD), ASKED)
    assert threads[0] == threading.main_thread().name != threads[1]
    assert decision.stops


@pytest.mark.parametrize("turned", [False, True])
async def test_a_rule_that_blocks_does_so_whatever_other_part_could_not_be_checked(
    *, turned: bool
) -> None:
    """Whichever of them comes first: its user is told of the block, and the failure is counted."""

    class Breaking(WordScanner):
        def kinds(self, text: str) -> Sequence[tuple[str, str]]:
            if "崩" in text:
                raise RuntimeError("the scanner broke")
            return super().kinds(text)

    one = guard(policy(ABUSE), scanner=Breaking())
    looks = [await one.look("output", part(text), ASKED) for text in ("崩", BAD)]
    assert [look.status for look in looks] == ["failed", "blocked"]
    both = merged(*(reversed(looks) if turned else looks))
    assert (both.status, both.stops, len(both.missed), len(both.hits)) == ("blocked", True, 1, 1)


@pytest.mark.parametrize("turned", [False, True])
async def test_of_several_looks_that_a_rule_acts_on_the_worst_is_recorded(*, turned: bool) -> None:
    """A stream is flagged at two windows: its event tells the lower P(harmless)."""
    judge = ScriptedJudge(lambda case: 0.1 if "甲" in case.response else 0.3)
    one = guard(policy({**LEGAL, "action": "flag"}), judge)
    looks = [await one.look("output", part(text), ASKED) for text in ("甲", "乙")]
    both = merged(*(reversed(looks) if turned else looks))
    assert [(hit.score, both.least["Legality"]) for hit in both.hits] == [(0.1, 0.1)]
