"""One streamed answer through the guard, in each mode."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Sequence

import anyio
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from guard.decision import Decision
from guard.engine import Asked, Guard
from guard.event import GuardEvent
from guard.stream import Step, StreamSession, settled
from judge.testing import ScriptedJudge
from judge.verdict import Case, FailureKind, Outcome
from tests.guard.made import ABUSE, BAD, LEGAL, Memory, WordScanner, guard, policy

ASKED = Asked(prompt="你好", request_id="r1")
MODES = ["window", "buffer", "async", "retract"]


def streaming(
    mode: str, *rules: dict[str, object], judge: ScriptedJudge | None = None, **more
) -> Guard:
    around = more.pop("around", {})
    stream = {"mode": mode, "window": 80, "overlap": 40, "exposure": 200}
    return guard(policy(*(rules or (ABUSE,)), stream=stream, **more), judge, **around)


async def through(one: Guard, pieces: Sequence[str], choice: int = 0) -> tuple[str, Decision]:
    """What the client has read at the end, and the decision."""
    session, out, stop = StreamSession(one, ASKED), "", None
    for piece in pieces:
        step = await session.feed(choice, "content", piece)
        out += "".join(release.text for release in step.released)
        stop = step.stop
        if stop is not None:
            break
    if stop is None:
        step = await session.finish(choice)
        out += "".join(release.text for release in step.released)
    return out, await session.close()


def pieces(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_a_harmless_stream_comes_out_whole_in_every_mode(mode: str, size: int) -> None:
    """Character for character."""
    text = "这是一个很长的回答。" * 60
    out, decision = await through(streaming(mode), pieces(text, size))
    assert (out, decision.status) == (text, "allowed")


@pytest.mark.parametrize("mode", ["window", "buffer"])
@settings(max_examples=60, deadline=None)
@given(before=st.integers(0, 300), after=st.integers(0, 300), size=st.integers(1, 90))
def test_no_harmful_text_leaves_in_window_and_buffer(
    mode: str, before: int, after: int, size: int
) -> None:
    """Wherever it stands and however it is cut, not one character of it is released."""
    text = "好" * before + BAD + "呀" * after
    out, decision = asyncio.run(through(streaming(mode), pieces(text, size)))
    assert decision.status == "blocked"
    assert "坏" not in out
    assert text.startswith(out)


@pytest.mark.parametrize("mode", ["async", "retract"])
@settings(max_examples=60, deadline=None)
@given(before=st.integers(0, 300), after=st.integers(0, 900), size=st.integers(1, 90))
def test_what_is_out_before_its_check_is_bounded_and_reported(
    mode: str, before: int, after: int, size: int
) -> None:
    """Exposure never passes the policy's bound, also where the judge is slow."""
    sink = Memory()
    text = "好" * before + BAD + "呀" * after
    out, decision = asyncio.run(
        through(streaming(mode, around={"sinks": (sink,)}), pieces(text, size))
    )
    assert decision.status == "blocked"
    assert sink.events[0].exposed <= 200
    assert len(out) <= before + len(BAD) + 200


class Slow(ScriptedJudge):
    """Answers when it is let go."""

    def __init__(self) -> None:
        super().__init__(lambda _: 0.9)
        self.gate = asyncio.Event()

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        await self.gate.wait()
        return await super().assess(cases)


async def test_async_mode_goes_on_while_the_judge_thinks_up_to_the_bound() -> None:
    """200 characters are out, and the next ones wait for the judge."""
    judge = Slow()
    session = StreamSession(streaming("async", LEGAL, judge=judge), ASKED)
    out = 0
    for _ in range(4):
        step = await session.feed(0, "content", "好" * 50)
        out += sum(len(release.text) for release in step.released)
    assert out == 200
    waiting = asyncio.ensure_future(session.feed(0, "content", "好" * 50))
    await asyncio.sleep(0)
    assert not waiting.done()
    judge.gate.set()
    out += sum(len(release.text) for release in (await waiting).released)
    out += sum(len(release.text) for release in (await session.finish(0)).released)
    assert out == 250
    await session.close()


@pytest.mark.parametrize("mode", MODES)
async def test_a_judge_that_fails_midway_ends_the_stream(mode: str) -> None:
    """The rest of the text never leaves."""
    judge = ScriptedJudge(lambda case: FailureKind.TIMEOUT if "三" in case.response else 0.9)
    text = "一" * 200 + "三" + "二" * 400
    out, decision = await through(streaming(mode, LEGAL, judge=judge), pieces(text, 20))
    assert decision.failed
    assert len(out) <= 200 + (200 if mode in {"async", "retract"} else 0)


class Hangs(ScriptedJudge):
    """Doesn't answer about one dimension, until it has been asked so often; harmless else."""

    def __init__(self, dimension: str, recovers_after: int = 1000) -> None:
        super().__init__(lambda case: 0.1 if "三" in case.response else 0.9)
        self._dimension, self._left = dimension, recovers_after

    def asked(self, dimension: str) -> int:
        """How often it was asked about it."""
        return sum(case.rubric.dimension == dimension for case in self.seen)

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        outcomes = await super().assess(cases)
        if cases[0].rubric.dimension == self._dimension and self._left:
            self._left -= 1
            await asyncio.Event().wait()
        return outcomes


def missed(decision: Decision) -> list[str]:
    return [one.kind for one in decision.missed]


@pytest.mark.parametrize("mode", ["window", "async", "retract"])
async def test_a_judge_that_hangs_is_waited_for_twice_in_a_stream_that_passes(mode: str) -> None:
    """At the first look and at the last one; evidence is looked for in each look between them."""
    judge, scanner = Hangs("Legality"), WordScanner()
    fails = {"deadline_s": 0.01, "on_failure": "allow"}
    one = streaming(mode, LEGAL, ABUSE, judge=judge, around={"scanner": scanner}, **fails)
    out, decision = await through(one, pieces("好" * 1200, 20))
    assert (len(out), decision.status, missed(decision)) == (1200, "failed_open", ["deadline"])
    assert judge.asked("Legality") == 2
    assert sum(len(text) == 80 for text in scanner.seen) > 20
    out, decision = await through(one, pieces("好" * 600 + BAD + "好" * 600, 20))
    assert decision.stops
    assert len(out) <= 600 + (200 if mode in {"async", "retract"} else 0)


async def test_what_hangs_in_a_stream_leaves_the_other_dimensions_judged() -> None:
    """Look by look."""
    judge, fair = Hangs("Legality"), {**LEGAL, "dimension": "Fairness"}
    one = streaming("window", LEGAL, fair, judge=judge, deadline_s=0.01, on_failure="allow")
    out, decision = await through(one, pieces("好" * 600 + "三" + "好" * 600, 20))
    assert decision.stops
    assert len(out) <= 600
    assert judge.asked("Legality") == 1
    assert judge.asked("Fairness") > 10


async def test_a_judge_that_answers_again_judges_all_of_a_stream_at_its_end() -> None:
    """What it finds then still counts."""
    judge = Hangs("Legality", recovers_after=1)
    one = streaming("window", LEGAL, judge=judge, deadline_s=0.01, on_failure="allow")
    _, decision = await through(one, pieces("好" * 300 + "三" + "好" * 300, 20))
    assert (decision.status, missed(decision)) == ("blocked", ["deadline"])
    assert judge.asked("Legality") == 2


@pytest.mark.parametrize("mode", MODES)
async def test_what_only_the_whole_shows_is_stopped_at_the_end(mode: str) -> None:
    """The last text is held until the whole answer has passed, as without streaming."""
    judge = ScriptedJudge(lambda case: 0.1 if len(case.response) > 290 else 0.9)
    out, decision = await through(streaming(mode, LEGAL, judge=judge), pieces("好" * 300, 10))
    assert decision.status == "blocked"
    assert len(out) < 300 or mode in {"async", "retract"}


async def test_a_tool_call_is_held_until_all_of_it_was_judged() -> None:
    """Arguments come in fragments that say nothing by themselves."""
    session = StreamSession(streaming("window"), ASKED)
    for piece in ['{"q": "', BAD[:1], BAD[1:], '"}']:
        step = await session.feed(0, "tool_arguments[0]", piece, whole=True)
        assert step == ((), None)
    step = await session.finish(0)
    assert step.released == ()
    assert step.stop is not None


async def test_choices_are_kept_apart_and_a_block_stops_all() -> None:
    """Interleaved fragments of two choices don't form a word; a harmful one ends the answer."""
    session = StreamSession(streaming("window"), ASKED)
    for _ in range(50):
        for choice, piece in ((0, BAD[:1]), (1, BAD[1:])):
            step = await session.feed(choice, "content", piece * 2)
            assert step.stop is None
    step = await session.feed(1, "content", BAD + "好" * 80)
    assert step.stop is not None
    assert (await session.feed(0, "content", "好" * 80)).stop is not None
    assert (await session.finish(0)).stop is not None


async def test_shadow_mode_streams_on_and_records_the_block() -> None:
    """What would have been stopped, and nothing else, differs."""
    sink = Memory()
    one = streaming("window", shadow=True, around={"sinks": (sink,)})
    text = "好" * 100 + BAD + "好" * 100
    out, _ = await through(one, pieces(text, 9))
    assert out == text
    assert [(e.status, e.shadow, e.streamed) for e in sink.events] == [("blocked", True, True)]


@pytest.mark.parametrize("mode", MODES)
async def test_a_client_that_leaves_midway_is_recorded_once(mode: str) -> None:
    """The verdict on what came is in the log."""
    sink = Memory()
    session = StreamSession(streaming(mode, around={"sinks": (sink,)}), ASKED)
    await session.feed(0, "content", "好" * 130)
    await session.close()
    await session.close()
    assert [event.characters for event in sink.events] == [130]


@pytest.mark.parametrize("mode", MODES)
async def test_a_client_s_leaving_is_recorded_however_often_it_is_cancelled(mode: str) -> None:
    """Some frameworks cancel whatever is awaited while they end a request."""
    sink, came = Memory(), asyncio.Event()

    class Slow:
        async def emit(self, event: GuardEvent) -> None:
            await asyncio.sleep(0)
            await sink.emit(event)
            came.set()

    session = StreamSession(streaming(mode, around={"sinks": (Slow(),)}), ASKED)
    await session.feed(0, "content", "好" * 130)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await session.close()
    await asyncio.wait_for(came.wait(), 5)
    assert [event.characters for event in sink.events] == [130]


async def test_a_server_can_wait_for_what_is_still_being_recorded() -> None:
    """Else its logs would be closed before."""
    sink = Memory()

    class Slow:
        async def emit(self, event: GuardEvent) -> None:
            for _ in range(500):
                await asyncio.sleep(0)
            await sink.emit(event)

    one = streaming("window", around={"sinks": (Slow(),)})
    for _ in range(3):
        session = StreamSession(one, ASKED)
        await session.feed(0, "content", "好")
        with anyio.CancelScope() as scope:
            scope.cancel()
            await session.close()
    assert sink.events == []
    await settled()
    assert len(sink.events) == 3


async def test_an_empty_answer_is_allowed_and_recorded() -> None:
    """Nothing was said."""
    sink = Memory()
    out, decision = await through(streaming("window", around={"sinks": (sink,)}), [])
    assert (out, decision.status, len(sink.events)) == ("", "allowed", 1)


async def test_the_work_grows_with_the_text_and_not_with_its_square() -> None:
    """Each character is scanned in its windows and once at the end."""
    scanner = WordScanner()
    await through(streaming("window", around={"scanner": scanner}), pieces("好" * 8000, 5))
    assert sum(map(len, scanner.seen)) <= 3 * 8000 + 200


@pytest.mark.parametrize("mode", ["window", "async"])
async def test_a_long_piece_leaves_others_their_turn(mode: str) -> None:
    """Its looks are many: a server that made them in one go would answer nobody meanwhile."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.ensure_future(others())
    session = StreamSession(streaming(mode), ASKED)
    await session.feed(0, "content", "这是一个很长的回答。" * 400)
    beside.cancel()
    await session.close()
    assert turns >= 90  # one for each look


def text_of(step: Step) -> list[tuple[int, str]]:
    """What a step releases, by choice."""
    return [(release.choice, release.text) for release in step.released]


@pytest.mark.parametrize("mode", ["async", "retract"])
async def test_the_exposure_is_that_of_the_whole_answer(mode: str) -> None:
    """Many choices, each with its thinking, put out no more than one; in the end all is out."""
    judge, sink = Slow(), Memory()
    one = streaming(mode, LEGAL, judge=judge, around={"sinks": (sink,)})
    session, out = StreamSession(one, ASKED), {}
    channels = [(choice, kind) for choice in range(5) for kind in ("reasoning", "content")]

    def took(step: Step) -> None:
        for release in step.released:
            key = (release.choice, release.channel)
            out[key] = out.get(key, "") + release.text

    for choice, kind in channels:
        took(await session.feed(choice, kind, f"{choice}" * 79))
    assert sum(map(len, out.values())) == 200
    judge.gate.set()
    for choice in range(5):
        took(await session.finish(choice))
    assert out == {(choice, kind): f"{choice}" * 79 for choice, kind in channels}
    await session.close()
    assert sink.events[0].exposed == 200


TALK = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from(["好" * 9, "嗯。", "话", BAD, "，是" * 30])),
    max_size=40,
)


async def told(talk: Sequence[tuple[int, str]]) -> tuple[Decision, dict[int, str]]:
    """What is decided about an answer of two choices in window mode, and what of it goes out."""
    session, out, stop = StreamSession(streaming("window"), ASKED), {0: "", 1: ""}, False
    for choice, text in talk:
        step = await session.feed(choice, "content", text)
        for at, released in text_of(step):
            out[at] += released
        stop = step.stop is not None
        if stop:
            break
    for choice in () if stop else (0, 1):
        for at, released in text_of(await session.finish(choice)):
            out[at] += released
    return await session.close(), out


@settings(max_examples=100, deadline=None)
@given(TALK, st.integers(1, 5), st.booleans())
@example([*[(0, "好" * 9)] * 10, (0, BAD), *[(0, "好" * 9)] * 5], 1, True)
def test_how_a_network_cuts_two_choices_changes_nothing(
    talk: list[tuple[int, str]], size: int, together: bool
) -> None:
    """Neither what is decided nor what goes out of either: only their own order counts."""
    if together:  # what comes together of one choice is one text
        runs = itertools.groupby(talk, key=lambda one: one[0])
        other = [(choice, "".join(text for _, text in run)) for choice, run in runs]
    else:
        other = [(choice, piece) for choice, text in talk for piece in pieces(text, size)]
    (first, out), (second, out_too) = asyncio.run(told(talk)), asyncio.run(told(other))
    assert (first.action, first.status, first.least) == (second.action, second.status, second.least)
    assert [hit.rule for hit in first.hits] == [hit.rule for hit in second.hits]
    assert out == out_too
    assert "坏话" not in "".join(out.values())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", [("reasoning_content", "content"), ("content", "reasoning")])
async def test_what_two_texts_of_a_choice_say_together_is_found(
    mode: str, order: tuple[str, str]
) -> None:
    """Thinking that ends in the middle of a word, and an answer that begins there; clients show the
    thinking above, whichever comes first."""
    thinking, answer = "好" * 30 + BAD[:1], BAD[1:] + "呀" * 30
    session = StreamSession(streaming(mode), ASKED)
    for kind in order:
        await session.feed(0, kind, answer if kind == "content" else thinking)
    assert (await session.finish(0)).stop is not None
    assert (await session.close()).hits[0].found == ("abuse", "joined", "plain")


async def test_a_text_within_one_window_is_looked_at_once() -> None:
    """Its tail is all of it, and a judge is not paid twice; a longer one has a tail and a whole."""
    for length, looks in ((30, 1), (150, 4)):
        scanner = WordScanner()
        await through(streaming("window", around={"scanner": scanner}), ["好" * length])
        assert len(scanner.seen) == looks


async def test_choices_say_nothing_together() -> None:
    """Each is an answer of its own."""
    session = StreamSession(streaming("window"), ASKED)
    for choice, text in ((0, BAD[:1]), (1, BAD[1:])):
        await session.feed(choice, "content", text)
    for choice in (0, 1):
        assert (await session.finish(choice)).stop is None


@pytest.mark.parametrize("failure", ["block", "allow"])
@pytest.mark.parametrize(("mode", "length"), [("window", 30), ("buffer", 300), ("async", 30)])
async def test_a_stream_that_is_left_before_a_look_does_not_pass_for_judged(
    mode: str, length: int, failure: str
) -> None:
    """The record says which rules were never asked; nothing failed, and nothing is withheld."""
    sink = Memory()
    one = streaming(mode, LEGAL, ABUSE, on_failure=failure, around={"sinks": (sink,)})
    session = StreamSession(one, ASKED)
    await session.feed(0, "content", "好" * length)
    decision = await session.close()
    [event] = sink.events
    rule = next(bound.rule.name for bound in one.rules if bound.rubric is not None)
    assert [(missed.rule, missed.kind) for missed in event.missed] == [(rule, "closed")]
    assert (event.action, event.status, event.scores) == ("allow", "allowed", {})
    assert decision.status == "allowed"


async def test_what_was_looked_at_to_its_end_was_not_left() -> None:
    """Neither a whole answer nor one that was stopped has rules that were not asked."""
    _, decision = await through(streaming("window", LEGAL), ["好" * 30])
    assert decision.missed == ()
    session = StreamSession(streaming("window", LEGAL, ABUSE), ASKED)
    assert (await session.feed(0, "content", BAD + "好" * 100)).stop is not None
    assert (await session.close()).missed == ()


@pytest.mark.parametrize("mode", ["window", "async"])
async def test_the_rest_of_a_stream_that_is_left_is_scanned(mode: str) -> None:
    """What came behind the last look, and may be out already."""
    session = StreamSession(streaming(mode), ASKED)
    await session.feed(0, "content", "好" * 100)
    await session.feed(0, "content", BAD)
    assert (await session.close()).status == "blocked"


async def test_arguments_are_judged_without_their_escapes() -> None:
    """They are JSON inside a string: what a tool gets is what the judge reads."""
    judge = ScriptedJudge(lambda case: 0.1 if BAD in case.response else 0.9)
    session = StreamSession(streaming("window", LEGAL, judge=judge), ASKED)
    written = json.dumps({"q": BAD})
    assert BAD not in written
    await session.feed(0, "tool_arguments[0]", written, whole=True)
    assert (await session.finish(0)).stop is not None
