"""What those who stream a guarded agent hear, and which model it asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from langchain.chat_models import init_chat_model
from langchain.tools import ToolRuntime
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langgraph.config import get_stream_writer

from guard import Blocked, GuardUnavailable
from tests.contracts.guard_marks import ADVERT, BAD, BROKEN, SORRY, marked
from tests.guard.edges.langchain.test_langchain import agent, asking, calling, last, saying
from tests.openai_server import OpenAIServer, Reply, ok

OF_BAD = {*BAD} - {*SORRY}  # a token each
MODEL = ("on_chat_model_start", "on_chat_model_stream", "on_chat_model_end")


async def events(made: Any) -> list[Any]:
    return [one async for one in made.astream_events(asking("问"), version="v2")]


async def test_events_have_no_token_before_the_verdict() -> None:
    """Nor the whole of an answer; they have what the agent says of it."""
    heard = await events(agent(saying(BAD), marked().guard))
    assert not OF_BAD & {*str(heard)}
    assert not [one for one in heard if one["event"] in MODEL]
    assert SORRY in str([one for one in heard if one["event"] == "on_chain_stream"])
    assert "好" in str(await events(agent(saying("好"), marked().guard)))


@pytest.mark.filterwarnings("ignore:astream_log is deprecated")
async def test_logs_of_a_run_have_none_either() -> None:
    """They go by handlers of the same kind."""
    made = agent(saying(BAD), marked().guard)
    heard = str([one async for one in made.astream_log(asking("问"))])
    assert not OF_BAD & {*heard}
    assert SORRY in heard


async def test_events_have_no_tool_s_result_before_the_verdict() -> None:
    """Nor what a model says that the tool asks."""
    inner = saying(ADVERT)

    @tool("search")
    def ask(query: str) -> str:
        """Ask another model."""
        return str(inner.invoke([HumanMessage(query)]).text)

    heard = str(await events(agent(saying(calling(query="问"), "好"), marked().guard, [ask])))
    assert not {*ADVERT} & {*heard}
    assert SORRY in heard


class Hearing(BaseCallbackHandler):
    """A callback that notes what models and tools said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def on_llm_end(self, response: Any, **_: Any) -> None:
        self.said.append(response.generations[0][0].text)

    def on_tool_end(self, output: Any, **_: Any) -> None:
        self.said.append(output.text)


async def test_other_callbacks_hear_all_that_they_hear_without_a_guard() -> None:
    """Traces are the operator's."""

    @tool
    def search(query: str) -> str:
        """Look something up."""
        return query

    for streamed in (False, True):
        hearing = Hearing()
        made = agent(saying(calling(query="天气"), "好"), marked().guard, [search])
        made = made.with_config(callbacks=[hearing])
        await (events(made) if streamed else made.ainvoke(asking("问")))
        assert hearing.said == ["", "天气", "好"]


def backwards(texts: Sequence[str]) -> str:
    """For a tool's arguments, which are scanned as well."""
    return "|".join(text[::-1] for text in texts)


def steps(query: str) -> list[Any]:
    return [{"step": text[::-1]} for text in query.split("|")]


@tool("search")
def writes(query: str) -> str:
    """Tell how far it is."""
    for step in steps(query):
        get_stream_writer()(step)
    return "好"


@tool("search")
async def writes_in_time(query: str) -> str:
    """The same in asynchronous code."""
    for step in steps(query):
        get_stream_writer()(step)
    return "好"


@tool("search")
def writes_as_it_was_given(query: str, runtime: ToolRuntime) -> str:
    """The same by what it is given, and as texts alone."""
    for step in steps(query):
        runtime.stream_writer(step["step"])
    return "好"


def writing(texts: Sequence[str], of: Any = writes, **options: Any) -> Any:
    """An agent whose tool streams these texts."""
    call = calling(query=backwards(texts))
    return agent(saying(call, "好"), marked().guard, [of], **options)


@pytest.mark.parametrize("of", [writes, writes_in_time, writes_as_it_was_given])
@pytest.mark.parametrize(
    ("texts", "seen"),
    [(["一", "二"], ["一", "二"]), (["一", BAD], []), ([*BAD], []), ([*ADVERT], [])],
)
async def test_what_a_tool_streams_goes_out_once_all_of_it_has_passed(
    texts: Sequence[str], seen: Sequence[str], of: Any
) -> None:
    """Or none of it; before the tool's result, which is judged for itself."""
    options: Any = {"stream_mode": ["custom", "updates"]}
    out = [one async for one in writing(texts, of).astream(asking("问"), **options)]
    told = [one for mode, one in out if mode == "custom"]
    assert told == (seen if of is writes_as_it_was_given else [{"step": text} for text in seen])
    assert [mode for mode, _ in out] == ["updates", *["custom"] * len(seen), "updates", "updates"]
    assert "好" in str(out[-2])


def test_synchronous_code_has_the_same() -> None:
    """Each agent runs by itself."""
    for texts, seen in ((["一", "二"], ["一", "二"]), (["一", BAD], [])):
        out = writing(texts).stream(asking("问"), stream_mode="custom")
        assert [one["step"] for one in out] == seen


async def test_where_what_a_tool_streams_is_withheld_it_may_be_an_error() -> None:
    """As elsewhere: asked for by `on_block`, and where the check fails."""
    with pytest.raises(Blocked, match=SORRY):
        await writing([BAD], on_block="raise").ainvoke(asking("问"))
    with pytest.raises(GuardUnavailable):
        writing([BROKEN]).invoke(asking("问"))


PICTURE = {"type": "image", "source": {"type": "base64", "data": "iVBO"}}


@pytest.mark.parametrize("piece", [object(), PICTURE])
@pytest.mark.parametrize(("unread", "seen"), [("block", 0), ("allow", 1)])
def test_what_a_tool_streams_unreadably_counts_as_the_policy_says(
    unread: str, seen: int, piece: object
) -> None:
    """A picture, or an object of a class that nobody knows."""

    @tool
    def search(query: str) -> str:
        """Stream no text."""
        get_stream_writer()(piece)
        return "好"

    given = marked(unread=unread)
    made = agent(saying(calling(query="问"), "好"), given.guard, [search])
    assert len(list(made.stream(asking("问"), stream_mode="custom"))) == seen
    assert [one.missed[0].kind for one in given.events.all if one.missed] == ["unread"]


@pytest.mark.parametrize("default", [{}, {"model": "own", "model_provider": "openai"}])
async def test_a_model_that_is_chosen_at_run_time_is_the_one_that_is_asked(
    default: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a default or without one."""

    def script(request: dict[str, Any], _: int) -> Reply:
        return ok(BAD if "坏" in str(request["messages"]) else request["model"])

    chosen = {"configurable": {"model": "chosen", "model_provider": "openai"}}
    with OpenAIServer(script) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        fields = ("model", "model_provider")
        model: Any = init_chat_model(configurable_fields=fields, **default)
        made = agent(model, marked().guard)
        assert last(made.invoke(asking("问"), chosen))[0] == "chosen"
        assert last(await made.ainvoke(asking("问"), chosen))[0] == "chosen"
        assert last(made.invoke(asking("坏"), chosen))[0] == SORRY
