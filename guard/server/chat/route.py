"""POST /v1/chat/completions: the question is checked, the upstream asked, its answer checked."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from guard.chat import asked_by, envelope_of, look_at_request, refusal_frames, refusal_of
from guard.decision import Decision
from guard.engine import Asked, Facts
from guard.openai_api import (
    DONE_FRAME,
    ChatRequest,
    check_types,
    encode_frames,
    read_request,
    said,
    serialised,
    unread_keys,
)
from guard.server.chat.question import Question
from guard.server.chat.streamed import StreamedAnswer
from guard.server.chat.whole import WholeAnswer
from guard.server.http.authorization import authorization
from guard.server.http.body import read_object
from guard.server.http.event_stream import EventStream
from guard.server.http.exchange import exchange_of
from guard.server.http.responses import send_json
from guard.server.http.wanted import while_wanted
from guard.server.state import State


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
            facts = Facts(dropped=unread_keys(request.dropped))
            await self._guard.record(decision, parts, asked, facts)
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
            ApiError: as `refusal_of`.
        """
        message = refusal_of(decision, self._guard.policy, request.prompt)
        if not request.stream:
            body = said(envelope_of(asked), message, n=request.n, finish=decision.finish)
            await send_json(send, serialised(body))
            return
        frames = refusal_frames(request, asked, message, decision.finish)
        stream = EventStream(send, self._state.limits.keep_alive_s)
        await stream.end(encode_frames(frames) + DONE_FRAME)
