"""What every edge of the guard keeps to: subclass what the edge can do, give an `edge` fixture.

class TestMyEdge(EdgeContract, StreamContract):
    @pytest.fixture
    def edge(self) -> Edge:
        return MyEdge()

Whatever stands between chatbot and user, what was not looked at does not get out, what is found
does not get out, and a check that fails lets nothing out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import pytest

from guard.engine import Guard
from tests.contracts.guard_marks import (
    ADVERT,
    BAD,
    BLOCKING,
    BROKEN,
    CRASH,
    MARKS,
    SLOW,
    SORRY,
    SORRY_EN,
    Bot,
    Delta,
    Got,
    Marked,
    Question,
    bot,
    marked,
    question,
    story,
)

Ask = Callable[[Bot, Question], Awaitable[Got]]
HOLDING = ("window", "buffer")
AHEAD = ("async", "retract")


class Edge(Protocol):
    """One way to put a guard around a chatbot."""

    def open(self, guard: Guard) -> AbstractAsyncContextManager[Ask]:
        """Stand up chatbot, guard and user; what is given asks a question that a bot answers.

        For each time that the chatbot is asked, do as `bot.answering()` says; set `bot.let_go`
        when the chatbot is no longer listened to.
        """
        ...


def rule_of(action: str, mark: str = BAD, **more: Any) -> dict[str, Any]:
    """A rule for the output that acts on a mark."""
    if mark == ADVERT:
        return {"evidence": "abuse", "side": "output", "action": action, **more}
    return {"dimension": "Legality", "side": "output", "cut": 0.5, "action": action, **more}


async def ask_once(edge: Edge, guarded: Marked, said: Bot, asked: Question) -> Got:
    """Open the edge for one question."""
    async with edge.open(guarded.guard) as ask:
        return await ask(said, asked)


def no_mark(got: Got) -> bool:
    """Whether nothing that a guard found is in what the user got."""
    return not any(mark in got.everything() for mark in MARKS)


def all_seen(text: str, guarded: Marked, size: int = 8) -> bool:
    """Whether every run of characters of a text was in a text that the scanner saw."""
    runs = {text[at : at + size] for at in range(max(1, len(text) - size + 1))}
    return all(any(run in seen for seen in guarded.scanner.seen) for run in runs)


class EdgeContract:
    """Answers that come whole."""

    @pytest.fixture
    def edge(self) -> Any:
        """The edge under test."""
        raise NotImplementedError

    async def test_a_harmless_answer_arrives_as_it_is(self, edge: Edge) -> None:
        """What is not found is not changed, and each side is recorded once."""
        guarded, text = marked(), story(300)
        got = await ask_once(edge, guarded, bot(text), question())
        assert (got.said(), got.finishes, got.error, got.ended) == (text, {0: "stop"}, None, True)
        assert [event.status for event in guarded.events.of("input")] == ["allowed"]
        assert [event.status for event in guarded.events.of("output")] == ["allowed"]
        assert all_seen(text, guarded)

    @pytest.mark.parametrize("mark", [ADVERT, BAD])
    async def test_a_blocked_answer_is_the_message_alone(self, edge: Edge, mark: str) -> None:
        """The user reads the policy's words, and nothing of what was found."""
        guarded = marked()
        got = await ask_once(edge, guarded, bot(story(90) + mark + story(90)), question())
        assert (got.said(), got.finishes) == (SORRY, {0: "content_filter"})
        assert no_mark(got)
        assert [event.status for event in guarded.events.of("output")] == ["blocked"]

    async def test_an_english_question_is_answered_in_english(self, edge: Edge) -> None:
        """The message is in the language of the question."""
        asked = Question("What is the weather like today? (number one)")
        got = await ask_once(edge, marked(), bot(BAD), asked)
        assert got.said() == SORRY_EN

    async def test_a_replaced_answer_ends_as_an_answer_does(self, edge: Edge) -> None:
        """`replace` says its message in the answer's place, with finish `stop`."""
        guarded = marked([rule_of("replace", messages={"zh": "换句话说吧。", "en": "-"})])
        got = await ask_once(edge, guarded, bot(story(60) + BAD), question())
        assert (got.said(), got.finishes) == ("换句话说吧。", {0: "stop"})
        assert [event.status for event in guarded.events.of("output")] == ["replaced"]

    async def test_a_flagged_answer_passes_and_is_recorded(self, edge: Edge) -> None:
        """`flag` changes nothing for the user."""
        guarded, text = marked([rule_of("flag")]), story(60) + BAD
        got = await ask_once(edge, guarded, bot(text), question())
        assert (got.said(), got.finishes) == (text, {0: "stop"})
        assert [event.status for event in guarded.events.of("output")] == ["flagged"]

    async def test_what_waits_for_a_person_is_withheld(self, edge: Edge) -> None:
        """`human` blocks, and the event says that a person is to look."""
        guarded = marked([rule_of("human")])
        got = await ask_once(edge, guarded, bot(BAD + story(60)), question())
        assert (got.said(), got.finishes) == (SORRY, {0: "content_filter"})
        assert [event.action for event in guarded.events.of("output")] == ["human"]

    @pytest.mark.parametrize("stream", [False, True])
    async def test_a_blocked_question_does_not_reach_the_chatbot(
        self, edge: Edge, stream: bool
    ) -> None:
        """It is refused with the policy's message, and the model is not asked."""
        guarded, said = marked(), bot(story(60))
        asked = question(f"帮我写{ADVERT}", stream=stream)
        got = await ask_once(edge, guarded, said, asked)
        assert (got.error, said.times) == ("content_filter", 0)
        assert SORRY in got.everything()
        assert no_mark(got)
        assert not guarded.events.of("output")

    @pytest.mark.parametrize("mark", [BROKEN, SLOW, CRASH])
    async def test_a_check_that_fails_lets_nothing_out(self, edge: Edge, mark: str) -> None:
        """A judge that fails or is late, or a scanner that breaks: the text stays inside."""
        guarded = marked(deadline_s=0.3)
        got = await ask_once(edge, guarded, bot(story(60) + mark), question())
        assert got.error == "guard_unavailable"
        assert got.said() == ""
        assert no_mark(got)
        assert [event.status for event in guarded.events.of("output")] == ["failed"]

    async def test_a_policy_may_let_failures_pass_and_says_so(self, edge: Edge) -> None:
        """`on_failure: allow`: the text goes out, and the record has `failed_open`."""
        guarded, text = marked(on_failure="allow"), story(60) + BROKEN
        got = await ask_once(edge, guarded, bot(text), question())
        assert (got.said(), got.error) == (text, None)
        assert [event.status for event in guarded.events.of("output")] == ["failed_open"]

    async def test_in_shadow_mode_nothing_is_changed(self, edge: Edge) -> None:
        """The decision is recorded, and not acted on."""
        guarded, text = marked(shadow=True), story(60) + BAD
        got = await ask_once(edge, guarded, bot(text), question())
        assert (got.said(), got.finishes) == (text, {0: "stop"})
        (event,) = guarded.events.of("output")
        assert (event.action, event.shadow) == ("block", True)

    async def test_an_exchange_can_be_followed_in_the_record(self, edge: Edge) -> None:
        """Both sides carry one request id, which no other exchange has."""
        guarded = marked()
        async with edge.open(guarded.guard) as ask:
            for _ in range(2):
                await ask(bot(story(60)), question())
        ids = [event.request_id for event in guarded.events.of("input")]
        assert ids == [event.request_id for event in guarded.events.of("output")]
        assert len(set(ids)) == 2
        assert all(ids)

    @pytest.mark.parametrize("stream", [False, True])
    async def test_users_at_the_same_time_never_mix(self, edge: Edge, stream: bool) -> None:
        """Fifty at once: each gets their own answer, or the message if theirs was bad."""
        guarded = marked(stream={"mode": "window"})
        texts = [story(200, seed=n) + (BAD if n % 5 == 0 else "") + story(60) for n in range(50)]
        async with edge.open(guarded.guard) as ask:
            asked = [ask(bot(text), question(stream=stream)) for text in texts]
            answers = await asyncio.gather(*asked)
        for n, (text, got) in enumerate(zip(texts, answers, strict=True)):
            if n % 5:
                assert (got.said(), got.finishes) == (text, {0: "stop"})
            else:
                assert got.finishes == {0: "content_filter"}
                assert got.said().endswith(SORRY)
                assert text.startswith(got.said().removesuffix(SORRY))


class RegenerateContract:
    """Edges that can ask the chatbot once more."""

    async def test_a_bad_answer_is_asked_for_again(self, edge: Edge) -> None:
        """The next answer is good, and is what the user gets."""
        guarded, good = marked([rule_of("regenerate", tries=2)]), story(80)
        said = bot(BAD, next=bot(good))
        got = await ask_once(edge, guarded, said, question())
        assert (got.said(), got.finishes, said.times) == (good, {0: "stop"}, 2)
        statuses = [event.status for event in guarded.events.of("output")]
        assert statuses == ["regenerated", "allowed"]

    async def test_after_its_tries_it_is_blocked(self, edge: Edge) -> None:
        """Three bad answers: the first and two tries."""
        guarded = marked([rule_of("regenerate", tries=2)])
        said = bot(story(30) + BAD)
        got = await ask_once(edge, guarded, said, question())
        assert (got.said(), got.finishes, said.times) == (SORRY, {0: "content_filter"}, 3)
        assert guarded.events.of("output")[-1].status == "blocked"


class StreamContract:
    """Streamed answers of which nothing leaves before it was looked at."""

    @pytest.mark.parametrize("mode", HOLDING)
    @pytest.mark.parametrize("size", [1, 13, 1000])
    async def test_a_harmless_stream_arrives_as_it_is(
        self, edge: Edge, mode: str, size: int
    ) -> None:
        """However it is cut, and every character of it was looked at."""
        guarded, text = marked(stream={"mode": mode}), story(350)
        got = await ask_once(edge, guarded, bot(text, size), question(stream=True))
        assert (got.said(), got.finishes, got.error, got.ended) == (text, {0: "stop"}, None, True)
        assert all_seen(text, guarded)
        (event,) = guarded.events.of("output")
        assert (event.status, event.streamed, event.exposed) == ("allowed", True, 0)

    @pytest.mark.parametrize("mode", HOLDING)
    @pytest.mark.parametrize("mark", [ADVERT, BAD])
    @pytest.mark.parametrize("size", [1, 3, 500])
    async def test_what_is_found_never_leaves(
        self, edge: Edge, mode: str, mark: str, size: int
    ) -> None:
        """Not one character of the mark, nor anything after it, wherever the pieces are cut."""
        guarded = marked(stream={"mode": mode})
        before, after = story(150), story(150, seed=9)
        got = await ask_once(edge, guarded, bot(before + mark + after, size), question(stream=True))
        assert got.finishes == {0: "content_filter"}
        assert got.said().endswith(SORRY)
        assert before.startswith(got.said().removesuffix(SORRY))
        assert (got.said() == SORRY) or mode == "window"
        (event,) = guarded.events.of("output")
        assert (event.status, event.streamed) == ("blocked", True)

    @pytest.mark.parametrize("mode", HOLDING)
    async def test_what_the_chatbot_left_unfinished_is_not_released(
        self, edge: Edge, mode: str
    ) -> None:
        """It broke off: the user is told, and what was held stays inside."""
        guarded, text = marked(stream={"mode": mode}), story(300)
        got = await ask_once(edge, guarded, bot(text, end="cut"), question(stream=True))
        assert got.error is not None
        assert not got.finishes
        assert text.startswith(got.said())
        assert len(got.said()) <= 260
        assert len(guarded.events.of("output")) == 1

    @pytest.mark.parametrize("mode", HOLDING)
    @pytest.mark.parametrize("mark", [BROKEN, SLOW, CRASH])
    async def test_a_check_that_fails_in_mid_stream_ends_it(
        self, edge: Edge, mode: str, mark: str
    ) -> None:
        """An error, not a policy's message; nothing from there on leaves."""
        guarded = marked(stream={"mode": mode}, deadline_s=0.3)
        before = story(150)
        got = await ask_once(edge, guarded, bot(before + mark + story(90)), question(stream=True))
        assert got.error == "guard_unavailable"
        assert before.startswith(got.said())
        assert SORRY not in got.everything()
        assert [event.status for event in guarded.events.of("output")] == ["failed"]

    async def test_in_shadow_mode_a_stream_is_not_changed(self, edge: Edge) -> None:
        """The decision is recorded, and not acted on."""
        guarded, text = marked(shadow=True), story(120) + BAD + story(120)
        got = await ask_once(edge, guarded, bot(text), question(stream=True))
        assert (got.said(), got.finishes) == (text, {0: "stop"})
        (event,) = guarded.events.of("output")
        assert (event.action, event.shadow) == ("block", True)


class AheadContract:
    """Streams whose text goes out ahead of the checks, by a bounded number of characters."""

    @pytest.mark.parametrize("mode", AHEAD)
    async def test_a_harmless_stream_is_let_through(self, edge: Edge, mode: str) -> None:
        """The same text, and nothing to take back."""
        guarded, text = marked(stream={"mode": mode, "exposure": 60}), story(500)
        got = await ask_once(edge, guarded, bot(text, 11), question(stream=True))
        assert (got.said(), got.finishes, got.retracted) == (text, {0: "stop"}, set())
        (event,) = guarded.events.of("output")
        assert event.exposed <= 60

    @pytest.mark.parametrize("mode", AHEAD)
    @pytest.mark.parametrize("mark", [ADVERT, BAD])
    async def test_it_stops_within_the_exposure(self, edge: Edge, mode: str, mark: str) -> None:
        """At most `exposure` characters beyond what had passed; the user is told to withdraw."""
        guarded = marked(stream={"mode": mode, "exposure": 60})
        before = story(200)
        said = bot(before + mark + story(2000, seed=3), 5)
        got = await ask_once(edge, guarded, said, question(stream=True))
        shown = got.said().removesuffix(SORRY)
        assert len(shown) <= len(before) + len(mark) + 60
        assert got.finishes == {0: "content_filter"}
        assert got.retracted == ({0} if mode == "retract" else set())
        (event,) = guarded.events.of("output")
        assert (event.status, event.exposed <= 60) == ("blocked", True)

    @pytest.mark.parametrize("mode", AHEAD)
    async def test_several_answers_share_the_exposure(self, edge: Edge, mode: str) -> None:
        """Three at once, of which none was looked at yet, put out no more than one would."""
        guarded = marked(stream={"mode": mode, "exposure": 60}, deadline_s=0.3)
        texts = [SLOW + story(300, seed=n) for n in range(3)]
        said = Bot(
            [Delta(text[at : at + 5], n) for at in range(0, 300, 5) for n, text in enumerate(texts)]
        )
        got = await ask_once(edge, guarded, said, question(n=3, stream=True))
        assert got.error == "guard_unavailable"
        assert sum(map(len, got.texts.values())) <= 60
        (event,) = guarded.events.of("output")
        assert 0 < event.exposed <= 60


class ChoicesContract:
    """Several answers to one question."""

    def two(self, bad: str = "") -> Bot:
        """Two answers in turns; the second one may hold a mark."""
        first, second = story(200, seed=1), story(90, seed=2) + bad + story(110, seed=2)
        pieces = [
            delta
            for at in range(0, max(len(first), len(second)), 9)
            for delta in (Delta(first[at : at + 9], 0), Delta(second[at : at + 9], 1))
        ]
        return Bot([delta for delta in pieces if delta.text])

    @pytest.mark.parametrize("stream", [False, True])
    async def test_each_answer_keeps_its_own_text(self, edge: Edge, stream: bool) -> None:
        """Interleaved pieces do not mix."""
        said = self.two()
        got = await ask_once(edge, marked(), said, question(n=2, stream=stream))
        assert got.texts == said.whole()
        assert got.finishes == {0: "stop", 1: "stop"}

    @pytest.mark.parametrize("stream", [True, False])
    async def test_an_answer_that_nobody_asked_for_does_not_arrive(
        self, edge: Edge, stream: bool
    ) -> None:
        """Two are sent where one was asked for: the first one is the answer."""
        said, guarded = self.two(), marked()
        got = await ask_once(edge, guarded, said, question(n=1, stream=stream))
        assert got.texts == {(0, "content"): said.whole()[0, "content"]}
        assert got.finishes == {0: "stop"}

    async def test_one_bad_answer_of_two_is_withheld(self, edge: Edge) -> None:
        """The other one is the user's."""
        said = self.two(BAD)
        got = await ask_once(edge, marked(), said, question(n=2))
        assert got.said(0) == said.whole()[0, "content"]
        assert got.said(1) == SORRY
        assert got.finishes == {0: "stop", 1: "content_filter"}

    @pytest.mark.parametrize("mode", HOLDING)
    async def test_a_stream_with_a_bad_answer_ends_all_open_ones(
        self, edge: Edge, mode: str
    ) -> None:
        """Each choice gets its finish, and no choice goes on beside a blocked one."""
        said = self.two(BAD)
        guarded = marked(stream={"mode": mode})
        got = await ask_once(edge, guarded, said, question(n=2, stream=True))
        assert got.finishes[1] == "content_filter"
        assert set(got.finishes) == {0, 1}
        assert no_mark(got)
        assert all(text.endswith(SORRY) or got.finishes[0] == "stop" for text in got.texts.values())


class ToolsContract:
    """Everything that a chatbot says beside its answer."""

    def calling(self, arguments: str, size: int = 4) -> Bot:
        """A tool call whose arguments come in pieces."""
        pieces = [arguments[at : at + size] for at in range(0, len(arguments), size)]
        return Bot([Delta(piece, 0, "tool_arguments") for piece in pieces], finish="tool_calls")

    @pytest.mark.parametrize("stream", [False, True])
    async def test_a_tool_call_arrives_as_it_is(self, edge: Edge, stream: bool) -> None:
        """Name and arguments are whole, and were looked at."""
        guarded, arguments = marked(), '{"城市": "上海", "日期": "明天"}'
        got = await ask_once(edge, guarded, self.calling(arguments), question(stream=stream))
        assert got.said(0, "tool_arguments") == arguments
        assert got.finishes == {0: "tool_calls"}
        assert all_seen(arguments, guarded)

    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("mark", [ADVERT, BAD])
    async def test_nothing_of_a_bad_call_leaves(self, edge: Edge, stream: bool, mark: str) -> None:
        """The arguments are judged together, before any of them is released."""
        said = self.calling('{"正文": "' + story(200) + mark + '"}')
        got = await ask_once(edge, marked(), said, question(stream=stream))
        assert got.said(0, "tool_arguments") == ""
        assert got.finishes == {0: "content_filter"}
        assert no_mark(got)

    @pytest.mark.parametrize("stream", [False, True])
    async def test_thinking_is_judged_like_the_answer(self, edge: Edge, stream: bool) -> None:
        """What a client may show of the thinking is held to the same rules."""
        thinking = story(100) + ADVERT + story(50)
        pieces = [Delta(thinking[at : at + 6], 0, "reasoning_content") for at in range(0, 154, 6)]
        said = Bot([*pieces, Delta(story(90))])
        got = await ask_once(edge, marked(), said, question(stream=stream))
        assert got.finishes == {0: "content_filter"}
        assert no_mark(got)
        assert thinking.startswith(got.said(0, "reasoning_content"))


class DisconnectContract:
    """Users who leave."""

    async def test_the_chatbot_is_let_go_and_the_exchange_recorded(self, edge: Edge) -> None:
        """Nobody reads on for a user who has left; what was released is in the record, once."""
        guarded = marked(stream={"mode": "window"})
        said = bot(story(400), end="hang")
        asked = question(stream=True, leave_after=100)
        async with edge.open(guarded.guard) as ask:
            got = await ask(said, asked)
            let_go = await asyncio.to_thread(said.let_go.wait, 10)
            recorded = await asyncio.to_thread(guarded.events.came["output"].wait, 10)
        assert let_go
        assert recorded
        assert story(400).startswith(got.said())
        (event,) = guarded.events.of("output")
        assert event.streamed
        assert event.characters >= 100


__all__ = [
    "BLOCKING",
    "AheadContract",
    "ChoicesContract",
    "DisconnectContract",
    "Edge",
    "EdgeContract",
    "RegenerateContract",
    "StreamContract",
    "ToolsContract",
]
