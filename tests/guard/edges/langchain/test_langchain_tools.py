"""A guarded agent's tools: what they tell the model, what they tell the user, whom they ask."""

from __future__ import annotations

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import StructuredTool, tool
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel, Field

from guard import GuardUnavailable
from guard.langchain import FlamesGuardMiddleware
from tests.contracts.guard_marks import ADVERT, BAD, BROKEN, SORRY, marked
from tests.guard.edges.langchain.test_langchain import agent, asking, calling, last, saying


@tool(return_direct=True)
def search(query: str) -> str:
    """Search, and show what was found as it is."""
    return f"找到：{query[::-1]}"


async def test_what_a_tool_says_to_the_user_directly_is_judged_as_an_answer() -> None:
    """No model comes after it, whose answer would be."""
    made = agent(saying(calling(query="气天")), marked().guard, [search])
    assert (await made.ainvoke(asking("问")))["messages"][-1].text == "找到：天气"
    made = agent(saying(calling(query=BAD[::-1])), marked().guard, [search])
    assert made.invoke(asking("问"))["messages"][-1].text == SORRY
    made = agent(saying(calling(query=BROKEN[::-1])), marked().guard, [search])
    with pytest.raises(GuardUnavailable, match="output"):
        await made.ainvoke(asking("问"))


@tool("search")
def blocks(query: str) -> list[dict[str, str]]:
    """Say it in two pieces."""
    return [{"type": "text", "text": half} for half in (query[:1:-1], query[1::-1])]


def test_the_pieces_of_a_tool_s_result_are_read_as_one() -> None:
    """The model does so."""
    made = agent(saying(calling(query=ADVERT[::-1]), "好"), marked().guard, [blocks])
    made_up = made.invoke(asking("问"))["messages"][2]
    assert (made_up.text, made_up.status) == (SORRY, "error")


def test_the_words_about_a_tool_s_parameters_are_read() -> None:
    """The model reads them too, and a server that offers tools may have written them."""

    def described(text: str) -> Any:
        class Arguments(BaseModel):
            query: str = Field(description=text)

        return StructuredTool.from_function(
            lambda query: query, name="f", description="好", args_schema=Arguments
        )

    for text, said in (("什么", "好"), (ADVERT, SORRY)):
        made = agent(saying("好"), marked().guard, [described(text)])
        assert last(made.invoke(asking("问")))[0] == said


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_models_that_a_tool_asks_do_not_stream_either(asynchronous: bool) -> None:
    """What they say is judged as the tool's result, and only then seen."""
    inner = saying(ADVERT)

    @tool("search")
    def ask(query: str) -> str:
        """Ask another model."""
        return str(inner.invoke([HumanMessage(query)]).text)

    made = agent(saying(calling(query="问"), "好"), marked().guard, [ask])
    options: Any = {"stream_mode": "messages"}
    if asynchronous:
        seen = [one async for one, _ in made.astream(asking("问"), **options)]
    else:
        seen = [one for one, _ in made.stream(asking("问"), **options)]
    assert [one.text for one in seen if isinstance(one, ToolMessage)] == [SORRY]
    assert not {*ADVERT} & {*"".join(one.text for one in seen if isinstance(one, AIMessage))}


def test_pictures_of_an_answer_count_as_the_policy_says() -> None:
    """As those of a question do; a tool may be called with the name of a file."""
    picture = AIMessage([{"type": "image", "base64": "iVBO", "mime_type": "image/png"}])
    assert last(agent(saying(picture), marked().guard).invoke(asking("画")))[0] == SORRY
    given = marked(unread="allow")
    state = agent(saying(picture), given.guard).invoke(asking("画"))
    assert state["messages"][-1].content == picture.content
    assert given.events.of("output")[0].status == "failed_open"
    call = calling(query="气天", file={"type": "file", "url": "a.txt"})
    state = agent(saying(call), marked().guard, [search]).invoke(asking("问"))
    assert state["messages"][-1].text == "找到：天气"


def test_what_another_middleware_adds_for_one_call_is_not_put_into_the_memory() -> None:
    """Where the question is withheld, only what the memory has is forgotten there."""

    class Adding(AgentMiddleware[Any, Any, Any]):
        def wrap_model_call(self, request: Any, handler: Any) -> Any:
            more = [*request.messages, HumanMessage("顺便")]
            return handler(request.override(messages=more))

    middleware: Any = [Adding(), FlamesGuardMiddleware(marked().guard)]
    made: Any = create_agent(saying("好"), [], middleware=middleware, checkpointer=InMemorySaver())
    state = made.invoke(asking(ADVERT), {"configurable": {"thread_id": "1"}})
    assert [one.text for one in state["messages"]] == ["…", SORRY]
