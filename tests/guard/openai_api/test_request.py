"""Requests: what is judged, what is context, what is forwarded, what is refused."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from guard.openai_api import ApiError, ChatRequest, read_request
from judge.records import Turn


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def said(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


def asking(*messages: dict[str, Any], **more: Any) -> ChatRequest:
    return read_request({"model": "m", "messages": list(messages), **more})


def texts(parts: Any) -> list[str]:
    return [part.text for part in parts]


def test_the_newest_turns_and_the_operators_are_judged_the_rest_is_context() -> None:
    """Two user turns in a row are both new; a system turn is judged wherever it stands."""
    request = asking(
        {"role": "system", "content": "系统"}, user("旧问"), said("旧答"),
        {"role": "developer", "content": "开发"}, user("新问一"), user("新问二"),
    )  # fmt: skip
    assert texts(request.parts) == ["系统", "开发", "新问一", "新问二"]
    assert texts(request.context) == ["旧问", "旧答"]
    assert request.prompt == "新问二"
    assert [(t.role, t.content) for t in request.history] == [
        ("system", "系统"), ("user", "旧问"), ("assistant", "旧答"), ("system", "开发"),
        ("user", "新问一"),
    ]  # fmt: skip
    assert request.history[0] == Turn(role="system", content="系统")


def test_an_answer_that_the_caller_has_begun_is_judged_as_new() -> None:
    """The last message, if it is the assistant's, is a prefill: the model never said it."""
    assert texts(asking(user("问"), said("开头")).parts) == ["问", "开头"]
    assert texts(asking(said("一"), said("二")).parts) == ["一", "二"]
    continued = asking(user("旧"), said("答"), user("问"), said("开头", prefix=True))
    assert texts(continued.parts) == ["问", "开头"]


def test_what_was_refused_before_is_known() -> None:
    """As `score` reads it: beside an empty content, or as a part of it."""
    for refused in (said(None, refusal="不行"), said([{"type": "refusal", "refusal": "不行"}])):
        request = asking(user("旧问"), refused, user("问"))
        assert [turn.content for turn in request.history] == ["旧问", "不行"]


def test_a_tools_result_is_judged_and_the_question_is_still_known() -> None:
    """Behind a tool call the newest turn is the result; the prompt is what the user had asked."""
    call = {"id": "c1", "type": "function", "function": {"name": "查", "arguments": '{"a": "参"}'}}
    result = {"role": "tool", "tool_call_id": "c1", "content": "结果"}
    request = asking(user("问"), said(None, tool_calls=[call]), result)
    assert texts(request.parts) == ["结果"]
    assert texts(request.context) == ["问", "查", '{"a": "参"}']
    assert request.prompt == "问"
    assert request.forward["messages"][1]["tool_calls"] == [call]


def test_texts_that_only_together_say_it_are_reported_together() -> None:
    """A model reads the parts of a content as one."""
    request = asking(user([{"type": "text", "text": "如何制"}, {"type": "text", "text": "造"}]))
    assert texts(request.parts) == ["如何制", "造", "如何制造"]
    assert request.parts[-1].kind == "joined"
    assert request.prompt == "如何制\n造"


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f", "description": "记"}}]},
         "tool_description"),
        ({"tools": [{"type": "function", "function": {
            "name": "f", "parameters": {"properties": {"记": {"type": "string"}}}}}]}, "schema"),
        ({"tools": [{"type": "custom", "custom": {
            "name": "f", "format": {"type": "grammar", "grammar": {"definition": "记"}}}}]},
         "grammar"),
        ({"functions": [{"name": "f", "description": "记"}]}, "tool_description"),
        ({"tool_choice": {"type": "function", "function": {"name": "记"}}}, "tool_name"),
        ({"response_format": {"type": "json_schema", "json_schema": {
            "name": "n", "schema": {"enum": ["记"]}}}}, "schema"),
        ({"prediction": {"type": "content", "content": "记"}}, "content"),
        ({"prediction": {"type": "content", "content": [{"type": "text", "text": "记"}]}},
         "content"),
        ({"metadata": {"k": "记"}}, "metadata"),
        ({"stop": "记"}, "stop"),
        ({"stop": ["记"]}, "stop"),
        ({"user": "记"}, "identifier"),
        ({"model": "记"}, "identifier"),
        ({"web_search_options": {"user_location": {"approximate": {"city": "记"}}}}, "web_search"),
        ({"chat_template_kwargs": {"enable_thinking": False, "style": "记"}},
         "template_arguments"),
        ({"documents": [{"title": "t", "text": "记"}]}, "document"),
        ({"guided_choice": ["记"]}, "grammar"),
        ({"structured_outputs": {"regex": "记"}}, "grammar"),
    ],
)  # fmt: skip
def test_texts_outside_the_messages_are_judged(more: dict[str, Any], kind: str) -> None:
    """Schemas, stop words, metadata, documents: a model or a person reads each of them."""
    request = asking(user("问"), **more)
    assert [part.kind for part in request.parts if "记" in part.text] == [kind]
    assert {key: request.forward[key] for key in more} == more


@pytest.mark.parametrize("word", ["13812345678", "tel:+86-138-1234-5678", "11010519491231002X"])
def test_a_name_that_is_somebody_s_number_is_judged(word: str) -> None:
    """A caller's account or a call's id may be one; other names have no room for a text."""
    call = {"id": word, "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turn = {"role": "assistant", "content": None, "tool_calls": [call]}
    request = asking(turn, {"role": "tool", "tool_call_id": word, "content": "晴"}, user=word)
    found = [part for part in (*request.parts, *request.context) if part.kind == "identifier"]
    assert [part.text for part in found] == [word] * 3
    assert request.forward["user"] == word
    assert not [
        part for part in asking(user("问"), user="u-1764361234567").parts if part.role == ""
    ]


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": "问", "name": "记"},
        {"role": "assistant", "content": "答", "reasoning_content": "记"},
        {"role": "assistant", "content": None, "refusal": "记"},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "记"}},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "记"}]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "记"}]},
        {"role": "function", "name": "f", "content": "记"},
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "记"}]},
        {"role": "user", "content": ["记"]},
        {"role": "user", "content": [{"type": "file", "file": {"filename": "记"}}]},
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {
            "data": "UklG", "format": "wav", "transcript": "记"}}]},
    ],
)  # fmt: skip
def test_every_text_of_a_message_is_judged(message: dict[str, Any]) -> None:
    """Names, reasoning, refusals, function calls and file names reach the model too."""
    assert any("记" in text for text in texts(asking(message).parts))


def test_numbers_in_schemas_are_judged_as_text() -> None:
    """A phone number is no less one for standing in an enum without quotes."""
    schema = {"type": "json_schema", "json_schema": {"schema": {"enum": [13800138000]}}}
    assert "13800138000" in asking(user("问"), response_format=schema).parts[-1].text


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        (
            {"type": "image_url", "image_url": {"url": "https://a.b/c.png", "detail": "low"}},
            "image",
        ),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0K"}}, "image"),
        ({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}, "audio"),
        ({"type": "file", "file": {"file_id": "file-1"}}, "file"),
        ({"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE"}}, "file"),
        ({"type": "video_url", "video_url": {"url": "https://a.b/c.mp4"}}, "video"),
    ],
)
def test_pictures_sounds_and_files_are_listed_as_unread(part: dict[str, Any], kind: str) -> None:
    """What a model will see and nothing here can read is for the policy to decide."""
    request = asking(user([{"type": "text", "text": "看"}, part]))
    assert [one.kind for one in request.unread] == [kind]
    assert request.forward["messages"][0]["content"][1] == part
    urls = [p.text for p in request.parts if p.kind == "url"]
    assert urls == [u for u in ("https://a.b/c.png", "https://a.b/c.mp4") if u in str(part)]


def test_an_inline_text_file_is_read_and_judged() -> None:
    """Base64 is no hiding place for what is plain text."""
    data = base64.b64encode("文件里的话".encode()).decode()
    for media in ("text/plain", "text/markdown;charset=utf-8", "application/json"):
        url = f"data:{media};base64,{data}"
        request = asking(user([{"type": "file", "file": {"file_data": url, "filename": "a.txt"}}]))
        assert "文件里的话" in texts(request.parts)
        assert request.unread == ()


def test_a_text_file_in_another_character_set_is_unread() -> None:
    """The upstream would read other characters than we do."""
    data = base64.b64encode("话".encode("gbk")).decode()
    url = f"data:text/plain;charset=gbk;base64,{data}"
    request = asking(user([{"type": "file", "file": {"file_data": url}}]))
    assert len(request.unread) == 1


def test_what_looks_like_no_base64_is_judged_as_text() -> None:
    """A sentence in the place of a picture is a sentence."""
    part = {"type": "input_audio", "input_audio": {"data": "how to do it", "format": "wav"}}
    assert texts(asking(user([part])).parts) == ["how to do it"]


@pytest.mark.parametrize(
    "key",
    ["chat_template", "prompt_embeds", "logits_processors", "lora", "sensitive_word_check",
     "logprobs", "top_logprobs", "prompt_logprobs", "return_token_ids", "prompt_token_ids"],
)  # fmt: skip
def test_what_would_undo_the_guard_is_withheld_even_when_unknown_keys_are_refused(key: str) -> None:
    """Templates and token ids can't be read; other models and switched-off checks aren't the
    caller's to choose; log probabilities repeat the answer past the guard."""
    body = {"model": "m", "messages": [user("问")], key: [1]}
    request = read_request(body, "block")
    assert key not in request.forward
    assert [(d.path, d.reason) for d in request.dropped] == [(key, "withheld")]


def test_unknown_keys_are_left_out_and_counted_without_their_names() -> None:
    """A key may be a text of the caller's, and a list of them ends in logs."""
    request = asking({**user("问"), "某键": 1}, 未知="x", unheard_of={"a": "b"}, empty=None)
    assert [(d.path, d.reason) for d in request.dropped] == [
        ("messages[0].?", "unknown"), ("?", "unknown"), ("?", "unknown"),
    ]  # fmt: skip
    assert set(request.forward) == {"messages", "model"}


@pytest.mark.parametrize(
    "body",
    [
        {"unheard_of": 1},
        {"temperature": "热"},
        {"tools": [{"type": "mcp", "server_url": "https://a.b"}]},
        {"messages": [{"role": "user", "content": [{"type": "new_kind", "text": "x"}]}]},
    ],
)
def test_a_policy_may_refuse_what_it_does_not_know(body: dict[str, Any]) -> None:
    """With `unknown_keys: block` nothing of the request is quietly changed."""
    with pytest.raises(ApiError) as caught:
        read_request({"messages": [user("问")], **body}, "block")
    assert caught.value.code == "unknown_parameter"


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        (None, "messages"),
        ([], "messages"),
        ("问", "messages"),
        (["问"], "messages[0].role"),
        ([{"content": "问"}], "messages[0].role"),
        ([{"role": "Assistant", "content": "问"}], "messages[0].role"),
        ([{"role": ["user"], "content": "问"}], "messages[0].role"),
        ([{"role": "user", "content": {"text": "问"}}], "messages[0].content"),
    ],
)
def test_messages_that_are_none_are_refused_by_their_place(messages: Any, param: str) -> None:
    """A role that we don't know can't be told new from old, so it is not let through."""
    with pytest.raises(ApiError) as caught:
        read_request({"messages": messages})
    assert (caught.value.status, caught.value.param) == (400, param)
    assert "问" not in str(caught.value.body())


def test_sampling_and_thinking_switches_of_servers_are_forwarded() -> None:
    """Numbers and switches say nothing; people need them for vLLM, llama.cpp, Qwen and DeepSeek."""
    more = {
        "temperature": 0.6, "top_p": 0.95, "top_k": 20, "min_p": 0.0, "repetition_penalty": 1.05,
        "seed": 1, "max_tokens": 5, "enable_thinking": False, "thinking_budget": 100,
        "thinking": {"type": "enabled"}, "chat_template_kwargs": {"enable_thinking": False},
        "reasoning_effort": "low", "cache_prompt": True, "stop_token_ids": [1, 2],
        "logit_bias": {"50256": -100}, "stream": True, "n": 2,
        "stream_options": {"include_usage": True}, "service_tier": "flex", "store": None,
    }  # fmt: skip
    request = read_request({"model": "Qwen/Qwen3-8B", "messages": [user("问")], **more}, "block")
    assert {key: request.forward[key] for key in more} == more
    assert (request.model, request.stream, request.n) == ("Qwen/Qwen3-8B", True, 2)
    assert request.include_usage
    assert [p.kind for p in request.parts] == ["content", "template_arguments"]


def test_the_callers_body_is_left_as_it_is() -> None:
    """Reading changes nothing in what was given."""
    body = {"model": "m", "messages": [user([{"type": "text", "text": "问", "x": 1}])], "y": 1}
    read_request(body)
    assert body == {
        "model": "m", "messages": [user([{"type": "text", "text": "问", "x": 1}])], "y": 1,
    }  # fmt: skip
