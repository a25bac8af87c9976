"""One call of the system for what is written in one turn of the loop.

uvicorn writes a response's head and body by themselves, and uvloop passes each on at once. The
caller then wakes up twice for one answer, which costs more than a scan of it.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

MOST: Final = 64 * 2**10  # bytes that wait: beyond them flow control must get to know


class JoinedWrites:
    """A transport that holds what is written until the loop's next turn; else the one inside.

    Args:
        transport: the connection's own.
        loop: that it belongs to.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._held: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Take data; it is on its way when this turn of the loop ends."""
        if not self._held:
            self._loop.call_soon(self._pass_on)
        self._held.append(data)
        self._size += len(data)
        if self._size > MOST:
            self._pass_on()

    def close(self) -> None:
        """Send what is held, and close."""
        self._pass_on()
        self._transport.close()

    def abort(self) -> None:
        """Close at once; what is held is lost, as what the system still holds."""
        self._held.clear()
        self._transport.abort()

    def _pass_on(self) -> None:
        if self._held:
            data, self._held, self._size = b"".join(self._held), [], 0
            self._transport.write(data)
