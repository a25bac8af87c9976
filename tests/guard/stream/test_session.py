"""One streamed answer through the guard, in each mode."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.decision import Decision
from guard.engine import Asked, Guard
from guard.stream import StreamSession
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
