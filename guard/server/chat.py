"""POST /v1/chat/completions: the question is checked, the upstream asked, its answer checked."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from guard.chat import asked_by, envelope_of, look_at_request
from guard.decision import Decision
from guard.engine import Asked, Told
from guard.openai_api import (
    DONE_FRAME,
    NO_TOKENS,
    ChatRequest,
    FrameWriter,
    check_types,
    encode_frames,
    guard_unavailable,
    input_blocked,
    read_request,
    said,
    said_frames,
    serialised,
    unread_keys,
)
from guard.server.authorization import authorization
from guard.server.body import read_object
from guard.server.event_stream import EventStream
from guard.server.exchange import exchange_of
from guard.server.question import Question
from guard.server.responses import send_json
from guard.server.state import State
from guard.server.streamed import StreamedAnswer
from guard.server.wanted import while_wanted
from guard.server.whole import WholeAnswer


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
                await self._refused(request, asked, decision, send)
                return
            question = Question(request, asked, authorization(scope), exchange)
            if request.stream:
                stream = EventStream(send, self._state.limits.keep_alive_s)
                await StreamedAnswer(self._state, question, stream).give()
            else:
                await send_json(send, await WholeAnswer(self._state, question).body())

    async def _refused(
        self, request: ChatRequest, asked: Asked, decision: Decision, send: Send
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
        envelope = envelope_of(asked)
        finish = "stop" if decision.action == "replace" else "content_filter"
        if not request.stream:
            body = said(envelope, message, n=request.n, finish=finish)
            await send_json(send, serialised(body))
            return
        frames = said_frames(envelope, message, n=request.n, finish=finish)
        frames += FrameWriter(envelope).usage(NO_TOKENS) if request.include_usage else []
        stream = EventStream(send, self._state.limits.keep_alive_s)
        await stream.end(encode_frames(frames) + DONE_FRAME)
