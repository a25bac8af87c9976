"""Whole answers: what is judged, what is forwarded, and what stands in for what was blocked."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from guard.openai_api import (
    ApiError,
    Envelope,
    blocked,
    guard_unavailable,
    input_blocked,
    read_completion,
    read_error,
    said,
    serialised,
)
from tests.guard.openai_api import servers


def answer(*messages: dict[str, Any], **around: Any) -> dict[str, Any]:
    choices = [
        {"index": place, "finish_reason": "stop", "message": {"role": "assistant", **message}}
        for place, message in enumerate(messages)
    ]
    return {**servers.OPENAI, "choices": choices, **around}


def judged(body: dict[str, Any]) -> list[tuple[str, str]]:
    return [(p.kind, p.text) for choice in read_completion(body).choices for p in choice.parts]


@pytest.mark.parametrize(
    ("server", "parts"),
    [
        ("openai", [("content", "你好")]),
        ("azure", [("content", "好")]),
        ("vllm", [("reasoning", "要查天气"), ("tool_name", "天气"),
                  ("tool_arguments", '{"城市": "上海"}')]),
        ("llama.cpp", [("content", "好"), ("reasoning_content", "先想")]),
        ("deepseek", [("content", "答"), ("reasoning_content", "想")]),
        ("mistral", [("reasoning_content", "想"), ("content", "答")]),
        ("audio", [("audio_transcript", "说的话")]),
        ("openrouter", [("content", "答"), ("reasoning", "想")]),
        ("glm", [("content", "答"), ("reasoning_content", "想")]),
        ("minimax", [("content", "答"), ("reasoning_content", "想")]),
        ("gemini", [("content", "答"), ("tool_name", "天气"), ("tool_arguments", "{}")]),
        ("doubao", [("content", "答"), ("reasoning_content", "想")]),
        ("sglang", [("content", "答"), ("reasoning_content", "想")]),
    ],
)  # fmt: skip
def test_the_texts_of_every_servers_answer_are_judged(
    server: str, parts: list[tuple[str, str]]
) -> None:
    """And none of their own keys counts as unknown, so that `unknown_keys: block` can be used."""
    body = servers.COMPLETIONS[server]
    assert judged(body) == parts
    assert [d for d in read_completion(body, "block").dropped if d.reason != "withheld"] == []


@pytest.mark.parametrize("server", sorted(servers.COMPLETIONS.keys() - {"mistral", "audio"}))
def test_what_is_forwarded_is_read_by_the_official_client(server: str) -> None:
    """Identifiers, counts and reasons to end are kept."""
    body = servers.COMPLETIONS[server]
    forward = read_completion(body).forward
    known = {"stop", "length", "tool_calls", "content_filter", "function_call"}
    reason = forward["choices"][0]["finish_reason"]
    readable = copy.deepcopy(forward)
    readable["choices"][0]["finish_reason"] = reason if reason in known else "stop"
    parsed = ChatCompletion.model_validate(readable)
    assert (parsed.id, parsed.model, parsed.created) == (body["id"], body["model"], body["created"])
    assert forward["usage"] == body["usage"]
    assert reason == body["choices"][0]["finish_reason"]


@pytest.mark.parametrize("server", sorted(servers.COMPLETIONS))
def test_what_repeats_or_adds_to_the_answer_unjudged_is_withheld(server: str) -> None:
    """Log probabilities, token ids, annotations, filters' citations and sound stay behind."""
    text = serialised(read_completion(servers.COMPLETIONS[server]).forward).decode()
    for word in ("logprob", "token_ids", "annotations", "citation", "filter", "UklGRg"):
        assert word not in text


def test_an_unknown_key_is_left_out_or_refuses_the_answer() -> None:
    """A new field of the upstream never reaches a user unread."""
    body = answer({"content": "好", "new_text": "坏"}, news="坏")
    completion = read_completion(body)
    assert "坏" not in serialised(completion.forward).decode()
    assert [d.path for d in completion.dropped] == ["?", "choices[0].message.?"]
    with pytest.raises(ApiError) as caught:
        read_completion(body, "block")
    assert (caught.value.status, caught.value.code) == (502, "upstream_unreadable")


def test_identifiers_that_are_sentences_are_left_out() -> None:
    """Neither an id nor a reason to end is a way around the guard."""
    call = {
        "id": "一句 话",
        "type": "function",
        "function": {"name": "f", "arguments": {"a": "参"}},
    }
    body = answer({"content": None, "tool_calls": [call]}, id="有 话", model="model 有话")
    completion = read_completion(body)
    assert completion.envelope == Envelope("", "", servers.OPENAI["created"], "fp_1", "default")
    assert "话" not in serialised(completion.forward).decode()
    assert ("tool_arguments", "a\n参") in judged(body)


def test_only_the_blocked_choices_are_replaced() -> None:
    """The others stand as they were, the tokens were used, and all that the blocked one said is
    gone: its reasoning and its tool calls too."""
    call = {"id": "c", "type": "function", "function": {"name": "坏", "arguments": "{}"}}
    body = answer(
        {"content": "好"}, {"content": "坏", "reasoning_content": "坏", "tool_calls": [call]}
    )
    out = blocked(read_completion(body), {1: "抱歉"})
    first, second = ChatCompletion.model_validate(out).choices
    assert (first.message.content, first.finish_reason) == ("好", "stop")
    assert (second.message.content, second.finish_reason) == ("抱歉", "content_filter")
    assert out["usage"] == servers.OPENAI["usage"]
    assert "坏" not in serialised(out).decode()


def test_choices_are_told_apart_by_their_number_and_not_by_their_place() -> None:
    """Some servers send them in another order; two with one number can't be told apart at all."""
    body = answer({"content": "零"}, {"content": "一"})
    body["choices"].reverse()
    completion = read_completion(body)
    assert [(c.index, c.said) for c in completion.choices] == [
        (1, (("content", "一"),)),
        (0, (("content", "零"),)),
    ]
    assert blocked(completion, {0: "抱歉"})["choices"][1]["message"]["content"] == "抱歉"
    body["choices"][0]["index"] = 0
    with pytest.raises(ApiError, match="can't be read"):
        read_completion(body)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"choices": None},
        {"choices": ["x"]},
        {"choices": [{"index": 0}]},
        {"choices": [{"index": 0, "delta": {"content": "x"}}]},
        {"choices": [{"index": -1, "message": {}}]},
        {"choices": [{"index": True, "message": {}}]},
        {"choices": [{"index": 10**9, "message": {}}]},
        {"error": {"message": "x"}, "choices": []},
    ],
)
def test_an_answer_that_is_none_is_the_upstreams_failure(body: dict[str, Any]) -> None:
    """It is not forwarded; the caller gets a 502."""
    with pytest.raises(ApiError) as caught:
        read_completion(body)
    assert caught.value.status == 502


def test_a_whole_answer_of_ours_is_read_by_the_official_client() -> None:
    """A refusal given with status 200, for each of the answers asked for."""
    out = said(Envelope("flames-1", "m", 7), "抱歉", n=2)
    parsed = ChatCompletion.model_validate(out)
    assert [c.message.content for c in parsed.choices] == ["抱歉", "抱歉"]
    assert {c.finish_reason for c in parsed.choices} == {"content_filter"}


def test_errors_have_the_status_and_the_code_that_callers_check() -> None:
    """A blocked input is the caller's affair, a guard that failed is ours."""
    error = input_blocked("抱歉，这个内容我不能提供。")
    assert (error.status, error.body()["error"]["code"]) == (400, "content_filter")
    error = guard_unavailable()
    assert (error.status, error.body()["error"]["code"]) == (503, "guard_unavailable")
    assert error.body()["error"]["type"] == "server_error"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": {"message": "文", "type": "invalid_request_error", "code": "x"}},
         ("invalid_request_error", "x", "文")),
        ({"error": {"message": "文", "type": "exceed_context_size_error", "code": 400}},
         ("exceed_context_size_error", 400, "文")),
        ({"object": "error", "message": "文", "type": "BadRequestError", "code": 404},
         ("BadRequestError", 404, "文")),
        ({"detail": "文"}, ("", None, "文")),
        ({"error": "文"}, ("", None, "文")),
        ({"error": {"message": ["文"], "type": "一句话", "code": {"a": 1}}}, ("", None, "")),
        ("文", ("", None, "")),
    ],
)  # fmt: skip
def test_an_upstreams_error_is_taken_apart_so_that_its_words_can_be_judged(
    body: Any, expected: tuple[Any, ...]
) -> None:
    """Its message may quote the prompt; only its identifiers are forwarded by themselves."""
    error = read_error(body)
    assert (error.type, error.code, error.message) == expected
    assert "文" not in str(error.body("the upstream refused the request"))
