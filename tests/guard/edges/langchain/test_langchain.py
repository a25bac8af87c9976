"""A guard in a LangChain agent: a real agent, with a model that says what it is told to."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from guard import Blocked, GuardUnavailable
from guard.engine import Guard
from guard.langchain import FlamesGuardMiddleware
from guard.langchain.memory import WITHHELD
from tests.contracts.guard_contract import Ask, EdgeContract, RegenerateContract
from tests.contracts.guard_marks import (
    ADVERT,
    BAD,
    BROKEN,
    CRASH,
    SORRY,
    Bot,
    Got,
    Question,
    marked,
    story,
)
from tests.guard.edges.bots import Bots

Script = Callable[[Sequence[Any]], AIMessage]


class Model(BaseChatModel):
    """A chat model that answers by a function of what it is sent; it streams by characters."""

    script: Any
    seen: list[Any] = []  # noqa: RUF012 - pydantic makes each model its own

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **options: Any) -> Any:
        return self

    def _generate(self, messages: Any, *_: Any, **__: Any) -> ChatResult:
        self.seen.append(list(messages))
        return ChatResult(generations=[ChatGeneration(message=self.script(messages))])

    def _stream(self, messages: Any, *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        self.seen.append(list(messages))
        said = self.script(messages)
        if said.tool_calls:
            calls = [
                {"name": c["name"], "args": json.dumps(c["args"]), "id": c["id"], "index": 0}
                for c in said.tool_calls
            ]
            yield ChatGenerationChunk(message=AIMessageChunk(content="", tool_call_chunks=calls))
        for char in said.text:
            yield ChatGenerationChunk(message=AIMessageChunk(content=char))


def saying(*answers: str | AIMessage) -> Model:
    """A model that gives these answers in turn, the last one for ever."""
    left = list(answers)

    def script(_: Any) -> AIMessage:
        said = left.pop(0) if len(left) > 1 else left[0]
        return AIMessage(said) if isinstance(said, str) else said.model_copy(deep=True)

    return Model(script=script, seen=[])


def calling(**args: Any) -> AIMessage:
    """A call of the tool `search`."""
    return AIMessage("", tool_calls=[{"name": "search", "args": args, "id": "call_1"}])


def agent(model: Model, guard: Guard, tools: Any = (), **options: Any) -> Any:
    own = {name: options.pop(name) for name in ("on_block",) if name in options}
    return create_agent(
        model, list(tools), middleware=[FlamesGuardMiddleware(guard, **own)], **options
    )


def asking(text: str) -> dict[str, Any]:
    return {"messages": [HumanMessage(text)]}


def last(state: dict[str, Any]) -> tuple[str, str | None]:
    """The agent's last words, and why they ended."""
    message = state["messages"][-1]
    return message.text, message.response_metadata.get("finish_reason")


class Agents:
    """An agent over a bot."""

    @asynccontextmanager
    async def open(self, guard: Guard) -> AsyncIterator[Ask]:
        bots = Bots()

        def script(messages: Sequence[Any]) -> AIMessage:
            bot = bots.of(next(one.text for one in messages if isinstance(one, HumanMessage)))
            about = {"finish_reason": bot.finish}
            return AIMessage(bot.whole()[0, "content"], response_metadata=about)

        made = agent(Model(script=script, seen=[]), guard)

        async def ask(bot: Bot, asked: Question) -> Got:
            bots.add(bot, asked)
            got = Got()
            try:
                if asked.stream:
                    steps = made.astream(asking(asked.prompt), stream_mode="messages")
                    messages = [message async for message, _ in steps]
                    messages = [one for one in messages if isinstance(one, AIMessage)]
                    got.texts[0, "content"] = "".join(one.text for one in messages)
                    got.finishes = {0: messages[-1].response_metadata.get("finish_reason", "stop")}
                else:
                    text, end = last(await made.ainvoke(asking(asked.prompt)))
                    got.texts[0, "content"], got.finishes = text, {0: end or "stop"}
                got.ended = True
            except GuardUnavailable:
                got.error = "guard_unavailable"
            if not bot.times and got.finishes == {0: "content_filter"}:
                got.error, got.message = "content_filter", got.said()
            return got

        yield ask


class TestAgents(EdgeContract, RegenerateContract):
    """The contract that every edge keeps."""

    @pytest.fixture
    def edge(self) -> Any:
        return Agents()


async def test_the_blocks_of_an_answer_are_judged_together() -> None:
    """What they say one behind the other, none of them need say alone."""
    blocks: list[Any] = [{"type": "text", "text": text} for text in (ADVERT[:2], ADVERT[2:])]
    state = await agent(saying(AIMessage(blocks)), marked().guard).ainvoke(asking("你好"))
    assert last(state) == (SORRY, "content_filter")


def test_it_guards_synchronous_agents_too() -> None:
    """Questions and answers; `raises` raises."""
    guard = marked().guard
    assert last(agent(saying("好"), guard).invoke(asking("问"))) == ("好", None)
    assert last(agent(saying(BAD), guard).invoke(asking("问"))) == (SORRY, "content_filter")
    model = saying("好")
    assert last(agent(model, guard).invoke(asking(ADVERT))) == (SORRY, "content_filter")
    assert not model.seen
    for text, side in ((ADVERT, "input"), ("问", "output")):
        with pytest.raises(Blocked) as blocked:
            agent(saying(BAD), guard, on_block="raise").invoke(asking(text))
        assert blocked.value.side == side


async def test_no_token_goes_out_before_the_verdict() -> None:
    """In every way to stream; the message comes whole when it has passed."""
    for text, said in ((story(100), story(100)), (f"{story(50)}{BAD}", SORRY)):
        made = agent(saying(text), marked().guard)
        for mode in ("messages", "updates", "values"):
            got = str([step async for step in made.astream(asking("问"), stream_mode=mode)])
            assert said in got
            assert BAD not in got
        pieces = [message.text for message, _ in made.stream(asking("问"), stream_mode="messages")]
        assert pieces == [said]


def test_a_question_that_was_withheld_is_forgotten() -> None:
    """The agent's memory would else have it in every later turn, and each would be stopped."""
    made = agent(saying("好"), marked().guard, checkpointer=InMemorySaver())
    thread: Any = {"configurable": {"thread_id": "1"}}
    assert last(made.invoke(asking(ADVERT), thread)) == (SORRY, "content_filter")
    state = made.invoke(asking("问"), thread)
    assert last(state) == ("好", None)
    assert [one.text for one in state["messages"]] == [WITHHELD, SORRY, "问", "好"]


@tool
def search(query: str) -> str:
    """Look something up."""
    return f"找到：{query[::-1]}"


def test_a_tool_s_arguments_and_results_are_judged() -> None:
    """A bad call ends the agent, a bad result does not reach the model."""
    guard = marked().guard
    good = agent(saying(calling(query="气天"), "好"), guard, [search])
    state = good.invoke(asking("问"))
    assert [one.text for one in state["messages"]] == ["问", "", "找到：天气", "好"]
    bad = agent(saying(calling(query=BAD), "好"), guard, [search]).invoke(asking("问"))
    assert last(bad) == (SORRY, "content_filter")
    assert not any(isinstance(one, ToolMessage) for one in bad["messages"])
    model = saying(calling(query=ADVERT[::-1]), "好")
    state = agent(model, guard, [search]).invoke(asking("问"))
    (result,) = [one for one in state["messages"] if isinstance(one, ToolMessage)]
    assert (result.text, result.status) == (SORRY, "error")
    assert ADVERT not in str(model.seen)
    assert last(state) == ("好", None)


async def test_a_tool_s_result_that_can_t_be_checked_stops_the_agent() -> None:
    """As any text that can't be checked."""
    made = agent(saying(calling(query=CRASH[::-1]), "好"), marked().guard, [search])
    with pytest.raises(GuardUnavailable, match="input"):
        await made.ainvoke(asking("问"))
    with pytest.raises(GuardUnavailable, match="output"):
        await agent(saying(BROKEN), marked().guard).ainvoke(asking("问"))


async def test_results_that_are_commands_are_judged() -> None:
    """A tool may answer by changing the agent's state."""

    @tool
    def note(query: str) -> Command[Any]:
        """Write something down."""
        return Command(update={"messages": [ToolMessage(ADVERT, tool_call_id="call_1")]})

    call = AIMessage("", tool_calls=[{"name": "note", "args": {"query": "x"}, "id": "call_1"}])
    state = await agent(saying(call, "好"), marked().guard, [note]).ainvoke(asking("问"))
    assert ADVERT not in str(state["messages"])
    assert SORRY in str(state["messages"])


def test_arguments_that_others_changed_are_scanned_again() -> None:
    """A middleware or a person between model and tool may have put something in."""

    class Changing(FlamesGuardMiddleware):
        def wrap_tool_call(self, request: Any, handler: Any) -> Any:
            call = {**request.tool_call, "args": {"query": ADVERT}}
            return super().wrap_tool_call(request.override(tool_call=call), handler)

    middleware = [Changing(marked().guard)]
    made: Any = create_agent(saying(calling(query="天气"), "好"), [search], middleware=middleware)
    state = made.invoke(asking("问"))
    assert ADVERT not in str(state["messages"])
    assert SORRY in str(state["messages"])


def test_system_prompts_tools_and_pictures_are_read_too() -> None:
    """Whatever the model gets, whoever wrote it."""

    def described(text: str) -> Any:
        return {"type": "function", "function": {"name": "f", "description": text}}

    guard = marked().guard
    for options in ({"system_prompt": ADVERT}, {"tools": [described(ADVERT)]}):
        assert last(agent(saying("好"), guard, **options).invoke(asking("问")))[0] == SORRY
    image = {"type": "image", "url": "https://example.org/a.png"}
    picture = {"messages": [HumanMessage([{"type": "text", "text": "看"}, image])]}
    assert last(agent(saying("好"), guard).invoke(picture))[0] == SORRY
    assert last(agent(saying("好"), marked(unread="allow").guard).invoke(picture))[0] == "好"


@pytest.mark.parametrize(
    "block",
    [
        {"type": "video", "url": "https://example.org/a.mp4"},
        {"type": "file", "url": "https://example.org/a.pdf"},
        {"type": "media", "mime_type": "image/png", "data": "iVBO"},
        {"type": "document", "source": {"type": "base64", "data": "JVBE"}},
    ],
)
def test_what_openai_s_form_has_no_block_for_is_not_read_either(block: Any) -> None:
    """It counts as the policy says; the turns beside it are still judged as turns."""
    image = {"type": "image", "url": "https://example.org/a.png"}
    for content in ([block], [image, block]):
        asked = {"messages": [HumanMessage([{"type": "text", "text": "看"}, *content])]}
        assert last(agent(saying("好"), marked().guard).invoke(asked))[0] == SORRY
    given = marked(unread="allow")
    assert last(agent(saying("好"), given.guard).invoke(asked))[0] == "好"
    assert {one.status for one in given.events.of("input")} == {"failed_open"}
    asked = {"messages": [HumanMessage([{"type": "text", "text": ADVERT}, block])]}
    assert last(agent(saying("好"), given.guard).invoke(asked))[0] == SORRY


def test_thinking_and_extra_fields_of_an_answer_are_judged() -> None:
    """Some models put their thinking beside the content."""
    thinking = AIMessage([{"type": "reasoning", "reasoning": BAD}, {"type": "text", "text": "好"}])
    extra = AIMessage("好", additional_kwargs={"reasoning_content": BAD})
    for answer in (thinking, extra):
        assert last(agent(saying(answer), marked().guard).invoke(asking("问")))[0] == SORRY


def test_the_model_hears_the_hint_behind_its_system_prompt() -> None:
    """Once, however often it is asked."""
    again = {"dimension": "Legality", "cut": 0.5, "action": "regenerate", "hint": "换个说法。"}
    again["tries"] = 2
    model = saying(BAD, BAD, "好")
    made = agent(model, marked([again]).guard, system_prompt="你是助手。")
    assert last(made.invoke(asking("问"))) == ("好", None)
    prompts = [messages[0].text for messages in model.seen]
    assert prompts == ["你是助手。", *["你是助手。\n\n换个说法。"] * 2]
