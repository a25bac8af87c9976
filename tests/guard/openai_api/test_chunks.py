"""Streams: chunks of real servers, taken apart and written anew; read by the official client."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming._deltas import accumulate_delta
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from guard.openai_api import (
    ApiError,
    Channel,
    Envelope,
    Finish,
    Frame,
    FrameWriter,
    RoleDelta,
    TextDelta,
    ToolStart,
    UpstreamError,
    UsageEvent,
    read_chunk,
)
from tests.guard.openai_api import servers
from tests.guard.openai_api.servers import USAGE, chunk, tool

CONTENT = Channel("content")
ARGUMENTS = Channel("tool_arguments", 0)


def events(*chunks: dict[str, Any]) -> list[Any]:
    return [event for one in chunks for event in read_chunk(one).events]


def said(*chunks: dict[str, Any]) -> dict[tuple[int, str], str]:
    """Each channel's text put together."""
    texts: dict[tuple[int, str], str] = {}
    for event in events(*chunks):
        if isinstance(event, TextDelta):
            key = (event.choice, str(event.channel))
            texts[key] = texts.get(key, "") + event.text
    return texts


def passed_on(chunks: list[dict[str, Any]]) -> list[Frame]:
    """The frames of a stream in which everything is released as it comes."""
    writer, frames = FrameWriter(), []
    for one in chunks:
        read = read_chunk(one)
        writer.see(read)
        for event in read.events:
            if isinstance(event, TextDelta):
                frames += writer.text(event.choice, event.channel, event.text)
            elif isinstance(event, Finish):
                frames += writer.finish(event.choice, event.reason)
            elif isinstance(event, UsageEvent):
                frames += writer.usage(event.usage)
    return frames


def client(frames: list[Frame]) -> ChatCompletion:
    """What the official client makes of the frames."""
    state = ChatCompletionStreamState()
    for frame in [{**frames[0], "choices": []}, *frames]:
        state.handle_chunk(ChatCompletionChunk.model_validate(frame))
    return ChatCompletion.model_validate(state.current_completion_snapshot.to_dict())


def messages(frames: list[Frame]) -> dict[int, dict[str, Any]]:
    """Each choice's message, put together by the official client's way of adding deltas."""
    together: dict[int, Any] = {}
    for frame in frames:
        for choice in ChatCompletionChunk.model_validate(frame).choices:
            delta: dict[Any, Any] = choice.delta.to_dict()
            together[choice.index] = accumulate_delta(together.get(choice.index, {}), delta)
    return together


@pytest.mark.parametrize(
    ("server", "texts", "finish"),
    [
        ("openai", {"content": "你好"}, "stop"),
        ("azure", {"content": "你好"}, "stop"),
        ("deepseek", {"reasoning_content": "先想", "content": "再答"}, "stop"),
        ("vllm", {"reasoning": "想", "reasoning_content": "想", "tool_name[0]": "天气",
                  "tool_arguments[0]": '{"城市": "上海"}'}, "tool_calls"),
        ("llama.cpp", {"reasoning_content": "想", "content": "好"}, "stop"),
        ("minimax", {"content": "答"}, "stop"),
        ("openrouter", {"reasoning": "想", "content": "答"}, "stop"),
    ],
)  # fmt: skip
def test_every_text_of_every_servers_stream_is_an_event(
    server: str, texts: dict[str, str], finish: str
) -> None:
    """And nothing of theirs counts as unknown."""
    stream = servers.STREAMS[server]
    assert said(*stream) == {(0, channel): text for channel, text in texts.items()}
    assert [e.reason for e in events(*stream) if isinstance(e, Finish)] == [finish]
    for one in stream:
        assert {d.reason for d in read_chunk(one, "block").dropped} <= {"withheld"}


@pytest.mark.parametrize("server", sorted(servers.STREAMS))
def test_the_official_client_reads_the_stream_that_we_write(server: str) -> None:
    """The answer that it puts together is the upstream's, with its identifiers and its end."""
    completion = client(passed_on(servers.STREAMS[server]))
    [choice] = completion.choices
    texts = said(*servers.STREAMS[server])
    assert (completion.id, completion.model, completion.created) == ("chatcmpl-1", "m", 7)
    assert choice.message.role == "assistant"
    assert (choice.message.content or "") == texts.get((0, "content"), "")
    more = choice.message.model_extra or {}
    assert more.get("reasoning_content", "") == texts.get((0, "reasoning_content"), "")
    if server == "vllm":
        [call] = choice.message.tool_calls or []
        assert call.type == "function"
        assert (call.id, call.function.name) == ("chatcmpl-tool-a", "天气")
        assert call.function.arguments == '{"城市": "上海"}'


def test_the_frames_of_a_stream_are_these() -> None:
    """The format, pinned: one role, one finish, the usage in a chunk without choices."""
    around = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m"}
    assert passed_on(servers.OPENAI_STREAM) == [
        {**around, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "你"},
                                "finish_reason": None}]},
        {**around, "choices": [{"index": 0, "delta": {"content": "好"}, "finish_reason": None}]},
        {**around, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {**around, "choices": [], "usage": USAGE},
    ]  # fmt: skip


def test_a_tool_call_starts_with_its_id_its_type_and_its_name() -> None:
    """Clients refuse a first fragment that lacks one; the name waits until arguments are let go."""
    writer = FrameWriter()
    start = chunk(tool(1, "", id="c1", type="function", name="天"))
    assert events(start)[0] == ToolStart(0, 1, "c1", "function")
    writer.see(read_chunk(start))
    name, arguments = Channel("tool_name", 1), Channel("tool_arguments", 1)
    assert name.is_whole
    assert arguments.is_whole
    assert not CONTENT.is_whole
    assert writer.text(0, name, "天") == []
    assert writer.text(0, name, "气") == []
    first, second = (f["choices"][0]["delta"] for f in writer.text(0, arguments, "{}"))
    function = {"name": "天气", "arguments": ""}
    call = {"index": 1, "id": "c1", "type": "function", "function": function}
    assert first == {"role": "assistant", "tool_calls": [call]}
    assert second == {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]}


def test_a_tool_call_without_arguments_is_sent_at_the_finish() -> None:
    """And one whose name was never released is not sent at all."""
    writer = FrameWriter()
    for index, name in ((0, "一"), (1, "二")):
        writer.see(read_chunk(chunk(tool(index, None, id=f"c{index}", name=name))))
    writer.text(0, Channel("tool_name", 0), "一")
    frames = writer.finish(0, "tool_calls")
    assert [f["choices"][0]["finish_reason"] for f in frames] == [None, "tool_calls"]
    assert "二" not in str(frames)
    [choice] = client(frames).choices
    assert [c.id for c in choice.message.tool_calls or ()] == ["c0"]
    assert choice.finish_reason == "tool_calls"


def test_calls_of_other_kinds_survive() -> None:
    """Custom tools, the legacy function call, arguments as an object, calls without an index."""
    custom = chunk(
        {"tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f", "input": "x"}}]}
    )
    assert said(custom) == {(0, "tool_name[0]"): "f", (0, "tool_arguments[0]"): "x"}
    [start, more] = passed_on([custom])
    assert start["choices"][0]["delta"]["tool_calls"] == [
        {"index": 0, "id": "c", "type": "custom", "custom": {"name": "f", "input": ""}}
    ]
    assert more["choices"][0]["delta"]["tool_calls"] == [{"index": 0, "custom": {"input": "x"}}]
    first, second = ({"name": "f", "arguments": "{"}, {"arguments": "}"})
    legacy = [chunk({"function_call": part}) for part in (first, second)]
    legacy.append(chunk(finish="function_call"))
    call = client(passed_on(legacy)).choices[0].message.function_call
    assert call is not None
    assert (call.name, call.arguments) == ("f", "{}")
    whole = chunk(
        {"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {"a": "参"}}}]}
    )
    assert said(whole)[0, "tool_arguments[0]"] == '{"a":"参"}'


def test_parts_of_a_content_and_transcripts_are_texts() -> None:
    """Mistral streams lists of parts; speech goes on as its transcript, without the sound."""
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "想"}]}
    assert said(chunk({"content": [thinking, {"type": "text", "text": "答"}]})) == {
        (0, "reasoning_content"): "想", (0, "content"): "答"}  # fmt: skip
    audio = chunk({"audio": {"id": "a", "data": "UklGRg==", "transcript": "说"}})
    assert said(audio) == {(0, "audio_transcript"): "说"}
    assert "UklG" not in str(passed_on([audio]))
    assert [d.reason for d in read_chunk(audio).dropped] == ["withheld", "withheld"]


def test_interleaved_choices_keep_to_themselves() -> None:
    """With n > 1 each choice has its own role, its own end and its own block."""
    writer = FrameWriter()
    stream = [
        chunk({"role": "assistant", "content": "a"}),
        chunk({"role": "assistant", "content": "b"}, choice={"index": 1}),
    ]
    frames = []
    for one in stream:
        writer.see(read_chunk(one))
    assert list(writer.open_choices) == [0, 1]
    frames += writer.text(0, CONTENT, "a")
    frames += writer.block(1, "抱歉")
    assert writer.text(1, CONTENT, "迟来的") == []
    assert writer.finish(1, "stop") == []
    assert writer.block(1, "抱歉") == []
    assert list(writer.open_choices) == [0]
    assert writer.is_closed(1)
    frames += writer.finish(0, "stop")
    assert writer.text(0, CONTENT, "迟来的") == writer.finish(0, "length") == []
    assert writer.block(0, "抱歉") == []
    first, second = client(frames).choices
    assert (first.message.content, first.finish_reason) == ("a", "stop")
    assert (second.message.content, second.finish_reason) == ("抱歉", "content_filter")


def test_a_block_before_anything_came_is_still_a_whole_answer() -> None:
    """The identifiers that the edge gives stand in until the upstream's are known."""
    frames = FrameWriter(Envelope("flames-1", "m", 7)).block(0, "抱歉")
    completion = client(frames)
    assert (completion.id, completion.model) == ("flames-1", "m")
    assert completion.choices[0].message.content == "抱歉"
    assert completion.choices[0].finish_reason == "content_filter"
    assert len(FrameWriter().block(0, "")) == 1


def test_a_retraction_says_where_to_cut_and_shows_nothing_to_others() -> None:
    """Clients that don't know the extension read an empty delta."""
    writer = FrameWriter(Envelope("i", "m", 7))
    frames = [*writer.text(0, CONTENT, "好的坏的"), *writer.finish(0, "stop")]
    [retract] = writer.retract(0, 2)
    assert retract["flames_guard"] == {
        "retract": True, "choice": 0, "channel": "content", "from": 2}  # fmt: skip
    assert retract["choices"] == [{"index": 0, "delta": {}, "finish_reason": None}]
    assert client([frames[0], retract, frames[1]]).choices[0].message.content == "好的坏的"
    assert writer.retract(0, 0, ARGUMENTS)[0]["flames_guard"]["tool"] == 0


def test_errors_in_a_stream_are_events() -> None:
    """An upstream's words are to be judged before anybody sees them."""
    body = {"error": {"message": "文", "type": "server_error", "code": 500}}
    assert events(body) == [UpstreamError("server_error", 500, "文")]


def test_chunks_without_choices_are_no_trouble() -> None:
    """Azure's first chunk, the usage chunk, and a chunk without the key at all."""
    assert events(servers.AZURE_STREAM[0]) == []
    assert events(servers.OPENAI_STREAM[-1]) == [UsageEvent(USAGE)]
    assert events({"id": "x", "object": "chat.completion.chunk"}) == []
    assert events(chunk({"role": "assistant", "content": ""})) == [RoleDelta(0)]


@pytest.mark.parametrize(
    "delta",
    [
        {"new_text": "坏"},
        {"content": [{"type": "new_kind", "text": "坏"}]},
        {"tool_calls": [{"index": 0, "function": {"name": "f", "new": "坏"}}]},
        {"audio": {"new": "坏"}},
    ],
)
def test_unknown_keys_of_a_delta_are_counted_or_end_the_stream(delta: dict[str, Any]) -> None:
    """They are in no event and so in no frame; with `block` the upstream is unreadable."""
    read = read_chunk(chunk(delta))
    assert "坏" not in str(read.events)
    assert [d.reason for d in read.dropped] == ["unknown"]
    with pytest.raises(ApiError):
        read_chunk(chunk(delta), "block")


def test_unknown_keys_beside_the_delta_are_counted_too() -> None:
    """A choice that carries a text of another name does not pass for a known one."""
    read = read_chunk(chunk({"content": "好"}, choice={"text": "坏"}, around={"坏": "坏"}))
    assert [d.path for d in read.dropped] == ["?", "choices[0].?"]
    with pytest.raises(ApiError):
        read_chunk(chunk({"content": "好"}, choice={"text": "坏"}), "block")


@pytest.mark.parametrize(
    "body",
    [
        {"choices": {}},
        {"choices": ["x"]},
        {"choices": [{"index": -1, "delta": {}}]},
        {"choices": [{"index": "0", "delta": {}}]},
        {"choices": [{"index": 0, "delta": "x"}]},
        {"choices": [{"index": 0, "delta": {"content": 1}}]},
        {"choices": [{"index": 0, "delta": {"content": {"text": "x"}}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": {"index": 0}}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 5000}]}}]},
        {"choices": [{"index": 0, "delta": {"function_call": "x"}}]},
    ],
)
def test_a_chunk_that_is_none_ends_the_stream(body: dict[str, Any]) -> None:
    """Text in a form that we don't know is the upstream's failure, and never passed on."""
    with pytest.raises(ApiError) as caught:
        read_chunk(body)
    assert caught.value.status == 502


DELTAS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["content", "reasoning_content", "refusal", "arguments"]),
        st.text(max_size=5),
    ),
    max_size=20,
)


@given(DELTAS)
def test_what_was_released_is_what_the_client_puts_together(
    deltas: list[tuple[int, str, str]],
) -> None:
    """Any interleaving of choices and channels arrives whole and in order."""
    stream: list[dict[str, Any]] = []
    wanted: dict[tuple[int, str], str] = {}
    for index, channel, text in deltas:
        delta = tool(0, text, id="c", name="f") if channel == "arguments" else {channel: text}
        known = (index, "arguments") in wanted
        delta = tool(0, text) if channel == "arguments" and known else delta
        stream.append(chunk(delta, choice={"index": index}))
        wanted[index, channel] = wanted.get((index, channel), "") + text
    got: dict[tuple[int, str], str] = {}
    for index, message in messages(passed_on(stream)).items():
        calls = message.pop("tool_calls", [{"function": {}}])
        said_ = {**message, "arguments": calls[0]["function"].get("arguments")}
        got |= {(index, key): text for key, text in said_.items() if text and key != "role"}
    assert got == {key: text for key, text in wanted.items() if text}
