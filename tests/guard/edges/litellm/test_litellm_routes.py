"""The guardrail on routes of the proxy that not every hook is called for."""

from __future__ import annotations

import io
from typing import Any

import pytest
from litellm.proxy._types import UserAPIKeyAuth

from tests.contracts.guard_marks import ADVERT, marked
from tests.guard.edges.litellm_loaded import FlamesGuardrail, GuardrailEventHooks, HTTPException

PROXY = {"user_api_key": "hash", "user_api_key_user_email": ADVERT}
UNGUARDED = (400, "route_not_guarded")
WITHHELD = (400, "content_filter")


def guardrail(given: Any = None, **options: Any) -> FlamesGuardrail:
    own = {"guardrail_name": "flames", "event_hook": ["pre_call", "post_call"]}
    return FlamesGuardrail((given or marked()).guard, **{**own, "default_on": True, **options})


async def refusal(rail: FlamesGuardrail, data: dict[str, Any], call: str) -> tuple[int, str]:
    """The status and the code of a request that is refused before its call."""
    assert rail.should_run_guardrail(data, GuardrailEventHooks.pre_call)
    with pytest.raises(HTTPException) as refused:
        await rail.async_pre_call_hook(None, None, data, call)
    error: Any = refused.value
    assert error.message == error.detail["error"]
    return error.status_code, error.detail["code"]


@pytest.mark.parametrize("mode", ["post_call", ["pre_call", "post_call"]])
@pytest.mark.parametrize("call", ["pass_through_endpoint", "allm_passthrough_route"])
async def test_a_route_whose_answers_come_to_no_hook_is_refused(mode: Any, call: str) -> None:
    """The proxy passes them on as they are, and batches' as files."""
    rail = guardrail(event_hook=mode)
    for one in (call, "acreate_batch"):
        assert await refusal(rail, {"messages": []}, one) == UNGUARDED


async def test_such_a_route_is_served_where_no_answers_are_to_be_judged() -> None:
    """By the mode, or by the policy; questions are judged all the same."""
    questions = marked([{"evidence": "abuse", "side": "input", "action": "block"}])
    for rail in (guardrail(event_hook="pre_call"), guardrail(questions)):
        await rail.async_pre_call_hook(None, None, {"input": "好"}, "pass_through_endpoint")
        assert await refusal(rail, {"input": ADVERT}, "pass_through_endpoint") == WITHHELD


async def test_a_route_to_a_server_that_records_calls_is_served() -> None:
    """No model answers there."""
    for route, served in (("/langfuse/api/public/ingestion", True), ("/anthropic/v1/x", False)):
        caller = UserAPIKeyAuth(request_route=route)
        sent = guardrail().async_pre_call_hook(caller, None, {"a": "好"}, "pass_through_endpoint")
        if served:
            assert (await sent)["a"] == "好"
            continue
        with pytest.raises(HTTPException):
            await sent


@pytest.mark.parametrize("mode", ["post_call", "during_call"])
@pytest.mark.parametrize("call", ["anthropic_messages", "_aresponses_websocket"])
async def test_streams_of_other_routes_are_refused_in_every_mode(mode: str, call: str) -> None:
    """Before the model is asked, so that its user is told why."""
    rail = guardrail(event_hook=mode)
    assert await refusal(rail, {"input": "好", "stream": True}, call) == UNGUARDED


async def test_questions_of_routes_without_during_call_are_judged_before_the_call() -> None:
    """The proxy calls that hook for some routes alone."""
    rail = guardrail(event_hook=["during_call", "post_call"])
    for call in ("image_generation", "rerank", "aspeech", "moderation"):
        assert await refusal(rail, {"prompt": ADVERT}, call) == WITHHELD
    given = {"messages": [{"role": "user", "content": ADVERT}]}
    assert await rail.async_pre_call_hook(None, None, given, "acompletion") is given
    with pytest.raises(HTTPException):
        await rail.async_moderation_hook(given, None, "acompletion")


async def test_metadata_of_the_caller_s_is_judged_and_goes_on_as_it_came() -> None:
    """On some routes the proxy keeps its own under another name."""
    rail = guardrail()
    own = {"litellm_metadata": dict(PROXY), "input": "好"}
    bad = {**own, "metadata": {"about": ADVERT}}
    assert await refusal(rail, bad, "aresponses") == WITHHELD
    good = {**own, "metadata": {"about": "好"}}
    await rail.async_pre_call_hook(None, None, good, "aresponses")
    assert good["metadata"] == {"about": "好"}
    said = await rail.async_post_call_response_headers_hook(good, None, None)
    assert said is not None
    assert said["x-flames-decision"] == "allowed"
    none = dict(own)
    await rail.async_pre_call_hook(None, None, none, "anthropic_messages")
    assert "metadata" not in none
    chat = {"metadata": dict(PROXY), "messages": [{"role": "user", "content": "好"}]}
    await rail.async_pre_call_hook(None, None, chat, "acompletion")


async def test_files_beside_a_request_are_not_read() -> None:
    """A recording, or a picture to be changed: they count as the policy says."""
    for call, key in (("transcription", "file"), ("aimage_edit", "image")):
        body = {key: io.BytesIO(b"x"), "prompt": "好"}
        assert await refusal(guardrail(), dict(body), call) == WITHHELD
        given = marked(unread="allow")
        await guardrail(given).async_pre_call_hook(None, None, dict(body), call)
        assert given.events.of("input")[0].status == "failed_open"
