"""POST /beta/litellm_basic_guardrail_api: how litellm's proxy asks a guardrail elsewhere.

Such a guardrail sees the texts that litellm takes out of a request or an answer; it says to let
them pass (NONE) or to block (BLOCKED). Never to say something else: of a streamed answer, and of
tool calls, litellm ignores other words and lets through what they were to replace.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from guard.answers import look_at_texts
from guard.chat import asked_by, request_in
from guard.decision import Decision, Part, merged
from guard.engine import Asked, Guard
from guard.openai_api import ApiError, guard_unavailable, strings_of
from guard.policy import Side
from guard.server.http.body import read_object
from guard.server.http.exchange import exchange_of
from guard.server.http.responses import json_response
from guard.server.http.wanted import while_wanted
from guard.server.state import State

_SIDES: Mapping[str, Side] = {"request": "input", "response": "output"}
_BESIDE = ("tools", "tool_calls")


async def apply(state: State, request: Request) -> Response:
    """Decide about the texts of one side.

    Raises:
        ApiError: 400 the body is no such request; 503 a text could not be checked, which
            litellm takes as a reason to block unless it was told otherwise.
    """
    exchange, guard = exchange_of(request.scope), state.guard
    body = await read_object(request.scope, request.receive, state.limits)
    kind = body.get("input_type")
    side = _SIDES.get(kind) if isinstance(kind, str) else None
    if side is None:
        raise ApiError("input_type must be request or response", param="input_type")
    parts = _parts(body, _strings(body, "texts"), side)
    images = [f"images[{place}]" for place, _ in enumerate(_strings(body, "images"))]
    asked = _asked(body, exchange.request_id)
    async with while_wanted(request.receive, exchange):
        decision = await look_at_texts(guard, parts, asked, side)
        if images:
            decision = merged(decision, guard.unread(side, images))
        decision = decision.withheld()
        await guard.record(decision, parts, asked)
    exchange.decided(decision)
    return json_response(_answer(decision, guard, asked.prompt))


def _answer(decision: Decision, guard: Guard, prompt: str) -> dict[str, str]:
    if not decision.stops:
        return {"action": "NONE"}
    if decision.failed:
        raise guard_unavailable()
    message = decision.message(guard.policy, prompt)
    return {"action": "BLOCKED", "blocked_reason": message}


def _strings(body: Mapping[str, Any], key: str) -> list[str]:
    """A list of strings, or nothing.

    Raises:
        ApiError: 400; it is something else.
    """
    given = body.get(key) or []
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise ApiError(f"{key} must be a list of strings", param=key)
    return given


def _parts(body: Mapping[str, Any], texts: list[str], side: Side) -> list[Part]:
    """The texts, and every string of the tools; of a request, of its messages too."""
    parts = [Part(f"texts[{place}]", text) for place, text in enumerate(texts)]
    seen = set(texts)
    beside = (*_BESIDE, "structured_messages") if side == "input" else _BESIDE
    for key in beside:
        for _, text in strings_of(body.get(key)):
            if text not in seen:
                seen.add(text)
                parts.append(Part(key, text))
    return parts


def _asked(body: Mapping[str, Any], request_id: str) -> Asked:
    """What an answer stands in, where litellm sends the messages."""
    request = request_in({"messages": body.get("structured_messages")})
    return Asked(request_id=request_id) if request is None else asked_by(request, request_id)
