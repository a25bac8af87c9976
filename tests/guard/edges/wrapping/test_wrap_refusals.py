"""A refused question to a function whose answers have no place for a message, or one of their own.

The message goes out as what the function gives; where that can't say it, `Blocked` does.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from typing import Any, NamedTuple, TypedDict

import openai
import pytest
from openai import AsyncStream, Stream
from openai.types import Completion
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import Response
from pydantic import BaseModel

from guard import Blocked, wrap
from tests.contracts.guard_marks import ADVERT, BAD, SORRY, marked
from tests.openai_server import OpenAIServer, Reply


class Strict(BaseModel):
    text: str


class Lenient(BaseModel):
    text: str = ""
    sources: list[str] = []


@dataclass
class Said:
    text: str


class Pair(NamedTuple):
    text: str
    sources: list[str]


class Keyed(TypedDict):
    reply: str


class Quiz(BaseModel):
    question: str
    choices: list[str]


def of_litellm() -> Any:
    import litellm

    return litellm.CustomStreamWrapper


STREAMS: dict[str, Callable[[], Any]] = {
    "of chunks": lambda: Stream[ChatCompletionChunk],
    "bare": lambda: Stream,
    "of litellm's": of_litellm,
}


def giving(kind: Any) -> Callable[[str], Any]:
    """A function that says what it gives, and is never asked."""

    def chat(prompt: str) -> Any:
        raise AssertionError("it was asked")

    chat.__annotations__["return"] = kind
    return wrap(chat, marked().guard)


@pytest.mark.parametrize(
    "kind",
    [Strict, Lenient, Said, Pair, Keyed, Quiz, tuple[str, int], list[str], Response, Said | None],
)
def test_what_has_no_place_for_the_message_is_not_made_up(kind: Any) -> None:
    """No empty object, and no text where the caller goes by fields: `Blocked`, as for an answer."""
    with pytest.raises(Blocked, match=SORRY) as blocked:
        giving(kind)(ADVERT)
    assert blocked.value.side == "input"


@pytest.mark.parametrize("kind", [str, Said | str, Sequence[str], object, Any, None])
def test_what_may_be_a_text_is_the_message(kind: Any) -> None:
    """Also where a function says nothing of what it gives."""
    assert giving(kind)(ADVERT) == SORRY


@pytest.mark.parametrize("kind", [Iterator, Generator])
def test_a_stream_of_what_is_not_said_may_be_one_of_texts(kind: Any) -> None:
    """As a function that says nothing may give a text."""
    assert list(giving(kind)(ADVERT)) == [SORRY]


@pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning")  # of litellm's own types
@pytest.mark.parametrize("kind", STREAMS)
def test_a_client_s_stream_has_a_place_for_the_message(kind: str) -> None:
    """It comes in chunks, as where an answer is withheld: read in a `with`, or closed unread."""
    with giving(STREAMS[kind]())(ADVERT) as streamed:
        chunks = list(streamed)
    assert chunks[0].choices[0].delta.content == SORRY
    assert chunks[-1].choices[0].finish_reason == "content_filter"
    giving(STREAMS[kind]())(ADVERT).close()


async def test_so_has_one_of_asynchronous_code() -> None:
    """Awaited first, as OpenAI's client has it."""

    async def chat(prompt: str) -> Any:
        raise AssertionError("it was asked")

    for kind in (AsyncStream[ChatCompletionChunk], AsyncStream):
        chat.__annotations__["return"] = kind
        async with await wrap(chat, marked().guard)(ADVERT) as streamed:
            chunks = [chunk async for chunk in streamed]
        assert chunks[0].choices[0].delta.content == SORRY


def test_a_stream_of_what_has_no_place_for_the_message_gives_none() -> None:
    """`Blocked`, before any of it is read."""
    for kind in (Stream[Strict], TextIOWrapper):
        with pytest.raises(Blocked, match=SORRY):
            giving(kind)(ADVERT)


@pytest.mark.parametrize("kind", [AsyncIterator, AsyncGenerator])
async def test_so_may_one_of_asynchronous_code(kind: Any) -> None:
    """It is known by its annotation alone."""
    chat: Any = giving(kind)
    assert [piece async for piece in chat(ADVERT)] == [SORRY]


def older(*texts: str) -> dict[str, Any]:
    choices = [
        {"index": at, "text": text, "finish_reason": "stop", "logprobs": None}
        for at, text in enumerate(texts)
    ]
    around = {"id": "c", "object": "text_completion", "created": 1, "model": "m"}
    usage = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
    return {**around, "choices": choices, "usage": usage}


def test_an_answer_of_the_older_form_is_withheld_choice_by_choice() -> None:
    """As OpenAI's own object, like one of the newer form."""
    with OpenAIServer(Reply(older("好", BAD))) as server:
        client = openai.OpenAI(base_url=server.base_url, api_key="k", max_retries=0)
        answer = wrap(client.completions.create, marked().guard)(model="m", prompt="问", n=2)
    assert isinstance(answer, Completion)
    assert answer.usage is not None
    assert [one.text for one in answer.choices] == ["好", SORRY]
    assert [one.finish_reason for one in answer.choices] == ["stop", "content_filter"]
    assert (answer.id, answer.usage.total_tokens) == ("c", 12)


@pytest.mark.parametrize("streamed", [False, True])
def test_several_prompts_of_the_older_form_have_an_answer_each(streamed: bool) -> None:
    """Whatever `n` says: it counts the answers to one prompt."""
    body = older("一", "二")
    events = [json.dumps({**body, "choices": [one], "usage": None}) for one in body["choices"]]
    reply = Reply(events=[*events, "[DONE]"]) if streamed else Reply(body)
    with OpenAIServer(reply) as server:
        client = openai.OpenAI(base_url=server.base_url, api_key="k", max_retries=0)
        create: Any = wrap(client.completions.create, marked().guard)
        given = create(model="m", prompt=["问", "再问"], n=1, stream=streamed)
        parts = list(given) if streamed else [given]
    texts = [one.text for part in parts for one in part.choices]
    assert "".join(texts) == "一二"


@pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning")  # of litellm's own types
def test_litellm_s_older_form_is_its_own() -> None:
    """Its functions do not say what they give."""
    import litellm

    ask: dict[str, Any] = {"model": "text-completion-openai/m", "api_key": "k", "max_retries": 0}
    with OpenAIServer(Reply(older(BAD))) as server:
        complete: Any = wrap(litellm.text_completion, marked().guard)
        for prompt in ("问", ADVERT):
            answer = complete(prompt=prompt, api_base=server.base_url, **ask)
            assert isinstance(answer, litellm.TextCompletionResponse)
            assert answer.choices[0].text == SORRY
        pieces = list(complete(prompt=ADVERT, stream=True, **ask))
        assert "".join(one.choices[0].text for one in pieces) == SORRY
        with pytest.raises(Blocked):
            wrap(litellm.responses, marked().guard)(model="openai/m", input=ADVERT)


@pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning")  # of litellm's own types
def test_where_litellm_gives_a_list_one_answer_is_none() -> None:
    """Its caller goes through the list: `Blocked`, as for any other."""
    import litellm

    several: Any = wrap(litellm.batch_completion, marked().guard)
    with pytest.raises(Blocked, match=SORRY):
        several(model="openai/m", api_key="k", messages=[[{"role": "user", "content": ADVERT}]])
