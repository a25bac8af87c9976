"""A guard around one's own ASGI application, such as FastAPI's or Starlette's.

    app.add_middleware(GuardMiddleware, guard="policy.yaml", routes=["/chat"])

Add compression after it, so that it stands outside: what the guard gets must be plain.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

from guard.asgi.headers import request_headers
from guard.asgi.question import (
    Gone,
    Message,
    Question,
    Receive,
    Scope,
    Send,
    read_body,
    read_question,
)
from guard.asgi.responder import (
    BrokenOffError,
    Responder,
    ResponseContext,
    send_bytes,
    send_error,
    send_json,
)
from guard.asgi.routes import Route, Routes
from guard.chat import envelope_of, refusal_frames, refusal_of
from guard.decision import Decision
from guard.engine import Guard
from guard.loading import load_guard
from guard.openai_api import (
    DONE_FRAME,
    ApiError,
    encode_frames,
    said,
)
from guard.policy import Policy
from guard.request_status import RequestStatus, about_guard
from guard.stream import settled
from judge.errors import FlamesJudgeError, InputError

App = Callable[[Scope, Receive, Send], Awaitable[None]]
MOST_BYTES: Final = 10 * 2**20


class GuardMiddleware:
    """Judges what users send to the guarded paths, and what the application answers there.

    JSON, server-sent events, lines of JSON and plain text are read; a response of another kind is
    withheld with status 502, a request of another kind refused with 415. WebSockets on guarded
    paths are refused. Other paths are not touched.

    Args:
        app: the application.
        guard: a guard, a policy, or a policy file.
        routes: the guarded paths.
        most_bytes: the largest request, and the largest response that is held as a whole.

    A route that is none, or a policy that can't be kept, fails the application's start (a
    lifespan's, else each request): frameworks make their middleware at the first call, and a server
    takes what is raised there for an application that has no start.
    """

    def __init__(
        self,
        app: App,
        guard: Guard | Policy | Path | str,
        routes: Sequence[str | Route],
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._app, self._most = app, most_bytes
        self._own = not isinstance(guard, Guard)
        self._fault: FlamesJudgeError | None = None
        try:
            if type(most_bytes) is not int or most_bytes < 1:
                mend = "write 10 * 2**20"
                raise InputError("is no number of bytes", file="most_bytes", mend=mend)
            self._routes = Routes(routes)
            self._guard = guard if isinstance(guard, Guard) else load_guard(guard)
        except FlamesJudgeError as error:
            self._fault = error
        else:
            self._about = about_guard(self._guard.policy.id, self._guard.calibration_id)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
            return
        if self._fault is not None:
            raise self._fault
        route = self._routes.find(scope["path"], scope.get("root_path", ""))
        if route is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._exchange(route, scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "not guarded"})

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Load the judge before the first request, and let go of it after the last."""
        message = await receive()
        try:
            if self._fault is not None:
                raise self._fault
            await self._guard.warm()
        except FlamesJudgeError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            raise  # as Starlette does: its test client waits for it
        try:
            await self._app(scope, _Coming(message, receive), send)
        finally:
            if self._own:
                await self._guard.aclose()

    async def _exchange(self, route: Route, scope: Scope, receive: Receive, send: Send) -> None:
        words = RequestStatus(uuid.uuid4().hex, self._about)
        try:
            body = await read_body(scope, receive, self._most)
            question = await read_question(scope, body, route, words.request_id)
        except Gone:
            return
        except ApiError as error:
            await send_error(send, error, words)
            return
        decision = await question.look(self._guard)
        words.decided(decision)
        if decision.stops:
            await self._refuse(question, route, decision, words, send)
            return
        around = ResponseContext(self._guard, question, route, words, self._most)
        first: Message = {"type": "http.request", "body": question.body, "more_body": False}
        coming = _Coming(first, receive)
        responder = Responder(around, send, coming.leave, head=scope["method"] == "HEAD")
        read = _read(scope, question.body)
        try:
            await self._app(read, coming, responder.send)
            if not coming.gone:  # else nobody is there to be told that it broke off
                await responder.finish()
        except BrokenOffError:
            raise
        except Exception:
            if not responder.cut:  # else it is about an answer that was ended here
                raise
        finally:
            _tell_around(scope, read)
            await responder.close()

    async def _refuse(
        self, question: Question, route: Route, decision: Decision, words: RequestStatus, send: Send
    ) -> None:
        """Answer without asking the application."""
        request, asked = question.request, question.asked
        try:
            message = refusal_of(decision, self._guard.policy, asked.prompt)
        except ApiError as error:
            await send_error(send, error, words)
            return
        if request is None:
            await send_json(send, route.form.answer(message), words)
        elif not request.stream:
            body = said(envelope_of(asked), message, n=request.n, finish=decision.finish)
            await send_json(send, body, words)
        else:
            frames = refusal_frames(request, asked, message, decision.finish)
            stream = encode_frames(frames) + DONE_FRAME
            await send_bytes(send, stream, words, 200, b"text/event-stream")


class _Coming:
    """The first message once, then what comes: so that a user who leaves is noticed."""

    def __init__(self, first: Message, receive: Receive) -> None:
        self._waiting, self._receive = [first], receive
        self._reading: set[asyncio.Task[Any] | None] = set()
        self._left = False
        self.gone = False  # the application was told that its user has left

    def leave(self) -> None:
        """Tell the application that its user has left: nothing that it sends arrives any more."""
        if self._left:
            return
        self._left = True
        for task in self._reading:
            if task is not None:
                task.cancel()

    async def __call__(self) -> Message:
        if self._waiting:
            return self._waiting.pop()
        message = await self._next()
        self.gone = self.gone or message["type"] == "http.disconnect"
        if message["type"] == "lifespan.shutdown":
            await settled()  # the application may close the guard's logs
        return message

    async def _next(self) -> Message:
        if self._left:
            return {"type": "http.disconnect"}
        task = asyncio.current_task()
        self._reading.add(task)
        try:
            return await self._receive()  # in this task: some look whether there is one already
        except asyncio.CancelledError:
            if not self._left or task is None or task.uncancel():
                raise
            return {"type": "http.disconnect"}
        finally:
            self._reading.discard(task)


def _tell_around(scope: Scope, read: Scope) -> None:
    """Let middleware outside see what the router found, such as the route."""
    scope.update((key, value) for key, value in read.items() if key not in scope)


def _read(scope: Scope, body: bytes) -> Scope:
    """The scope of a request that was read: of its extensions, none that goes round the guard."""
    tls = {key: value for key, value in scope.get("extensions", {}).items() if key == "tls"}
    return {**scope, "headers": request_headers(scope["headers"], len(body)), "extensions": tls}


__all__ = ["GuardMiddleware", "Route"]
