"""The guardrail's hooks, called as litellm's proxy calls them; the proxy itself is in
`test_litellm_proxy`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from guard import read_on
from guard.audit import open_audit
from guard.engine import Guard
from judge.errors import InputError, JudgeUnavailable
from tests.contracts.guard_contract import (
    AheadContract,
    Ask,
    ChoicesContract,
    DisconnectContract,
    EdgeContract,
    StreamContract,
    ToolsContract,
)
from tests.contracts.guard_marks import (
    ADVERT,
    BAD,
    BLOCKING,
    BROKEN,
    SLOW,
    SORRY,
    Bot,
    Delta,
    Got,
    Question,
    marked,
    story,
)
from tests.guard.edges.bots import Bots, characters, chunks, completion, take_chunk, take_whole
from tests.guard.edges.litellm_loaded import (
    EmbeddingResponse,
    FlamesGuardrail,
    HTTPException,
    ModelResponse,
    ModelResponseStream,
)


def guardrail(guard: Guard, **options: Any) -> FlamesGuardrail:
    given = {"guardrail_name": "flames", "event_hook": ["pre_call", "post_call"]}
    return FlamesGuardrail(guard, **(given | {"default_on": True} | options))


class Hooks:
    """A proxy reduced to the order in which it calls the hooks."""

    @asynccontextmanager
    async def open(self, guard: Guard) -> AsyncIterator[Ask]:
        bots, rail = Bots(), guardrail(guard)

        async def ask(bot: Bot, asked: Question) -> Got:
            bots.add(bot, asked)
            got = Got()
            messages = [{"role": "user", "content": asked.prompt}]
            data = {"model": "m", "messages": messages, "n": asked.n, "stream": asked.stream}
            try:
                await rail.async_pre_call_hook(None, None, data, "acompletion")
                bots.of(asked.prompt)
                if asked.stream:
                    await self._stream(rail, data, bot, got, asked)
                else:
                    whole = ModelResponse(**completion(bot))
                    answer = await rail.async_post_call_success_hook(data, None, whole)
                    take_whole(got, answer.model_dump(exclude_none=True))
            except HTTPException as error:
                got.error, got.message = error.detail["code"], error.detail["error"]
            return got

        yield ask

    async def _stream(
        self, rail: FlamesGuardrail, data: Any, bot: Bot, got: Got, asked: Question
    ) -> None:
        async def upstream() -> AsyncIterator[Any]:
            try:
                for one in chunks(bot):
                    yield ModelResponseStream(**one)
                if bot.end == "hang":
                    await asyncio.Event().wait()
            finally:
                bot.let_go.set()

        guarded = rail.async_post_call_streaming_iterator_hook(None, upstream(), data)
        async for chunk in guarded:
            if isinstance(chunk, str):
                got.error = "guard_unavailable" if "guard_unavailable" in chunk else "broken"
                return
            take_chunk(got, chunk.model_dump(exclude_none=True))
            if asked.leave_after is not None and characters(got) >= asked.leave_after:
                await guarded.aclose()
                return
        got.ended = True


class TestHooks(
    EdgeContract, StreamContract, AheadContract, ChoicesContract, ToolsContract, DisconnectContract
):
    """The contract that every edge keeps."""

    @pytest.fixture
    def edge(self) -> Any:
        return Hooks()


def asking(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **more}


async def refusal(
    rail: FlamesGuardrail, data: dict[str, Any], call: str = "acompletion"
) -> tuple[int, str]:
    """The status and the code of a refused request."""
    with pytest.raises(HTTPException) as refused:
        await rail.async_pre_call_hook(None, None, data, call)
    return refused.value.status_code, refused.value.detail["code"]


@pytest.mark.parametrize("policy", [None, "missing.yaml"])
def test_a_guardrail_without_a_policy_does_not_start(policy: str | None) -> None:
    """The proxy's own start fails with one line that says what to write."""
    with pytest.raises(InputError):
        FlamesGuardrail(policy, guardrail_name="flames")


async def test_what_the_proxy_knows_of_a_request_is_not_its_text() -> None:
    """Keys and headers are no model's to read; every other string is judged."""
    rail = guardrail(marked().guard)
    own = {"proxy_server_request": {"headers": {"x": ADVERT}}, "api_key": ADVERT}
    await rail.async_pre_call_hook(None, None, asking("好", **own), "acompletion")
    for more in ({"prompt_variables": {"a": ADVERT}}, {"tools": [{"x": ADVERT}]}, {"user": ADVERT}):
        assert await refusal(rail, asking("好", **more)) == (400, "content_filter")
    assert await refusal(rail, {"prompt": ADVERT}, "atext_completion") == (400, "content_filter")
    assert await refusal(rail, {"input": [ADVERT]}, "aembedding") == (400, "content_filter")


def turn(part: dict[str, Any]) -> list[Any]:
    return [{"role": "user", "content": [part]}]


@pytest.mark.parametrize(
    ("body", "call"),
    [
        ({"messages": turn({"type": "video", "url": "u"})}, "acompletion"),
        ({"messages": turn({"type": "image", "source": {"data": "iVBO"}})}, "anthropic_messages"),
        ({"input": turn({"type": "input_image", "image_url": "u"})}, "aresponses"),
    ],
)
async def test_pictures_of_every_route_count_as_the_policy_says(body: Any, call: str) -> None:
    """They go to the model as they came: it is not only OpenAI's parts that nobody reads."""
    assert await refusal(guardrail(marked().guard), dict(body), call) == (400, "content_filter")
    given = marked(unread="allow")
    await guardrail(given.guard).async_pre_call_hook(None, None, dict(body), call)
    assert [event.status for event in given.events.of("input")] == ["failed_open"]


async def test_streams_of_other_routes_are_refused() -> None:
    """They have forms that are not read here: nothing of them may pass unread."""
    rail = guardrail(marked().guard)
    unguarded = (400, "route_not_guarded")
    for call in ("aresponses", "anthropic_messages", "atext_completion"):
        assert await refusal(rail, {"input": "好", "stream": True}, call) == unguarded
    assert await refusal(rail, {"input": "好"}, "_arealtime") == unguarded
    assert await refusal(rail, {"input": "好"}, "agenerate_content_stream") == unguarded
    await rail.async_pre_call_hook(None, None, {"input": "好"}, "aresponses")


async def test_answers_of_other_forms_are_judged_too() -> None:
    """A text completion, or a response: every string of it; bad ones are an error."""
    rail, data = guardrail(marked().guard), {"prompt": "问"}
    with pytest.raises(HTTPException) as refused:
        await rail.async_post_call_success_hook(data, None, {"output": [{"text": BAD}]})
    assert refused.value.detail == {"error": SORRY, "code": "content_filter"}
    vectors = EmbeddingResponse(model="m", data=[{"embedding": [0.1, 2.0]}])
    assert await rail.async_post_call_success_hook(data, None, vectors) is vectors
    with pytest.raises(HTTPException) as refused:
        await rail.async_post_call_success_hook(data, None, object())
    assert refused.value.status_code == 503


async def test_answers_of_other_forms_are_read_as_one_too() -> None:
    """None of their parts holds alone what two of them say together."""
    rail, halves = guardrail(marked().guard), [ADVERT[:2], ADVERT[2:]]
    answer = {"output": [{"content": [{"type": "output_text", "text": half} for half in halves]}]}
    with pytest.raises(HTTPException) as refused:
        await rail.async_post_call_success_hook({"input": "问"}, None, answer)
    assert refused.value.detail["code"] == "content_filter"
    for side in ("request", "response"):
        with pytest.raises(HTTPException):
            await rail.apply_guardrail({"texts": halves}, {}, side)


async def test_it_runs_when_its_mode_says_so() -> None:
    """`during_call` judges beside the call; a guardrail that is not on does nothing."""
    during = guardrail(marked().guard, event_hook="during_call")
    assert await during.async_pre_call_hook(None, None, asking(ADVERT), "acompletion")
    with pytest.raises(HTTPException):
        await during.async_moderation_hook(asking(ADVERT), None, "acompletion")
    off = guardrail(marked().guard, default_on=False)
    assert await off.async_pre_call_hook(None, None, asking(ADVERT), "acompletion")
    whole = ModelResponse()
    assert await off.async_post_call_success_hook(asking("好"), None, whole) is whole


async def test_a_caller_can_t_choose_the_id_that_is_recorded() -> None:
    """What stands in its place in the body is not ours."""
    given = marked()
    rail = guardrail(given.guard)
    data = asking("好", metadata={"flames_request_id": "mine"}, litellm_call_id="mine")
    await rail.async_pre_call_hook(None, None, data, "acompletion")
    only_after = asking("好", metadata={"flames_request_id": "mine"})
    await rail.async_post_call_success_hook(only_after, None, ModelResponse())
    assert all(event.request_id != "mine" for event in given.events.all)


async def test_a_response_s_headers_tell_what_was_decided() -> None:
    """The most severe of it, as what failed open; a caller can write nothing there."""

    async def headers(text: str, asked: str = "", **policy: Any) -> dict[str, str]:
        given = marked(**policy)
        given.guard.calibration_id = "c1"
        rail = guardrail(given.guard)
        data = asking(f"说{asked or text}", metadata={"flames_request_id": "x"})
        with contextlib.suppress(HTTPException):
            await rail.async_pre_call_hook(None, None, data, "acompletion")
        choice = {"index": 0, "message": {"role": "assistant", "content": text}}
        with contextlib.suppress(HTTPException):
            answer = ModelResponse(choices=[choice])
            await rail.async_post_call_success_hook(data, None, answer)
        said = await rail.async_post_call_response_headers_hook(data, None, None) or {}
        assert said.pop("x-flames-request-id") == given.events.all[0].request_id
        assert said.pop("x-flames-policy") == given.guard.policy.id
        assert said.pop("x-flames-calibration") == "c1"
        return said

    assert await headers("好") == {"x-flames-decision": "allowed"}
    assert await headers(BAD) == {"x-flames-decision": "blocked"}
    opened = {"x-flames-decision": "failed_open", "x-flames-missed": "1"}
    assert await headers(BROKEN, on_failure="allow") == opened
    assert (await headers(BROKEN))["x-flames-decision"] == "failed"
    assert (await headers(BROKEN, asked=ADVERT))["x-flames-decision"] == "failed"
    assert await headers(BAD, shadow=True) == {"x-flames-decision": "allowed"}
    unjudged = asking("好", metadata={"flames_request_id": "x"})
    rail = guardrail(marked().guard)
    assert await rail.async_post_call_response_headers_hook(unjudged, None, None) is None


async def test_the_config_may_name_an_audit_log(tmp_path: Path) -> None:
    """Where `serve` would write it."""
    policy, log = tmp_path / "policy.yaml", f"sqlite:///{tmp_path / 'events.sqlite'}"
    rule = "{evidence: pii, side: input, action: block}"
    policy.write_text(f"version: 1\nrules: [{rule}]\n", encoding="utf-8")
    rail = FlamesGuardrail(
        str(policy), audit=log, guardrail_name="flames", event_hook="pre_call", default_on=True
    )
    await rail.async_pre_call_hook(None, None, asking("你好"), "acompletion")
    with open_audit(log) as read:
        assert [event.status for event in read.events()] == ["allowed"]


async def test_the_proxy_s_log_hears_of_each_decision_and_of_no_text() -> None:
    """By its status, its rules and the policy."""
    rail = guardrail(marked().guard)
    data = asking(f"说{ADVERT}")
    await refusal(rail, data)
    (entry,) = data["metadata"]["standard_logging_guardrail_information"]
    assert entry["guardrail_status"] == "guardrail_intervened"
    assert entry["guardrail_response"]["rules"] == ["abuse:input:block"]
    assert ADVERT not in str(entry)


async def test_texts_that_litellm_takes_out_are_judged() -> None:
    """As its endpoint for guardrails hands them over, on either side; pictures by the policy."""
    rail = guardrail(marked().guard)
    for side, text in (("request", ADVERT), ("response", BAD)):
        assert await rail.apply_guardrail({"texts": ["好"]}, {}, side) == {"texts": ["好"]}
        with pytest.raises(HTTPException):
            await rail.apply_guardrail({"texts": ["好", text]}, {}, side)
    calls = [{"function": {"arguments": BAD}}]
    for given in ({"tool_calls": calls}, {"images": ["https://example.org/a.png"]}):
        with pytest.raises(HTTPException):
            await rail.apply_guardrail(given, {}, "response")


@pytest.mark.parametrize("action", ["block", "replace"])
async def test_a_stopped_stream_tells_its_tokens_where_they_are_asked_for(action: str) -> None:
    """It is read on for them, for a while; where nobody asks it is let go of at once."""
    told = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
    rail = guardrail(marked([{**rule, "action": action} for rule in BLOCKING]).guard)
    ends: list[bool] = []

    async def upstream() -> AsyncIterator[Any]:
        try:
            for one in chunks(Bot([Delta(story(200)), Delta(BAD), Delta(story(200))], usage=False)):
                yield ModelResponseStream(**one)
            yield ModelResponseStream(choices=[], usage=told)
        finally:
            ends.append(True)

    async def streamed(**more: Any) -> list[Any]:
        data = asking("问", stream=True, **more)
        hook = rail.async_post_call_streaming_iterator_hook(None, upstream(), data)
        return [one.model_dump(exclude_none=True) async for one in hook]

    *said, last = await streamed(stream_options={"include_usage": True})
    assert SORRY in str(said)
    assert (last["choices"], last["usage"]["total_tokens"]) == ([], 12)
    assert "usage" not in str(said)
    assert "usage" not in str(await streamed(stream_options={"include_usage": False}))
    assert ends == [True, True]


@pytest.mark.parametrize("mode", ["window", "async", "retract"])
async def test_what_looks_have_passed_waits_for_none_that_come_later(mode: str) -> None:
    """Also of a text that came in one chunk."""
    text = story(900) + SLOW + story(200)
    given = marked(stream={"mode": mode, "exposure": 200}, deadline_s=600)

    async def upstream() -> AsyncIterator[Any]:
        for one in chunks(Bot([Delta(text)])):
            yield ModelResponseStream(**one)

    data = asking("问", stream=True)
    hook = guardrail(given.guard).async_post_call_streaming_iterator_hook(None, upstream(), data)
    shown = ""
    async with asyncio.timeout(10):
        while len(shown) < 800:
            shown += (await anext(hook)).choices[0].delta.content or ""
    assert text.startswith(shown)
    await hook.aclose()


@pytest.mark.parametrize("mode", ["async", "retract"])
async def test_what_could_not_be_checked_is_withdrawn_where_the_mode_retracts(mode: str) -> None:
    """Before the error is told."""
    given = marked(stream={"mode": mode, "exposure": 200})

    async def upstream() -> AsyncIterator[Any]:
        for one in chunks(Bot([Delta(story(300)), Delta(BROKEN), Delta(story(500))])):
            yield ModelResponseStream(**one)

    data = asking("问", stream=True)
    hook = guardrail(given.guard).async_post_call_streaming_iterator_hook(None, upstream(), data)
    *_, before, last = [one async for one in hook]
    assert "guard_unavailable" in last
    assert ("flames_guard" in before.model_dump_json()) is (mode == "retract")


async def test_a_stopped_stream_that_is_silent_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its user waits no longer for the tokens than the guard does."""
    monkeypatch.setattr(read_on, "LONGEST_S", 0.05)
    rail, ends = guardrail(marked().guard), []

    async def upstream() -> AsyncIterator[Any]:
        try:
            for one in chunks(Bot([Delta(story(200)), Delta(BAD), Delta(story(200))])):
                if one["choices"] and not one["choices"][0].get("finish_reason"):
                    yield ModelResponseStream(**one)
            await asyncio.Event().wait()
        finally:
            ends.append(True)

    data = asking("问", stream=True, stream_options={"include_usage": True})
    hook = rail.async_post_call_streaming_iterator_hook(None, upstream(), data)
    said = [one.model_dump(exclude_none=True) async for one in hook]
    assert said[-1]["choices"][0]["finish_reason"] == "content_filter"
    assert ends == [True]


async def test_a_judge_that_can_t_be_loaded_lets_nothing_through() -> None:
    """Before the first request, not in the middle of one."""

    async def broken() -> None:
        raise JudgeUnavailable("no weights")

    given = marked()
    given.guard.warm = broken  # type: ignore[method-assign]
    assert await refusal(guardrail(given.guard), asking("好")) == (503, "guard_unavailable")
