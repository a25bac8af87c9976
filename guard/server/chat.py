"""POST /v1/chat/completions: the question is checked, the upstream asked, its answer checked."""

from __future__ import annotations

import time
from typing import Final

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from guard.chat import asked_by, look_at_request
from guard.decision import Decision
from guard.engine import Told
from guard.openai_api import (
    DONE_FRAME,
    NO_TOKENS,
    ApiError,
    Channel,
    ChatRequest,
    Envelope,
    FrameWriter,
    check_types,
    guard_unavailable,
    input_blocked,
    read_request,
    said,
    serialised,
    unread_keys,
)
from guard.server.body import read_object
from guard.server.event_stream import EventStream
from guard.server.exchange import Exchange, exchange_of
from guard.server.question import Question, encoded
from guard.server.responses import send_json
from guard.server.state import State
from guard.server.streamed import StreamedAnswer
from guard.server.wanted import while_wanted
from guard.server.whole import WholeAnswer

CONTENT: Final = Channel("content")


class Chat:
    """The route, as an ASGI application.

    Args:
        state: what all requests share.
    """

    def __init__(self, state: State) -> None:
        self._state, self._guard = state, state.guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = exchange_of(scope)
        body = await read_object(scope, receive, self._state.limits)
        request = read_request(body, self._guard.policy.unknown_keys)
        check_types(request)
        asked = asked_by(request, exchange.request_id)
        async with while_wanted(receive, exchange):
            decision, parts = await look_at_request(self._guard, request, asked)
            told = Told(dropped=unread_keys(request.dropped))
            await self._guard.record(decision, parts, asked, told)
            exchange.decided(decision)
            if decision.stops:
                await self._refused(request, decision, exchange, send)
                return
            question = Question(request, asked, _authorization(scope), exchange)
            if request.stream:
                stream = EventStream(send, self._state.limits.keep_alive_s)
                await StreamedAnswer(self._state, question, stream).give()
            else:
                await send_json(send, await WholeAnswer(self._state, question).body())

    async def _refused(
        self, request: ChatRequest, decision: Decision, exchange: Exchange, send: Send
    ) -> None:
        """Answer without asking the upstream.

        Raises:
            ApiError: 400 the policy blocks the question; 503 it could not be checked.
        """
        if decision.failed:
            raise guard_unavailable()
        policy = self._guard.policy
        message = decision.message(policy, request.prompt)
        if decision.action != "replace" and policy.blocked_input == "error":
            raise input_blocked(message)
        name = f"chatcmpl-{exchange.request_id}"
        envelope = Envelope(id=name, model=request.model, created=int(time.time()))
        finish = "stop" if decision.action == "replace" else "content_filter"
        choices = range(request.n)
        if not request.stream:
            body = said(envelope, message, n=len(choices), finish=finish)
            await send_json(send, serialised(body))
            return
        writer, stream = FrameWriter(envelope), EventStream(send, self._state.limits.keep_alive_s)
        for choice in choices:
            said_instead = writer.text(choice, CONTENT, message)
            await stream.write(encoded([*said_instead, *writer.finish(choice, finish)]))
        if request.include_usage:
            await stream.write(encoded(writer.usage(NO_TOKENS)))
        await stream.end(DONE_FRAME)


def _authorization(scope: Scope) -> str | None:
    """What the caller signs with, for an upstream that knows the caller.

    Raises:
        ApiError: 400; it has letters that a header can't hold.
    """
    given = Headers(scope=scope).get("authorization")
    if given is not None and not given.isascii():
        raise ApiError("the Authorization header is not ASCII", code="invalid_authorization")
    return given
