"""The event stream that a caller reads: begun late, kept alive while nothing may be said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from starlette.types import Send

from guard.openai_api import KEEP_ALIVE

_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # or nginx holds the stream back
)


class EventStream:
    """One response of server-sent events.

    Args:
        send: the request's.
        keep_alive_s: seconds of silence after which a comment is sent.
    """

    def __init__(self, send: Send, keep_alive_s: float) -> None:
        self._send, self._keep_alive_s = send, keep_alive_s
        self._clock = asyncio.get_running_loop().time
        self._last = self._clock()
        self.started = False

    async def start(self) -> None:
        """Begin the response, with status 200; once is enough."""
        if not self.started:
            self.started = True
            await self._send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS]})

    async def write(self, data: bytes) -> None:
        """Send whole events."""
        await self.start()
        self._last = self._clock()
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes) -> None:
        """Send the last events."""
        await self.start()
        await self._send({"type": "http.response.body", "body": data})

    @asynccontextmanager
    async def kept_alive(self) -> AsyncIterator[None]:
        """Send comments whenever nothing else was sent for a while."""
        ticking = asyncio.ensure_future(self._tick())
        try:
            yield
        finally:
            ticking.cancel()

    async def _tick(self) -> None:
        while True:
            left = self._last + self._keep_alive_s - self._clock()
            if left > 0:
                await asyncio.sleep(left)
            else:
                await self.write(KEEP_ALIVE)
