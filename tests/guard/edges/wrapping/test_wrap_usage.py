"""The tokens of a streamed answer that is stopped: told at its end, as those of one that passes."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest

from guard import read_on, wrap
from tests.contracts.guard_marks import ADVERT, BAD, BLOCKING, SORRY, marked, story
from tests.openai_server import OpenAIServer, Reply, stream

USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
ASKED = {"stream": True, "stream_options": {"include_usage": True}}
HARM = story(200) + BAD + story(400)
QUIET = [{**rule, "action": "replace"} for rule in BLOCKING]


def chunk(text: str = "", end: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": end}
    body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return {**body, "choices": [choice], **more}


TOLD = {**chunk(), "choices": [], "usage": USAGE}


def pieces(text: str) -> list[dict[str, Any]]:
    return [chunk(text[at : at + 5]) for at in range(0, len(text), 5)]


def say(text: str) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}]}


def tokens(chunks: Sequence[Any]) -> list[int]:
    """The totals that are told, each behind all choices."""
    bodies = [one if isinstance(one, dict) else one.model_dump() for one in chunks]
    told = [one for one in bodies if one.get("usage")]
    assert all(one["choices"] == [] for one in told)
    assert told in ([], bodies[-1:])
    return [one["usage"]["total_tokens"] for one in told]


def ends(chunks: Sequence[Any]) -> list[str]:
    choices = [choice for one in chunks for choice in one.choices]
    return [choice.finish_reason for choice in choices if choice.finish_reason]


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    """Says what the last message asks it to say, and the tokens where they are asked for."""

    def script(request: dict[str, Any], _: int) -> Reply:
        text = request["messages"][-1]["content"]
        said = stream(*(text[at : at + 4] for at in range(0, len(text), 4))).events
        asked = (request.get("stream_options") or {}).get("include_usage")
        return Reply(events=[*said[:-1], *([json.dumps(TOLD)] if asked else []), said[-1]])

    with OpenAIServer(script) as running:
        yield running


@pytest.mark.parametrize(("text", "end"), [(story(300), "stop"), (HARM, "content_filter")])
async def test_a_client_s_stopped_stream_tells_its_tokens(
    server: OpenAIServer, text: str, end: str
) -> None:
    """In OpenAI's own objects, in either kind of code; where nobody asked, nothing is told."""
    import openai

    about: dict[str, Any] = {"base_url": server.base_url, "api_key": "k", "max_retries": 0}
    create = wrap(openai.OpenAI(**about), marked().guard).chat.completions.create
    asked = await asyncio.to_thread(lambda: list(create(**say(text), **ASKED)))  # type: ignore[call-overload]
    assert (ends(asked), tokens(asked)) == ([end], [12])
    unasked = await asyncio.to_thread(lambda: list(create(**say(text), stream=True)))  # type: ignore[call-overload]
    assert (ends(unasked), tokens(unasked)) == ([end], [])
    later = wrap(openai.AsyncOpenAI(**about), marked().guard).chat.completions
    streamed: Any = await later.create(**say(text), **ASKED)  # type: ignore[call-overload]
    chunks = [one async for one in streamed]
    assert (ends(chunks), tokens(chunks)) == ([end], [12])


@pytest.mark.filterwarnings("ignore:.*acompletion' was never awaited:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning")  # of litellm's own types
@pytest.mark.filterwarnings("ignore:Accessing the 'model_:DeprecationWarning")  # litellm's too
async def test_litellm_s_stopped_stream_tells_its_tokens(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the answer is blocked or replaced."""
    import litellm

    monkeypatch.setattr("guard.read_on.LONGEST_S", 60)  # litellm's first chunk may take seconds
    ask = {**say(HARM), **ASKED, "model": "openai/m", "api_base": server.base_url, "api_key": "k"}
    for rules in (BLOCKING, QUIET):
        chunks = await asyncio.to_thread(
            lambda: list(wrap(litellm, marked(rules).guard).completion(**ask))  # noqa: B023
        )
        assert tokens(chunks) == [12]
        streamed = await wrap(litellm, marked(rules).guard).acompletion(**ask)
        assert tokens([one async for one in streamed]) == [12]


def test_a_question_that_is_refused_took_no_tokens(server: OpenAIServer) -> None:
    """The model was not asked: its stream says so as any other's does."""
    import openai

    client = openai.OpenAI(base_url=server.base_url, api_key="k", max_retries=0)
    create: Any = wrap(client, marked().guard).chat.completions.create
    chunks = list(create(**say(ADVERT), **ASKED))
    assert (ends(chunks), tokens(chunks)) == (["content_filter"], [0])
    assert not server.requests


class Source:
    """A client's stream of chunks; behind them it is silent, until it is told to go on."""

    def __init__(self, chunks: Sequence[Any]) -> None:
        self._chunks, self.read = iter(chunks), 0
        self.go_on, self.closed = threading.Event(), threading.Event()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        self.read += 1
        given = next(self._chunks, None)
        if isinstance(given, Exception):
            raise given
        if given is None:
            self.go_on.wait(30)
            raise StopIteration
        return given

    def close(self) -> None:
        self.closed.set()


def guarded(source: Any) -> Any:
    def chat(messages: list[Any], stream: bool, stream_options: dict[str, Any]) -> Any:
        return source

    return wrap(chat, marked().guard)(say("问")["messages"], **ASKED)


def test_a_silent_stream_is_read_on_for_a_while_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its caller has the message, and then the end; the source is closed when it comes back."""
    monkeypatch.setattr(read_on, "LONGEST_S", 0.05)
    source = Source(pieces(HARM))
    chunks = list(guarded(source))
    assert chunks[-1]["choices"][0]["finish_reason"] == "content_filter"
    assert tokens(chunks) == []
    source.go_on.set()
    assert source.closed.wait(5)


async def test_a_silent_stream_is_read_on_for_a_while_in_asynchronous_code_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There it is closed at once."""
    monkeypatch.setattr(read_on, "LONGEST_S", 0.05)
    closed: list[int] = []

    async def silent() -> AsyncIterator[Any]:
        try:
            for one in pieces(HARM):
                yield one
            await asyncio.Event().wait()
        finally:
            closed.append(1)

    chunks = [one async for one in guarded(silent())]
    assert chunks[-1]["choices"][0]["finish_reason"] == "content_filter"
    assert (tokens(chunks), closed) == ([], [1])


async def test_an_endless_stream_is_read_on_for_so_many_chunks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However fast they come."""
    monkeypatch.setattr(read_on, "MOST_CHUNKS", 100)
    source = Source([*pieces(HARM), *pieces(story(5000))])
    assert tokens(await asyncio.to_thread(lambda: list(guarded(source)))) == []
    assert source.closed.wait(5)
    assert source.read < 100 + len(pieces(HARM))

    times = 0

    async def endless() -> AsyncIterator[Any]:
        nonlocal times
        for one in pieces(HARM):
            yield one
        while True:
            times += 1
            yield chunk("好")

    assert tokens([one async for one in guarded(endless())]) == []
    assert times <= 100


def test_what_a_stopped_stream_does_wrong_is_no_error() -> None:
    """Its answer is over; nothing that it says goes out."""
    for wrong in (ConnectionError("down"), {"choices": 3}, {"error": {"message": BAD}}, 3):
        source = Source([*pieces(HARM), wrong])
        source.go_on.set()
        chunks = list(guarded(source))
        assert chunks[-1]["choices"][0]["finish_reason"] == "content_filter"
        assert BAD not in json.dumps(chunks, ensure_ascii=False)
        assert source.closed.wait(5)


def test_tokens_that_are_known_by_the_stop_are_told_at_once() -> None:
    """As of a server that tells them in every chunk, or with the last one."""
    source = Source([*pieces(story(200)), chunk(BAD, "stop", usage=USAGE)])
    chunks = list(guarded(source))
    assert (tokens(chunks), source.closed.is_set()) == ([12], True)
    assert SORRY in json.dumps(chunks, ensure_ascii=False)


def test_a_generator_is_closed_where_it_began() -> None:
    """In the thread of its caller: it is not read on."""
    closed: list[threading.Thread] = []

    def said() -> Iterator[Any]:
        try:
            yield from pieces(HARM)
            yield TOLD
        finally:
            closed.append(threading.current_thread())

    assert tokens(list(guarded(said()))) == []
    assert closed == [threading.current_thread()]


def test_a_stream_s_own_close_is_called_where_it_is_said_to_be_an_iterator() -> None:
    """A function may say no more of a client's stream: it is that stream all the same."""
    source = Source([*pieces(HARM), chunk("", "stop"), TOLD])

    def chat(messages: list[Any], stream_options: dict[str, Any]) -> Iterator[dict[str, Any]]:
        return source

    asked = {"stream_options": {"include_usage": True}}
    assert tokens(list(wrap(chat, marked().guard)(say("问")["messages"], **asked))) == [12]
    assert source.closed.wait(5)


def test_the_older_form_tells_its_tokens_too() -> None:
    """In its own form."""
    bodies = [
        {
            **chunk(),
            "object": "text_completion",
            "choices": [{"index": 0, "text": HARM[at : at + 5]}],
        }
        for at in range(0, len(HARM), 5)
    ]
    told = {**TOLD, "object": "text_completion"}
    chunks = list(guarded(Source([*bodies, told])))
    assert (tokens(chunks), chunks[-1]["object"]) == ([12], "text_completion")
