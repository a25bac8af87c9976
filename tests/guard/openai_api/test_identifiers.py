"""What stands around an answer's texts: identifiers, reasons, counts. None of it is a way out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from guard.openai_api import (
    ApiError,
    Finish,
    FrameWriter,
    TextDelta,
    ToolStart,
    read_chunk,
    read_completion,
    read_error,
)
from guard.openai_api.identifiers import is_count, is_identifier, names_a_count
from tests.guard.openai_api import servers
from tests.guard.openai_api.servers import chunk, tool

PHONE = "13800138000"
LONG = "how-to-build-a-thing-" * 4
SMUGGLED = [PHONE, f"call_{PHONE}", f"id:{PHONE}", "138-0013-8000", LONG, "two words", "说话", 7]


@pytest.mark.parametrize("value", SMUGGLED)
def test_an_id_with_room_for_a_text_or_a_number_of_somebody_s_is_left_out(value: Any) -> None:
    """Whole and streamed: the answer's, its model's, its server's, its tool calls'."""
    around = dict.fromkeys(("id", "model", "system_fingerprint", "service_tier"), value)
    call = {"id": value, "type": value, "index": 0, "function": {"name": "f", "arguments": "{}"}}
    message = {"role": value, "content": "好", "tool_calls": [call], "audio": {"id": value}}
    choice = {"index": 0, "finish_reason": value, "native_finish_reason": value}
    body = {**servers.OPENAI, **around, "choices": [{**choice, "message": message}]}
    forward = read_completion(body).forward
    assert str(value) not in json.dumps({**forward, "usage": None}, ensure_ascii=False).replace(
        f'"created": {body["created"]}', ""
    )
    read = read_chunk(chunk({"tool_calls": [call]}, choice=choice, around=around))
    writer = FrameWriter()
    writer.see(read)
    told = [event for event in read.events if not isinstance(event, TextDelta)]
    frames = [*writer.text(0, read.events[1].channel, "f"), *writer.finish(0, told[-1].reason)]  # type: ignore[union-attr]
    assert told == [ToolStart(0, 0, "call_0", "function"), Finish(0, "stop")]
    assert str(value) not in str(frames).replace("'created': 7", "")


@pytest.mark.parametrize(
    "value",
    [
        "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
        "930c60df-bf64-41c9-a88e-3ec75f81e00e",
        "chatcmpl-0e9f43a01be04a7e",
        "functions.get_weather:0",
        "20240529110033a8b0c2",
        "/models/Qwen3-8B",
        "b6881-8b11deea4",
        "anthropic.claude-3-5-sonnet-20240620-v1:0",
    ],
)
def test_the_identifiers_of_real_servers_pass(value: str) -> None:
    """Who looks an answer up in the server's own log finds it."""
    assert is_identifier(value)


def test_a_call_whose_id_was_left_out_has_one_of_ours() -> None:
    """The same in a whole answer as in a stream, and each call its own."""
    calls = [
        {"id": one, "type": "function", "function": {"name": "f", "arguments": "{}"}}
        for one in (PHONE, "c1", None)
    ]
    body = {**servers.OPENAI, "choices": [{"index": 0, "message": {"tool_calls": calls}}]}
    [choice] = read_completion(body).forward["choices"]
    assert [call["id"] for call in choice["message"]["tool_calls"]] == ["call_0", "c1", "call_2"]
    starts = [
        event
        for place, call in enumerate(calls)
        for event in read_chunk(chunk(tool(place, "{}", id=call["id"], name="f"))).events
        if isinstance(event, ToolStart)
    ]
    assert [start.id for start in starts] == ["call_0", "c1"]


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls", "insufficient_system_resource"])
def test_reasons_to_end_are_those_that_servers_have(reason: str) -> None:
    """Any other is `stop`."""
    body = {**servers.OPENAI, "choices": [{"index": 0, "finish_reason": reason, "message": {}}]}
    assert read_completion(body).forward["choices"][0]["finish_reason"] == reason
    assert read_chunk(chunk(finish=reason)).events == (Finish(0, reason),)
    assert read_chunk(chunk(finish="how-to-build-it")).events == (Finish(0, "stop"),)


def test_counts_are_numbers_under_names_of_counts() -> None:
    """Neither a key nor a number of `usage` spells a text or a telephone number."""
    usage = {
        "prompt_tokens": 3,
        "total_tokens": int(PHONE),
        "call_me_now": 1,
        "how_to_kill": {"tokens": 1},
        "prompt_tokens_details": {"cached_tokens": 2, "say_it": 1, "audio_tokens": None},
        "cost": 0.002,
        "text": "文",
    }
    body = {**servers.OPENAI, "created": int(PHONE), "usage": usage}
    completion = read_completion(body)
    assert completion.forward["usage"] == {
        "prompt_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": None},
        "cost": 0.002,
    }
    assert completion.forward["created"] == 0
    assert {one.reason for one in completion.dropped if one.path == "usage.?"} == {"withheld"}


@pytest.mark.parametrize("server", sorted(servers.COMPLETIONS))
def test_the_counts_of_real_servers_pass_whole(server: str) -> None:
    """`usage`, and llama.cpp's `timings`."""
    body = servers.COMPLETIONS[server]
    forward = read_completion(body).forward
    assert {key: forward[key] for key in ("usage", "timings") if key in body} == {
        key: body[key] for key in ("usage", "timings") if key in body
    }


def test_what_no_number_is_is_no_count() -> None:
    """True, infinite, or as long as a telephone number."""
    assert [is_count(one) for one in (0, 2.5, 264.51234567, 9_999_999_999)] == [True] * 4
    others = (True, float("inf"), 1e10, 138.12345678, "1", None)
    assert [is_count(one) for one in others] == [False] * 6
    assert not names_a_count("token_" * 20)


def test_an_error_s_identifiers_hold_nobody_s_number() -> None:
    """They are forwarded by themselves."""
    error = read_error({"error": {"type": f"e_{PHONE}", "code": PHONE, "message": ""}})
    assert (error.type, error.code) == ("", None)


def chosen(*indexes: int) -> dict[str, Any]:
    """An answer with these choices."""
    choices = [{"index": at, "message": {"content": f"第{at}个"}} for at in indexes]
    return {**servers.OPENAI, "choices": choices}


def test_choices_that_nobody_asked_for_are_left_out_or_refuse_the_answer() -> None:
    """They count as unknown keys do; an answer that consists of nothing else is none."""
    completion = read_completion(chosen(0, 1, 2), n=2)
    assert [choice.index for choice in completion.choices] == [0, 1]
    assert [one["index"] for one in completion.forward["choices"]] == [0, 1]
    assert [one.path for one in completion.dropped if one.reason == "unknown"] == ["choices[2]"]
    assert len(read_completion(chosen(0, 1, 2)).choices) == 3
    for body, unknown in ((chosen(0, 1), "block"), (chosen(1), "drop")):
        with pytest.raises(ApiError) as caught:
            read_completion(body, unknown, n=1)  # type: ignore[arg-type]
        assert caught.value.code == "upstream_unreadable"
