"""Whole answers through the server: what goes to the model, what comes back, what is refused."""

from __future__ import annotations

import asyncio
import errno
import gzip
import io
import json
import logging
import sys
from typing import Any

import pytest

from guard.server.http.log import say_warnings
from guard.server.settings import Limits
from tests.contracts.guard_contract import rule_of
from tests.contracts.guard_marks import ADVERT, BAD, BLOCKING, SORRY, marked, story
from tests.guard.server.serving import says, serving, standing, state_of
from tests.guard.upstream import USAGE, Call, Upstream, completion


def openai_error(message: str, kind: str, code: str | None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


async def test_the_answer_keeps_its_identifiers_and_tokens() -> None:
    """What an OpenAI client reads beside the text is there."""
    async with standing(says("今天晴。")) as stand:
        answer = await stand.served.chat()
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["usage"] == USAGE
    assert (answer.json["id"], answer.json["model"]) == ("chatcmpl-1", "m")
    assert answer.json["object"] == "chat.completion"


async def test_every_response_says_who_decided() -> None:
    """Decision, policy and a request id of ours; no calibration, since there is none."""
    async with standing(says("今天晴。")) as stand:
        policy = stand.marked.guard.policy.id
        answers = [
            await stand.served.chat(),
            await stand.served.chat(ADVERT),
            await stand.served.get("/nowhere"),
            await stand.served.get("/healthz"),
        ]
        ids = [event.request_id for event in stand.marked.events.of("input")]
    decisions = [answer.headers.get("x-flames-decision") for answer in answers]
    assert decisions == ["allowed", "blocked", None, None]
    assert {answer.headers["x-flames-policy"] for answer in answers} == {policy}
    assert [answer.headers["x-flames-request-id"] for answer in answers[:2]] == ids
    assert len({answer.headers["x-flames-request-id"] for answer in answers}) == 4
    assert not any("x-flames-calibration" in answer.headers for answer in answers)


async def test_a_caller_s_request_id_is_not_taken_for_ours() -> None:
    """Nobody can write into another's record."""
    async with standing(says("好。")) as stand:
        body = {"model": "m", "messages": [{"role": "user", "content": "你好"}]}
        answer = await stand.served.post(
            "/v1/chat/completions", body, x_flames_request_id="mine", x_request_id="mine"
        )
        (event,) = stand.marked.events.of("input")
    assert answer.headers["x-flames-request-id"] == event.request_id != "mine"


async def test_the_model_gets_our_body_and_nothing_else_of_the_caller_s() -> None:
    """Unknown keys, logprobs and headers stay behind; compression is not asked for."""
    async with standing(says("好。")) as stand:
        body = {"model": "m", "messages": [{"role": "user", "content": "你好"}], "temperature": 0.5}
        await stand.served.post(
            "/v1/chat/completions",
            {**body, "logprobs": True, "guardrails": "off"},
            x_secret="s",
            cookie="a=b",
            accept_encoding="gzip",
        )
        (call,) = stand.upstream.calls
    assert call.path == "/v1/chat/completions"
    assert call.json == body
    assert call.headers["accept-encoding"] == "identity"
    assert not {"x-secret", "cookie"} & set(call.headers)


async def test_one_caller_s_cookies_are_not_sent_for_the_next() -> None:
    """What the upstream sets is nobody's."""

    async def script(call: Call) -> None:
        await call.answer(completion("好。"), headers={"set-cookie": "who=ann"})

    async with Upstream(script) as upstream:
        named = upstream.url.replace("127.0.0.1", "localhost")  # addresses get no cookies anyway
        async with serving(state_of(marked().guard, named)) as served:
            answers = [await served.chat() for _ in range(2)]
        assert not any("cookie" in call.headers for call in upstream.calls)
    assert not any("set-cookie" in answer.headers for answer in answers)


@pytest.mark.parametrize(
    ("key", "sent"), [(None, "Bearer callers-own"), ("servers-own", "Bearer servers-own")]
)
async def test_the_upstream_s_key_is_the_server_s_or_else_the_caller_s(
    key: str | None, sent: str
) -> None:
    """With a key of its own the server lends nobody's."""
    async with standing(says("好。"), key=key) as stand:
        body = {"model": "m", "messages": [{"role": "user", "content": "你好"}]}
        await stand.served.post("/v1/chat/completions", body, authorization="Bearer callers-own")
        (call,) = stand.upstream.calls
    assert call.headers["authorization"] == sent


@pytest.mark.parametrize(
    "more",
    [
        {"metadata": {"guardrails": []}, "extra_body": {"policy": "none"}},
        {"shadow": True, "x-flames-policy": "none", "scanners_suppress": ["abuse"]},
        {"stream": False, "on_failure": "allow", "rules": []},
    ],
)
async def test_no_key_of_a_body_weakens_the_policy(more: dict[str, Any]) -> None:
    """A caller can't switch a rule off."""
    async with standing(says(story(50) + ADVERT)) as stand:
        answer = await stand.served.chat(**more)
    assert answer.text == SORRY


async def test_no_header_weakens_the_policy() -> None:
    """Nor by a header."""
    async with standing(says(story(50) + ADVERT)) as stand:
        body = {"model": "m", "messages": [{"role": "user", "content": "你好"}]}
        answer = await stand.served.post(
            "/v1/chat/completions",
            body,
            x_flames_decision="allowed",
            x_flames_shadow="1",
            x_flames_policy="none",
            x_http_method_override="GET",
            x_original_url="/healthz",
        )
    assert answer.text == SORRY


async def test_what_the_caller_says_was_said_is_scanned_too() -> None:
    """Earlier turns are the caller's word; evidence in them stops the question."""
    turns = [
        {"role": "user", "content": "你好"},
        {"role": "assistant", "content": ADVERT},
        {"role": "user", "content": "继续"},
    ]
    async with standing(says("好。")) as stand:
        answer = await stand.served.post("/v1/chat/completions", {"model": "m", "messages": turns})
        assert not stand.upstream.calls
    assert (answer.status, answer.code) == (400, "content_filter")


PICTURE = [
    {"type": "text", "text": "这是什么"},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
]


@pytest.mark.parametrize(("unread", "status"), [("block", 400), ("allow", 200)])
async def test_a_picture_passes_only_if_the_policy_says_so(unread: str, status: int) -> None:
    """What can't be read is blocked, or let through and shown as such."""
    async with standing(says("一只猫。"), policy={"unread": unread}) as stand:
        turns = [{"role": "user", "content": PICTURE}]
        answer = await stand.served.post("/v1/chat/completions", {"model": "m", "messages": turns})
        assert len(stand.upstream.calls) == (status == 200)
    assert answer.status == status
    assert answer.headers["x-flames-decision"] == ("blocked" if status == 400 else "failed_open")


async def test_a_blocked_question_may_be_answered_in_place_of_an_error() -> None:
    """`blocked_input: answer`: status 200, the message, finish `content_filter`."""
    async with standing(says("好。"), policy={"blocked_input": "answer"}) as stand:
        plain = await stand.served.chat(ADVERT, n=2)
        asked = {"stream": True, "stream_options": {"include_usage": True}}
        stream = await stand.served.chat(ADVERT, n=2, **asked)
        assert not stand.upstream.calls
    assert [c["message"]["content"] for c in plain.json["choices"]] == [SORRY, SORRY]
    assert {c["finish_reason"] for c in plain.json["choices"]} == {"content_filter"}
    finishes = [c["finish_reason"] for f in stream.frames for c in f["choices"]]
    assert finishes == [None, "content_filter", None, "content_filter"]
    assert stream.frames[-1]["usage"] == plain.json["usage"] == dict.fromkeys(USAGE, 0)
    assert stream.events[-1] == "[DONE]"


async def test_a_question_may_be_answered_by_a_message_alone() -> None:
    """`replace` on the input side ends as an answer does."""
    rule = {"evidence": "abuse", "side": "input", "action": "replace"}
    async with standing(says("好。"), [rule]) as stand:
        answer = await stand.served.chat(ADVERT)
        assert not stand.upstream.calls
    assert (answer.text, answer.json["choices"][0]["finish_reason"]) == (SORRY, "stop")
    assert answer.headers["x-flames-decision"] == "replaced"


async def test_more_choices_than_are_passed_on_are_refused() -> None:
    """Asked for, they would be paid and left out; what we say ourselves is bounded as well."""
    async with standing(says("好。"), policy={"blocked_input": "answer"}) as stand:
        most = await stand.served.chat(ADVERT, n=128)
        for n in (129, 10**9, 1e300):
            answer = await stand.served.chat(n=n)
            assert (answer.status, answer.json["error"]["param"]) == (400, "n")
        assert not stand.upstream.calls
    assert len(most.json["choices"]) == 128


async def test_another_answer_is_asked_for_with_the_rule_s_hint() -> None:
    """The hint joins the system message; the tokens of both calls are counted."""
    texts = iter([BAD, "晴。"])

    async def script(call: Call) -> None:
        await call.answer(completion(next(texts)))

    rule = rule_of("regenerate", tries=1, hint="说得平和些")
    turns = [{"role": "system", "content": "你是助手"}, {"role": "user", "content": "天气"}]
    async with standing(script, [rule]) as stand:
        answer = await stand.served.post("/v1/chat/completions", {"model": "m", "messages": turns})
        first, second = stand.upstream.calls
    assert answer.text == "晴。"
    assert answer.headers["x-flames-decision"] == "regenerated"
    assert answer.json["usage"]["total_tokens"] == 2 * USAGE["total_tokens"]
    assert first.json["messages"] == turns
    assert second.json["messages"][0] == {"role": "system", "content": "你是助手\n\n说得平和些"}
    assert second.json["messages"][1:] == turns[1:]


async def test_only_the_bad_choices_are_asked_for_again() -> None:
    """Two of three were good: they stay, and one more is asked for."""
    asked: list[Any] = []

    async def script(call: Call) -> None:
        asked.append(call.json["n"])
        first = len(asked) == 1
        await call.answer(completion("甲", BAD, "丙") if first else completion("乙"))

    async with standing(script, [rule_of("regenerate")]) as stand:
        answer = await stand.served.chat(n=3)
    assert asked == [3, 1]
    assert [c["message"]["content"] for c in answer.json["choices"]] == ["甲", "乙", "丙"]
    assert [c["index"] for c in answer.json["choices"]] == [0, 1, 2]


async def test_an_upstream_s_rate_limit_is_passed_on_in_our_words() -> None:
    """Status, identifiers and the time to wait; its text may speak of accounts."""

    async def script(call: Call) -> None:
        body = openai_error("org-secret-77 used 9 of 9 tokens", "tokens", "rate_limit_exceeded")
        await call.answer(body, 429, {"retry-after": "7", "set-cookie": "a=b"})

    async with standing(script) as stand:
        answers = [await stand.served.chat(), await stand.served.chat(stream=True)]
    for answer in answers:
        assert (answer.status, answer.headers["retry-after"]) == (429, "7")
        assert answer.json["error"] == {
            "message": "the upstream answered with status 429",
            "type": "tokens",
            "param": None,
            "code": "rate_limit_exceeded",
        }
        assert b"secret" not in answer.body
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("wait", ["13800138000", "1380013", "Wed, 21 Oct 2026 07:28:00 GMT"])
async def test_a_time_to_wait_that_is_none_is_not_passed_on(wait: str) -> None:
    """A header has room for a telephone number, and for a text."""

    async def script(call: Call) -> None:
        await call.answer(openai_error("", "tokens", None), 429, {"retry-after": wait})

    async with standing(script) as stand:
        assert "retry-after" not in (await stand.served.chat()).headers


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("maximum context length is 4096 tokens", "maximum context length is 4096 tokens"),
        (f"can't do: {ADVERT}", "the upstream answered with status 400"),
    ],
)
async def test_an_upstream_s_explanation_is_passed_on_if_the_guard_lets_it(
    said: str, told: str
) -> None:
    """It may quote what was asked, so that it is looked at like an answer."""

    async def script(call: Call) -> None:
        await call.answer(openai_error(said, "invalid_request_error", "too_long"), 400)

    async with standing(script) as stand:
        answer = await stand.served.chat()
    assert (answer.status, answer.code) == (400, "too_long")
    assert answer.json["error"]["message"] == told


@pytest.mark.parametrize("status", [401, 500, 503])
async def test_other_errors_keep_their_status(status: int) -> None:
    """Whatever the body is."""

    async def script(call: Call) -> None:
        await call.answer(b"<html>oops</html>", status, {"content-type": "text/html"})

    async with standing(script) as stand:
        answer = await stand.served.chat()
    assert answer.status == status
    assert answer.json["error"]["message"] == f"the upstream answered with status {status}"
    assert not stand.marked.events.of("output")


PLAIN = json.dumps(completion(ADVERT), ensure_ascii=False).encode()
TWICE = PLAIN.replace(b'"choices"', b'"choices": [], "choices"', 1)


@pytest.mark.parametrize(
    ("body", "status", "headers"),
    [
        (gzip.compress(PLAIN), 200, {"content-encoding": "gzip"}),
        (PLAIN, 302, {"location": "/elsewhere"}),
        (b"", 204, {}),
        (b"not json", 200, {}),
        (PLAIN + b"{}", 200, {}),
        (TWICE, 200, {}),
        (b"data: {}\n\n", 200, {"content-type": "text/event-stream"}),
        (b'{"choices": "none"}', 200, {}),
        (b"[" * 100_000, 200, {}),
    ],
)
async def test_an_answer_that_can_t_be_read_does_not_pass(
    body: bytes, status: int, headers: dict[str, str]
) -> None:
    """502, and not a byte of it."""

    async def script(call: Call) -> None:
        await call.answer(body, status, headers)

    async with standing(script) as stand:
        answer = await stand.served.chat()
        assert len(stand.upstream.calls) == 1
    assert (answer.status, answer.code) == (502, "upstream_unreadable")
    assert ADVERT.encode() not in answer.body


async def test_an_answer_without_end_is_cut_off() -> None:
    """More than the limit is not kept in memory."""

    async def script(call: Call) -> None:
        await call.begin({"content-type": "application/json"})
        while True:
            await call.piece(b" " * 65536)

    async with standing(script, limits=Limits(answer_bytes=300_000)) as stand:
        answer = await stand.served.chat()
    assert (answer.status, answer.code) == (502, "upstream_unreadable")


async def test_an_answer_that_breaks_off_does_not_pass() -> None:
    """Half of a body is none."""

    async def script(call: Call) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n"
        await call.raw(head + PLAIN)
        await call.cut()

    async with standing(script) as stand:
        answer = await stand.served.chat()
    assert (answer.status, answer.code) == (502, "upstream_interrupted")


async def test_a_silent_upstream_is_given_up() -> None:
    """504 after the time that it has."""

    async def script(call: Call) -> None:
        await call.gone()

    async with standing(script, limits=Limits(upstream_s=0.2)) as stand:
        answers = [await stand.served.chat(), await stand.served.chat(stream=True)]
    assert [(a.status, a.code) for a in answers] == [(504, "upstream_timeout")] * 2


async def test_an_upstream_that_is_away_is_told() -> None:
    """502, at once; nothing of the address."""
    async with standing(says("好。"), base="http://127.0.0.1:1/v1") as stand:
        answer = await stand.served.chat()
    assert (answer.status, answer.code) == (502, "upstream_unreachable")
    assert b"127.0.0.1" not in answer.body


async def test_the_model_is_let_go_when_the_caller_leaves() -> None:
    """Nobody pays for an answer that nobody reads."""
    asked, left = asyncio.Event(), asyncio.Event()

    async def script(call: Call) -> None:
        asked.set()
        await call.gone()
        left.set()

    async with standing(script) as stand:
        asking = asyncio.ensure_future(stand.served.chat())
        await asyncio.wait_for(asked.wait(), 5)
        asking.cancel()
        await asyncio.wait_for(left.wait(), 5)


async def test_connections_upstream_are_used_again() -> None:
    """Streams that are read to their end give theirs back as well."""
    async with standing(says("今天晴。", "明天雨。")) as stand:
        for _ in range(3):
            await stand.served.chat()
            await stand.served.chat(stream=True)
        assert len(stand.upstream.calls) == 6
        assert stand.upstream.connections == 1


async def test_a_bug_is_told_without_its_text(capfd: pytest.CaptureFixture[str]) -> None:
    """500 `internal_error`; neither response nor log hold what was asked."""
    async with standing(says("好。")) as stand:

        async def broken(*_: object, **__: object) -> None:
            raise KeyError(ADVERT)

        stand.marked.guard.record = broken  # type: ignore[method-assign,assignment]
        answer = await stand.served.chat("机密的问题")
    assert (answer.status, answer.code) == (500, "internal_error")
    told = capfd.readouterr()
    assert ADVERT not in told.err + told.out + answer.body.decode()
    assert "机密" not in told.err + told.out


class Full(io.StringIO):
    """A disk that is full."""

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("state", ["full", "closed", "gone"])
async def test_a_log_that_cannot_be_written_tells_nothing(
    state: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The warning is lost; the error that it is about isn't printed in its place."""
    log = logging.getLogger("flames_judge")
    monkeypatch.setattr(log, "handlers", [])
    monkeypatch.setattr(log, "propagate", True)
    say_warnings()
    stream = Full() if state == "full" else None if state == "gone" else io.StringIO()
    if state == "closed" and stream:
        stream.close()
    async with standing(says("好。")) as stand:

        async def broken(*_: object, **__: object) -> None:
            raise KeyError(ADVERT)

        stand.marked.guard.record = broken  # type: ignore[method-assign,assignment]
        with monkeypatch.context() as fails:
            fails.setattr(sys, "stderr", stream)
            answer = await stand.served.chat()
    told = capfd.readouterr()
    assert (answer.status, told.err + told.out) == (500, "")


async def test_input_rules_alone_leave_answers_as_they_are() -> None:
    """Only what rules name is looked at."""
    async with standing(says(BAD), BLOCKING[:1]) as stand:
        answer = await stand.served.chat()
    assert answer.text == BAD
