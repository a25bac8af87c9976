"""Clients of instructor's: an answer is of the class that a call names, or there is none."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import instructor
import openai
import pytest
from pydantic import BaseModel

from guard import Blocked, wrap
from judge.errors import InputError
from tests.contracts.guard_marks import ADVERT, BAD, SORRY, marked
from tests.openai_server import OpenAIServer, Reply, ok


class Person(BaseModel):
    name: str


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    """Says what it is asked to say: by a tool, where one is to be called."""

    def script(request: dict[str, Any], _: int) -> Reply:
        text = request["messages"][-1]["content"]
        if "tools" not in request:
            return ok(text)
        arguments = json.dumps({"name": text}, ensure_ascii=False)
        function = {"name": "Person", "arguments": arguments}
        call = {"id": "call_1", "type": "function", "function": function}
        return ok(None, finish="tool_calls", message={"tool_calls": [call]})

    with OpenAIServer(script) as running:
        yield running


def of_openai(server: OpenAIServer) -> Any:
    client = openai.OpenAI(base_url=server.base_url, api_key="k", max_retries=0)
    return wrap(instructor.from_openai(client), marked().guard).chat.completions.create


def of_a_method(server: OpenAIServer) -> Any:
    client = openai.OpenAI(base_url=server.base_url, api_key="k", max_retries=0)
    return wrap(instructor.from_openai(client).chat.completions.create, marked().guard)


def of_litellm(server: OpenAIServer) -> Any:
    import litellm

    def completion(**asked: Any) -> Any:
        return litellm.completion(**asked, api_base=server.base_url, api_key="k")

    return wrap(instructor.from_litellm(completion), marked().guard).chat.completions.create


def asked(text: str, kind: Any, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"model": "openai/m", "messages": messages, "response_model": kind, **more}


@pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning")  # of litellm's own types
@pytest.mark.parametrize("client", [of_openai, of_a_method, of_litellm])
def test_what_is_withheld_is_no_answer_of_another_class(
    server: OpenAIServer, client: Callable[[OpenAIServer], Any]
) -> None:
    """A question as an answer: the caller reads the fields of its own class, so `Blocked`."""
    create = client(server)
    assert create(**asked("李", Person)).name == "李"
    for text, side in ((BAD, "output"), (ADVERT, "input")):
        with pytest.raises(Blocked, match=SORRY) as blocked:
            create(**asked(text, Person))
        assert blocked.value.side == side
    for kind in (Iterable[Person], list[Person], instructor.Partial[Person]):
        with pytest.raises(Blocked, match=SORRY):
            create(**asked(ADVERT, kind))
    with pytest.raises(Blocked, match=SORRY):
        create(**asked(ADVERT, instructor.Partial[Person], stream=True))


async def test_so_it_is_in_asynchronous_code(server: OpenAIServer) -> None:
    """The same client, awaited."""
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key="k", max_retries=0) as client:
        create = wrap(instructor.from_openai(client), marked().guard).chat.completions.create
        assert (await create(**asked("李", Person))).name == "李"
        with pytest.raises(Blocked, match=SORRY):
            await create(**asked(ADVERT, Person))


def test_a_call_that_names_no_class_is_answered_as_by_openai(server: OpenAIServer) -> None:
    """With the message; one that names text has it as text. Other ways to a model are refused."""
    create = of_openai(server)
    for text, shown in (("好", "好"), (BAD, SORRY), (ADVERT, SORRY)):
        assert create(**asked(text, None)).choices[0].message.content == shown
    assert create(**asked(ADVERT, str)) == SORRY
    client = openai.OpenAI(base_url=server.base_url, api_key="k")
    guarded: Any = wrap(instructor.from_openai(client), marked().guard)
    with pytest.raises(InputError, match="has no guard"):
        _ = guarded.chat.completions.create_with_completion


def test_a_parameter_of_that_name_may_be_anything_else() -> None:
    """The name of a model is no class."""

    def chat(prompt: str, response_model: str = "") -> str:
        return prompt

    assert wrap(chat, marked().guard)(ADVERT, response_model="m") == SORRY
