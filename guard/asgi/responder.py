"""What an application sends in answer to one guarded request, on its way to the user.

The response's start is held until the first verdict, so that its status and its length can change.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from guard.app_streams import Body, EventBody, LineBody, PlainBody, Setting
from guard.asgi.headers import is_plain, is_utf8, media_type, response_headers
from guard.asgi.question import Message, Question, Send
from guard.asgi.routes import Route
from guard.asgi.whole import Whole
from guard.engine import Guard
from guard.openai_api import KEEP_ALIVE, ApiError, is_json_type, serialised, upstream_unreadable
from guard.request_status import RequestStatus

_LINES: Final = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/jsonlines"}
)
_EVENTS: Final = "text/event-stream"
_BODILESS: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
QUIET_S: Final = 10.0  # a stream that is held for longer shows that it lives


class Ended(OSError):
    """The guard has ended the answer: told to an application that goes on sending."""


class BrokenOffError(RuntimeError):
    """A response that can't tell its client of an error: its connection is to be cut."""


@dataclass(frozen=True)
class ResponseContext:
    """What a responder works with.

    Args:
        guard: decides.
        question: what is answered.
        route: the path's settings.
        said: the response's own headers.
        most: bytes of a response that is held as a whole.
        clock: seconds, monotonic.
    """

    guard: Guard
    question: Question
    route: Route
    said: RequestStatus
    most: int
    clock: Callable[[], float] = time.monotonic

    @property
    def setting(self) -> Setting:
        """What the readers of a stream work with."""
        request = self.question.request
        n = None if request is None else request.n
        return Setting(self.guard, self.question.asked, self.route.form, n)


class Responder:
    """One response. Give its `send` to the application, call `finish` after it, `close` at the end.

    Args:
        around: what it works with.
        send: to the user.
        leave: tells the application that nobody is there any more.
        head: whether the request was a HEAD, whose response has no body.
    """

    def __init__(
        self, around: ResponseContext, send: Send, leave: Callable[[], None], *, head: bool
    ) -> None:
        self._around, self._send, self._leave, self._head = around, send, leave, head
        self._task = asyncio.current_task()
        self._start: Message | None = None
        self._body: Body | None = None
        self._whole: Whole | None = None
        self._begun = False
        self._recording: asyncio.Future[Any] | None = None  # the loop alone would not keep it
        self._wrote_at = around.clock()
        self.done = False
        self.cut = False  # the application was told so

    async def send(self, message: Message) -> None:
        """Take a message of the application's."""
        if self.done:
            self._cut()
            if asyncio.current_task() is not self._task:
                await asyncio.sleep(0)  # for it to be told
                return  # a task that ends here may keep others waiting for ever
            raise Ended("the guard has ended this answer")
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body":
            try:
                await self._take(message.get("body", b""), more=message.get("more_body", False))
            except ApiError as error:
                await self._fail(error)
        # trailers and hints have no place in a guarded response

    async def finish(self) -> None:
        """The application has returned; a response that it left open is broken off."""
        if not self.done and self._start is not None:
            error = ApiError("the answer broke off", status=502, code="upstream_interrupted")
            await self._fail(error)

    async def close(self) -> None:
        """Record what was decided about a stream."""
        if self._body is not None:
            await self._body.close()

    async def _take(self, data: bytes, *, more: bool) -> None:
        start = self._start
        if start is None:
            raise upstream_unreadable()
        if self._head or start["status"] in _BODILESS:
            if not more:
                await self._write(b"", more=False, length=None)
            return
        if self._body is None and self._whole is None:
            self._choose(start, more=more, empty=not data)
        if self._whole is not None:
            self._whole.hold(data)
            if not more:
                await self._write_whole(self._whole)
        elif self._body is not None:
            await self._write_on(self._body, data, more=more)
        elif not more:
            await self._write(b"", more=False, length=0)

    def _choose(self, start: Message, *, more: bool, empty: bool) -> None:
        """How this response is read.

        Raises:
            ApiError: 502; it can't be.
        """
        headers = list(start.get("headers", ()))
        media, charset = media_type(headers)
        around = self._around
        if empty and not more:
            return
        if start["status"] == HTTPStatus.PARTIAL_CONTENT or not is_plain(headers):
            raise upstream_unreadable()
        if not is_utf8(charset):
            raise upstream_unreadable()
        if media == _EVENTS:
            self._body = EventBody(around.setting)
        elif media in _LINES:
            self._body = LineBody(around.setting)
        elif media == "text/plain" and more:
            self._body = PlainBody(around.setting)
        elif media == "text/plain" or is_json_type(media):
            self._whole = Whole(
                around.guard, around.question, around.route.form, around.said, around.most
            )
        else:
            raise upstream_unreadable()

    async def _write_whole(self, whole: Whole) -> None:
        start = self._start or {}
        media, _ = media_type(start.get("headers", ()))
        body = await (whole.text() if media == "text/plain" else whole.json())
        await self._write(body, more=False, length=len(body))

    async def _write_on(self, body: Body, data: bytes, *, more: bool) -> None:
        out = await body.take(data, self._pass_on) if data else b""
        if not more and not body.over:
            out += await body.end()
        out += body.last_words()
        ended = body.over or not more
        late = self._around.clock() - self._wrote_at > QUIET_S
        if not out and not ended and late and isinstance(body, EventBody):
            out = KEEP_ALIVE
        if out or ended:
            await self._write(out, more=not ended, length=None)
        if ended and more:  # without a wait, so that a generator is closed in one of its own
            self._recording = asyncio.ensure_future(body.close())
            self._cut()
        elif ended:  # what the application does in the background may take long
            await body.close()

    async def _pass_on(self, data: bytes) -> None:
        await self._write(data, more=True, length=None)

    def _cut(self) -> None:
        """Tell the application that nobody is there any more."""
        self.cut = True
        self._leave()

    async def _write(self, data: bytes, *, more: bool, length: int | None) -> None:
        if not self._begun:
            await self._begin(length)
        self.done = not more
        self._wrote_at = self._around.clock()
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    async def _begin(self, length: int | None) -> None:
        start = self._start or {}
        headers = response_headers(start.get("headers", ()), self._around.said.headers, length)
        self._begun = True
        status = start["status"]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def _fail(self, error: ApiError) -> None:
        """Tell the user of an error, in whatever way is still open."""
        if error.code == "guard_unavailable":
            self._around.said.failed()
        if not self._begun:
            self._begun = self.done = True
            await send_error(self._send, error, self._around.said)
            return
        told_so = None if self._body is None else self._body.broken(error)
        self.done = True
        if told_so is None:
            raise BrokenOffError(error.message)
        await self._send({"type": "http.response.body", "body": told_so, "more_body": False})


async def send_error(send: Send, error: ApiError, said: RequestStatus) -> None:
    """Answer with an error."""
    await send_json(send, error.body(), said, error.status)


async def send_json(
    send: Send, value: Any, said: RequestStatus, status: int = HTTPStatus.OK
) -> None:
    """Answer with JSON of ours."""
    await send_bytes(send, serialised(value), said, status, b"application/json")


async def send_bytes(
    send: Send, body: bytes, said: RequestStatus, status: int, media: bytes
) -> None:
    """Answer with a body of ours."""
    headers = response_headers([(b"content-type", media)], said.headers, len(body))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
