"""Streamed answers through the server, in the shapes in which real servers send them."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Sequence
from typing import Any

import pytest

from guard.server.settings import Limits
from tests.contracts.guard_contract import rule_of
from tests.contracts.guard_marks import ADVERT, BAD, SLOW, SORRY, story
from tests.contracts.guard_marks import BROKEN as FAILING
from tests.guard.server.serving import says, standing
from tests.guard.upstream import (
    DONE,
    SSE,
    USAGE,
    Call,
    Script,
    chunk,
    cut,
    frame,
    streamed,
    usage_chunk,
)

TEXT = story(260)
ASKED = {"stream": True, "stream_options": {"include_usage": True}}


def sends(*pieces: bytes) -> Script:
    """A model whose stream comes in these pieces."""

    async def script(call: Call) -> None:
        await call.events(pieces)

    return script


def sentences(text: str, size: int = 9) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


WHOLE = streamed(*sentences(TEXT), usage=True)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 10_000])
async def test_a_stream_may_be_cut_anywhere(size: int) -> None:
    """In the middle of an event, of a line or of a character: text, finish, usage and [DONE]."""
    async with standing(sends(*cut(WHOLE, size))) as stand:
        answer = await stand.served.chat(**ASKED)
    assert answer.text == TEXT
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert [f["choices"][0]["finish_reason"] for f in answer.frames if f["choices"]][-1] == "stop"
    assert answer.frames[-1]["choices"] == []
    assert answer.frames[-1]["usage"] == USAGE
    assert answer.events[-1] == "[DONE]"
    assert answer.frames[0]["choices"][0]["delta"]["role"] == "assistant"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\n", b"\r\n"),
        (b"\n", b"\r"),
        (b"data: ", b"data:"),
        (b"data: ", b": a comment\nevent: message\ndata: "),
        (b"data: {", b"data: {\ndata: "),
        (b"data: {", b"data: \n\ndata: {"),
        (b"[DONE]", b"[DONE] "),
    ],
    ids=["crlf", "cr", "no_space", "comments", "several_lines", "empty_events", "spaces"],
)
async def test_a_stream_may_be_written_in_any_lawful_way(old: bytes, new: bytes) -> None:
    """The event stream format leaves servers a choice; what we send is of one kind."""
    async with standing(sends(*cut(WHOLE.replace(old, new), 11))) as stand:
        answer = await stand.served.chat(**ASKED)
    assert answer.text == TEXT
    assert answer.events[-1] == "[DONE]"
    assert b"\r" not in answer.body


@pytest.mark.parametrize("size", [1, 5, 10_000])
async def test_a_mark_that_is_cut_by_the_network_is_found(size: int) -> None:
    """Each character of it in an event of its own, each byte in a piece of its own."""
    data = streamed(*(story(90) + ADVERT + story(90)))
    async with standing(sends(*cut(data, size))) as stand:
        answer = await stand.served.chat(**ASKED)
    assert ADVERT[:2] not in answer.text
    assert answer.text.endswith(SORRY)


async def test_usage_comes_only_if_it_was_asked_for() -> None:
    """A chunk without choices breaks clients that don't expect one."""
    async with standing(sends(WHOLE)) as stand:
        answer = await stand.served.chat(stream=True)
    assert all(f["choices"] for f in answer.frames)


@pytest.mark.parametrize("place", ["chunk", "choice"])
async def test_tokens_that_end_a_choice_unasked_stay_there(place: str) -> None:
    """DeepSeek tells them beside the last choice, Kimi within it, whether asked or not."""
    last = chunk({"content": ""}, finish="stop")
    (last if place == "chunk" else last["choices"][0])["usage"] = USAGE
    data = frame(chunk({"content": TEXT})) + frame(last) + DONE
    async with standing(sends(data), policy={"unknown_keys": "block"}) as stand:
        unasked = await stand.served.chat(stream=True)
        asked = await stand.served.chat(**ASKED)
    assert unasked.text == asked.text == TEXT
    told = [(len(f["choices"]), f["usage"]) for f in unasked.frames if "usage" in f]
    assert told == [(1, USAGE)]
    assert unasked.frames[-1]["choices"][0]["finish_reason"] == "stop"
    assert [(len(f["choices"]), f["usage"]) for f in asked.frames if "usage" in f] == [(0, USAGE)]


async def test_tokens_of_one_attempt_are_not_told_as_those_of_all() -> None:
    """Unasked, the first attempt's were not waited for."""
    good = frame(chunk({"content": "晴。"})) + frame({**chunk({}, finish="stop"), "usage": USAGE})
    streams = iter([streamed(BAD), good + DONE])

    async def script(call: Call) -> None:
        await call.events([next(streams)])

    rule, buffered = rule_of("regenerate"), {"stream": {"mode": "buffer"}}
    async with standing(script, [rule], policy=buffered) as stand:
        answer = await stand.served.chat(stream=True)
    assert answer.text == "晴。"
    assert not any("usage" in f for f in answer.frames)


async def test_a_stopped_stream_still_tells_the_tokens() -> None:
    """They are the upstream's own: it is read on, and its text is thrown away."""
    data = streamed(story(50), BAD, *sentences(story(300)), usage=True)
    async with standing(sends(*cut(data, 64))) as stand:
        answer = await stand.served.chat(**ASKED)
    assert answer.text == SORRY
    assert answer.frames[-1]["usage"] == USAGE


async def test_no_tokens_are_made_up() -> None:
    """The upstream says no more: no usage chunk, and the stream ends in time."""

    async def script(call: Call) -> None:
        await call.begin()
        await call.piece(frame(chunk({"content": BAD + story(200)})))
        await call.gone()

    async with standing(script, limits=Limits(usage_s=0.1)) as stand:
        answer = await stand.served.chat(**ASKED)
    assert answer.text == SORRY
    assert all(f["choices"] for f in answer.frames)
    assert answer.events[-1] == "[DONE]"


async def test_the_policy_s_message_does_not_wait_for_the_tokens() -> None:
    """It is sent before the upstream is read on."""
    said, waiting = asyncio.Event(), asyncio.Event()

    async def script(call: Call) -> None:
        await call.begin()
        await call.piece(frame(chunk({"content": BAD + story(200)})))
        waiting.set()
        await said.wait()
        await call.piece(frame(usage_chunk()) + DONE)
        await call.end()

    async with standing(script, limits=Limits(usage_s=10)) as stand:
        url, messages = (
            f"{stand.served.base}/v1/chat/completions",
            [{"role": "user", "content": "问"}],
        )
        body = {"model": "m", "messages": messages, **ASKED}
        async with stand.served.client.post(url, json=body) as response:
            data = b""
            while b"content_filter" not in data:
                data += await response.content.readany()
            said.set()
            data += await response.read()
    assert SORRY in data.decode()
    assert b'"usage"' in data


async def test_a_quiet_stream_is_kept_alive() -> None:
    """While text is held or the model thinks, comments keep proxies from hanging up."""
    go_on = asyncio.Event()

    async def script(call: Call) -> None:
        await call.begin()
        await call.piece(frame(chunk({"content": "今天"})))
        await go_on.wait()
        await call.piece(frame(chunk({"content": "晴。"}, finish="stop")) + DONE)
        await call.end()

    async with standing(script, limits=Limits(keep_alive_s=0.02)) as stand:
        url, messages = (
            f"{stand.served.base}/v1/chat/completions",
            [{"role": "user", "content": "问"}],
        )
        body = {"model": "m", "messages": messages, "stream": True}
        async with stand.served.client.post(url, json=body) as response:
            data = b""
            while data.count(b": keep-alive\n\n") < 3:
                data += await response.content.readany()
            assert "今天" not in data.decode()
            go_on.set()
            data += await response.read()
    assert "今天晴。" in data.decode()


async def test_an_upstream_that_is_slow_to_begin_is_waited_for() -> None:
    """Comments come before its first byte; an error after that is an error in the stream."""
    kept = asyncio.Event()

    async def script(call: Call) -> None:
        await kept.wait()
        await call.answer({"error": {"message": "busy", "type": "overloaded"}}, 503)

    async with standing(script, limits=Limits(keep_alive_s=0.02)) as stand:
        url, messages = (
            f"{stand.served.base}/v1/chat/completions",
            [{"role": "user", "content": "问"}],
        )
        body = {"model": "m", "messages": messages, "stream": True}
        async with stand.served.client.post(url, json=body) as response:
            data = await response.content.readany()
            kept.set()
            data += await response.read()
    assert response.status == 200
    assert data.startswith(b": keep-alive\n\n")
    assert b'"type":"overloaded"' in data


def call_of(*pieces: dict[str, Any], choice: int = 0) -> list[bytes]:
    return [frame(chunk({"tool_calls": [piece]}, choice)) for piece in pieces]


async def test_two_tool_calls_keep_their_names_ids_and_arguments() -> None:
    """Whole, in the order of the calls, after the finish was judged."""
    pieces = [
        *call_of(
            {"index": 0, "id": "c_a", "type": "function", "function": {"name": "查天气"}},
            {"index": 0, "function": {"arguments": '{"城市": "上'}},
            {"index": 1, "id": "c_b", "type": "function", "function": {"name": "发信"}},
            {"index": 0, "function": {"arguments": '海"}'}},
            {"index": 1, "function": {"arguments": '{"给": "我"}'}},
        ),
        frame(chunk({}, finish="tool_calls")) + DONE,
    ]
    async with standing(sends(*pieces)) as stand:
        answer = await stand.served.chat(stream=True)
    calls: dict[int, dict[str, str]] = {}
    for found in answer.frames:
        for one in found["choices"][0]["delta"].get("tool_calls", ()):
            call = calls.setdefault(one["index"], {"id": one.get("id", ""), "name": "", "text": ""})
            call["name"] += one["function"].get("name", "")
            call["text"] += one["function"].get("arguments", "")
    assert calls == {
        0: {"id": "c_a", "name": "查天气", "text": '{"城市": "上海"}'},
        1: {"id": "c_b", "name": "发信", "text": '{"给": "我"}'},
    }
    assert answer.frames[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_chunks_with_extras_lose_them() -> None:
    """Azure's filter results, logprobs and paddings are not passed on."""
    extra = chunk({"content": TEXT})
    extra["choices"][0] |= {
        "logprobs": {"content": [{"token": ADVERT}]},
        "content_filter_results": {},
    }
    extra["obfuscation"] = ADVERT
    first = {**chunk({}), "choices": [], "prompt_filter_results": [{"text": ADVERT}]}
    data = [frame(first), frame(extra), frame(chunk({}, finish="stop")) + DONE]
    async with standing(sends(*data)) as stand:
        answer = await stand.served.chat(stream=True)
    assert answer.text == TEXT
    assert ADVERT not in answer.body.decode()


async def test_a_picture_in_a_stream_is_left_out_and_costs_no_text() -> None:
    """Models that draw send it whole, in one event of some megabytes."""
    url = "data:image/png;base64," + "iVBORw0K" * 400_000
    picture = {"images": [{"type": "image_url", "image_url": {"url": url}}]}
    data = [frame(chunk(delta)) for delta in ({"content": TEXT}, picture)]
    data += [frame(chunk({}, finish="stop")) + DONE]
    async with standing(sends(*data)) as stand:
        answer = await stand.served.chat(stream=True)
    assert answer.text == TEXT
    assert answer.frames[-1]["choices"][0]["finish_reason"] == "stop"
    assert b"iVBORw0K" not in answer.body


BROKEN: dict[str, Sequence[bytes]] = {
    "not_json": [b"data: {oops\n\n"],
    "two_equal_keys": [b'data: {"choices": [], "choices": []}\n\n'],
    "not_utf8": [b"data: \xff\xfe\n\n"],
    "no_choice": [frame({"choices": [7]})],
    "too_large": [b"data: " + b" " * 8_400_000],
    "cut_event": [frame(chunk({"content": BAD}))[:-9]],
    "cut_before_finish": [DONE],
    "nothing": [],
}


@pytest.mark.parametrize("broken", BROKEN)
async def test_a_stream_that_can_t_be_read_ends_with_an_error(broken: str) -> None:
    """What was held stays inside, and no finish is made up."""
    start = [frame(chunk({"content": text})) for text in sentences(TEXT)]
    async with standing(sends(*start, *BROKEN[broken])) as stand:
        answer = await stand.served.chat(stream=True)
    assert TEXT.startswith(answer.text)
    assert len(answer.text) < len(TEXT)
    assert answer.frames[-1]["error"]["code"] in {"upstream_unreadable", "upstream_interrupted"}
    assert not any(c["finish_reason"] for f in answer.frames for c in f.get("choices", ()))


async def test_an_upstream_that_finishes_without_done_is_taken_as_finished() -> None:
    """Some servers just hang up; every choice has its finish."""
    async with standing(sends(WHOLE.removesuffix(DONE))) as stand:
        answer = await stand.served.chat(**ASKED)
    assert (answer.text, answer.events[-1]) == (TEXT, "[DONE]")


async def test_an_error_in_the_stream_is_passed_on_in_our_words() -> None:
    """Its identifiers are kept; its text, which may quote anything, is not."""
    oops = {"error": {"message": ADVERT, "type": "server_error", "code": "overloaded"}}
    data = [frame(chunk({"content": TEXT})), frame(oops), DONE]
    async with standing(sends(*data)) as stand:
        answer = await stand.served.chat(stream=True)
    error = answer.frames[-1]["error"]
    assert (error["type"], error["code"]) == ("server_error", "overloaded")
    assert ADVERT not in answer.body.decode()


@pytest.mark.parametrize(
    "headers",
    [{"content-type": "application/json"}, {**SSE, "content-encoding": "gzip"}],
    ids=["json", "gzip"],
)
async def test_what_is_no_plain_stream_does_not_pass(headers: dict[str, str]) -> None:
    """An upstream that ignores `stream`, or compresses it."""

    async def script(call: Call) -> None:
        await call.answer(gzip.compress(WHOLE), 200, headers)

    async with standing(script) as stand:
        answer = await stand.served.chat(stream=True)
    assert answer.frames[-1]["error"]["code"] == "upstream_unreadable"


async def test_a_buffered_stream_can_ask_for_another_answer() -> None:
    """Nothing has gone out yet: the caller gets the second one alone."""
    texts = iter([BAD + TEXT, TEXT])

    async def script(call: Call) -> None:
        await call.events([streamed(*sentences(next(texts)), usage=True)])

    policy = {"stream": {"mode": "buffer"}}
    async with standing(script, [rule_of("regenerate")], policy=policy) as stand:
        answer = await stand.served.chat(**ASKED)
        assert len(stand.upstream.calls) == 2
        events = stand.marked.events.of("output")
    assert (answer.text, answer.events.count("[DONE]")) == (TEXT, 1)
    assert answer.frames[-1]["usage"]["total_tokens"] == 2 * USAGE["total_tokens"]
    assert [event.status for event in events] == ["regenerated", "allowed"]


async def test_a_stream_of_which_text_is_out_is_blocked_instead() -> None:
    """What the user has read can't be unsaid by another answer."""
    text = story(300) + BAD + story(100)
    async with standing(
        sends(*cut(streamed(*sentences(text)), 99)), [rule_of("regenerate")]
    ) as stand:
        answer = await stand.served.chat(stream=True)
        assert len(stand.upstream.calls) == 1
        (event,) = stand.marked.events.of("output")
    assert answer.text.endswith(SORRY)
    assert len(answer.text) > len(SORRY)
    assert (event.status, event.action) == ("blocked", "block")


async def test_what_was_shown_is_retracted_before_the_message_is_said() -> None:
    """A client that follows drops the shown text and then shows the message."""
    text = story(100) + BAD + story(400)
    policy = {"stream": {"mode": "retract", "exposure": 200}}
    async with standing(sends(*cut(streamed(*sentences(text)), 60)), policy=policy) as stand:
        answer = await stand.served.chat(stream=True)
    shown = ""
    for found in answer.frames:
        told = found.get("flames_guard")
        if told is not None:
            assert (told["retract"], told["choice"], told["channel"]) == (True, 0, "content")
            shown = shown[: told["from"]]
        for choice in found["choices"]:
            shown += choice["delta"].get("content", "")
    assert shown == SORRY


async def test_what_was_shown_is_retracted_when_its_check_fails() -> None:
    """Text that nobody judged doesn't stay on the screen; then comes the error."""
    text = story(100) + FAILING + story(400)
    policy = {"stream": {"mode": "retract", "exposure": 200}}
    async with standing(sends(*cut(streamed(*sentences(text)), 60)), policy=policy) as stand:
        answer = await stand.served.chat(stream=True)
    *_, taken, error = answer.frames
    assert (taken["flames_guard"]["retract"], taken["flames_guard"]["from"]) == (True, 0)
    assert error["error"]["code"] == "guard_unavailable"


async def test_the_model_is_let_go_when_a_stream_is_stopped() -> None:
    """No tokens are paid for that nobody will read."""
    left = asyncio.Event()

    async def script(call: Call) -> None:
        await call.begin()
        await call.piece(frame(chunk({"content": ADVERT + story(200)})))
        await call.gone()
        left.set()

    async with standing(script) as stand:
        answer = await stand.served.chat(stream=True)
        await asyncio.wait_for(left.wait(), 5)
    assert answer.text == SORRY


async def test_n_is_more_than_the_upstream_gives() -> None:
    """One of two choices never comes, and the upstream hangs up: that is no end."""
    async with standing(sends(WHOLE.removesuffix(DONE))) as stand:
        answer = await stand.served.chat(stream=True, n=2)
    assert answer.frames[-1]["error"]["code"] == "upstream_interrupted"


async def test_a_stream_without_text_ends_as_it_is() -> None:
    """An empty answer is an answer."""
    async with standing(says("", "")) as stand:
        answer = await stand.served.chat(stream=True)
    assert (answer.text, answer.events[-1]) == ("", "[DONE]")


@pytest.mark.parametrize("mode", ["window", "async", "retract"])
@pytest.mark.parametrize("size", [9, 10_000])
async def test_what_looks_have_passed_waits_for_none_that_come_later(mode: str, size: int) -> None:
    """A model that is faster than the judge says much at once: its beginning is read at once."""
    text = story(900) + SLOW + story(200)
    policy = {"stream": {"mode": mode, "exposure": 200}, "deadline_s": 600}
    async with standing(sends(streamed(*sentences(text, size))), policy=policy) as stand:
        url, messages = (
            f"{stand.served.base}/v1/chat/completions",
            [{"role": "user", "content": "问"}],
        )
        body = {"model": "m", "messages": messages, "stream": True}
        async with asyncio.timeout(10), stand.served.client.post(url, json=body) as response:
            shown = ""
            while len(shown) < 800:
                line = (await response.content.readline()).decode()
                if line.startswith("data: "):
                    delta = json.loads(line.removeprefix("data: "))["choices"][0]["delta"]
                    shown += delta.get("content", "")
    assert text.startswith(shown)
