"""OpenAI's `parse` behind a guard: the values are of the texts that were judged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from openai.types.chat import ParsedChatCompletion
from pydantic import BaseModel

from guard import wrap
from judge.errors import InputError
from tests.contracts.guard_marks import ADVERT, BAD, SORRY, marked
from tests.openai_server import OpenAIServer, Reply, ok


class Said(BaseModel):
    answer: str


def written(answer: str, *, escaped: bool = False) -> str:
    return json.dumps({"answer": answer}, ensure_ascii=escaped)


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    """Answers what the user's text names."""
    call = {"id": "c", "type": "function", "function": {"name": "Said", "arguments": written("好")}}
    bad = {**call, "function": {"name": "Said", "arguments": written(BAD)}}
    replies = {
        "好": ok(written("好\n的")),
        "坏": ok(written(BAD)),
        "转义": ok(written(BAD, escaped=True)),
        "调用": ok(None, "tool_calls", message={"tool_calls": [call]}),
        "坏调用": ok(None, "tool_calls", message={"tool_calls": [bad]}),
    }
    replies["两个"] = Reply({**replies["好"].body, "choices": [  # type: ignore[dict-item]
        {**replies[name].body["choices"][0], "index": at}  # type: ignore[call-overload, index]
        for at, name in enumerate(("好", "坏"))
    ]})  # fmt: skip
    with OpenAIServer(lambda request, _: replies[request["messages"][-1]["content"]]) as running:
        yield running


def parsing(server: OpenAIServer, *, later: bool) -> Callable[..., Any]:
    kind: Any = openai.AsyncOpenAI if later else openai.OpenAI

    def ask(text: str, **more: Any) -> Any:
        client = kind(base_url=server.base_url, api_key="k", max_retries=0)
        messages = [{"role": "user", "content": text}]
        parse: Any = wrap(client.chat.completions.parse, marked().guard)
        given = parse(model="m", messages=messages, **({"response_format": Said} | more))
        return asyncio.run(given) if later else given

    return ask


def test_a_guarded_client_parses_too(server: OpenAIServer) -> None:
    """Its method is guarded as the function is; so are a copy's."""
    client = openai.OpenAI(base_url=server.base_url, api_key="k", max_retries=0)
    guarded = wrap(client, marked().guard).with_options(timeout=5)
    for text, value in (("好", Said(answer="好\n的")), ("坏", None), (ADVERT, None)):
        answer = guarded.chat.completions.parse(
            model="m", messages=[{"role": "user", "content": text}], response_format=Said
        )
        assert isinstance(answer, ParsedChatCompletion)
        assert answer.choices[0].message.parsed == value
        assert (answer.choices[0].message.content == SORRY) is (value is None)


@pytest.mark.parametrize("later", [False, True])
def test_a_text_that_passes_is_parsed(server: OpenAIServer, later: bool) -> None:
    """In either kind of code; one that is withheld is not, also where escapes hide what it says."""
    parse = parsing(server, later=later)
    message = parse("好").choices[0].message
    assert (message.parsed, message.content) == (Said(answer="好\n的"), written("好\n的"))
    for text in ("坏", "转义", ADVERT):
        message = parse(text).choices[0].message
        assert message.parsed is None
        assert message.content == SORRY


def test_each_choice_is_parsed_by_itself(server: OpenAIServer) -> None:
    """One that is withheld takes nothing from another."""
    first, second = parsing(server, later=False)("两个", n=2).choices
    assert (first.message.parsed, second.message.parsed) == (Said(answer="好\n的"), None)
    assert second.message.content == SORRY


def test_the_arguments_of_a_call_are_parsed_too(server: OpenAIServer) -> None:
    """As the client does for a tool that is made of a class, or a strict one."""
    parse = parsing(server, later=False)
    strict = {"type": "function", "function": {"name": "Said", "strict": True, "parameters": {}}}
    for tool, value in (
        (openai.pydantic_function_tool(Said), Said(answer="好")),
        (strict, {"answer": "好"}),
    ):
        (call,) = parse("调用", tools=[tool]).choices[0].message.tool_calls
        assert call.function.parsed_arguments == value
        message = parse("坏调用", tools=[tool]).choices[0].message
        assert (message.content, message.tool_calls) == (SORRY, None)


class Other(BaseModel):
    number: int


@pytest.mark.parametrize("value", [Said(answer=ADVERT), Other(number=1)])
def test_a_value_that_is_not_of_its_text_does_not_pass(server: OpenAIServer, value: Any) -> None:
    """It is made anew, of what was judged; where it can't be, it is refused."""
    client = openai.OpenAI(base_url=server.base_url, api_key="k", max_retries=0)

    def chat(prompt: str) -> Any:
        messages: Any = [{"role": "user", "content": prompt}]
        given = client.chat.completions.parse(model="m", messages=messages, response_format=Said)
        given.choices[0].message.parsed = value
        return given

    if isinstance(value, Said):
        answer = wrap(chat, marked().guard)("好")
        assert answer.choices[0].message.parsed == Said(answer="好\n的")
    else:
        with pytest.raises(InputError, match="no Other can be made of an answer that was judged"):
            wrap(chat, marked().guard)("好")


def test_choices_without_a_number_are_parsed_too() -> None:
    """Some providers leave it out: it is their place then, as in what is judged."""
    choices = [{"message": {"role": "assistant", "content": written(text)}} for text in ("好", BAD)]
    around = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    with OpenAIServer(Reply({**around, "choices": choices})) as server:
        first, second = parsing(server, later=False)("问", n=2).choices
    assert (first.message.parsed, second.message.parsed) == (Said(answer="好"), None)
    assert second.message.content == SORRY
