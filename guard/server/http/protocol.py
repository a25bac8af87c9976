"""Connections that a slow or greedy caller can't hold for ever, as uvicorn's own can be."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from guard.openai_api import ApiError, serialised
from guard.server.http.joined_writes import JoinedWrites
from guard.server.http.offers import Http1Parser

HEADER_BYTES: Final = 64 * 2**10
LINGER_S: Final = 0.5
_MALFORMED: Final = ApiError("this is no HTTP request", status=400, code="invalid_http")
_TOO_LARGE: Final = ApiError(
    "address or headers are too large", status=431, code="headers_too_large"
)


class BoundedProtocol(HttpToolsProtocol):
    """Ends with a caller who keeps it waiting.

    One whose headers are late or too large, who goes on sending a body that has been answered, or
    who doesn't read what was sent. The application says how long each may take, as `limits`, and
    whether the server ends, as `drain`.
    """

    _deadline: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None
    _header_bytes = 0
    _in_headers = True
    _refused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(_Line(transport, self.loop, self))  # type: ignore[arg-type]
        self.parser = Http1Parser(self)
        self._limits, self._drain = _application(self).limits, _application(self).drain
        self._within(self._limits.header_s)
        if self._drain.begun:
            self.shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        self._in_time()
        self._reads_on()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._in_headers:
            self._header_bytes += len(data)
        super().data_received(data)
        if self._refused:
            return
        if self._in_headers and self._header_bytes > HEADER_BYTES:
            self._refuse(_TOO_LARGE)
        elif self._deadline is None and self.timeout_keep_alive_task is None and self._is_idle:
            self._within(self._limits.header_s)  # it sent something, but no request

    def send_400_response(self, msg: str) -> None:
        """What can't be read as HTTP is refused; an answer that is under way just breaks off."""
        del msg
        cycle = self.cycle
        if self.pipeline or (not self._is_idle and cycle.response_started):
            self.transport.close()
            return
        if not self._is_idle:  # its request is over, since its body can't be read
            cycle.disconnected = True
            cycle.message_event.set()
        large = self._in_headers and self._header_bytes > HEADER_BYTES
        self._refuse(_TOO_LARGE if large else _MALFORMED)

    def lingers(self) -> bool:
        """Whether a close has to wait: who still sends could lose the answer to it."""
        cycle = self.cycle
        if self._refused or cycle is None or not (cycle.response_complete and cycle.more_body):
            return False
        self._refused = True
        self._in_time()
        self._within(LINGER_S)
        return True

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers = True

    def on_headers_complete(self) -> None:
        if self._header_bytes > HEADER_BYTES:  # with what came behind them, or without
            self._header_bytes = len(self.url) + sum(len(k + v) + 4 for k, v in self.headers)
            if self._header_bytes > HEADER_BYTES:
                raise ValueError("the headers are too large")
        super().on_headers_complete()
        self._in_headers, self._header_bytes = False, 0
        self._in_time()
        chunks = self.scope["http_version"] == "1.1"
        if self._drain.begun or not chunks:
            self.cycle.keep_alive = False
        if not chunks:
            self.cycle.send = _UntilClosed(self.cycle)  # type: ignore[method-assign]

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_time()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        begun = self._in_headers and self._is_idle  # the next request, while this was answered
        if (self.cycle.more_body or begun) and self._deadline is None:
            self._within(self._limits.header_s)
        if self._drain.begun:
            self.shutdown()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(self._limits.stall_s, self.transport.abort)

    def resume_writing(self) -> None:
        self._reads_on()
        super().resume_writing()

    def shutdown(self) -> None:
        """The server ends: who hasn't been told so by an answer's head may ask once more."""
        if self._is_idle:
            self.loop.call_later(LINGER_S, super().shutdown)
        elif not self.cycle.response_started:
            super().shutdown()

    @property
    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _refuse(self, error: ApiError) -> None:
        """Answer, and drop what still comes: closed at once, the answer could be lost."""
        self._refused = True
        self._in_time()
        if self.transport.is_closing():
            return
        body, phrase = serialised(error.body()), HTTPStatus(error.status).phrase
        head = f"HTTP/1.1 {error.status} {phrase}\r\ncontent-type: application/json\r\n"
        head += f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode() + body)
        self._within(LINGER_S)

    def _within(self, seconds: float) -> None:
        self._deadline = self.loop.call_later(seconds, self._late)

    def _in_time(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _reads_on(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _late(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()


class _Line(JoinedWrites):
    """A connection that closes when its protocol lets it."""

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        protocol: BoundedProtocol,
    ) -> None:
        super().__init__(transport, loop)
        self._protocol = protocol

    def close(self) -> None:
        """Send what is held, and close."""
        if not self._protocol.lingers():
            super().close()


class _UntilClosed:
    """A response for HTTP/1.0, which knows no chunks: without a length, the close is its end."""

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle, self._send = cycle, cycle.send
        self._has_length = True

    async def __call__(self, message: Any) -> None:
        cycle = self._cycle
        if message["type"] == "http.response.start":
            names = {name.lower() for name, _ in message.get("headers", ())}
            self._has_length = b"content-length" in names
            if not self._has_length:
                cycle.chunked_encoding = False
        elif not self._has_length:  # each piece is of the length that it has
            cycle.expected_content_length = len(message.get("body", b""))
        await self._send(message)


def _application(protocol: HttpToolsProtocol) -> Any:
    """The gate: the server makes connections for nothing else."""
    return protocol.app
