"""What is done for a caller ends when the caller leaves."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager

from starlette.types import Receive

from guard.server.http.exchange import Exchange


def while_wanted(receive: Receive, exchange: Exchange) -> AbstractAsyncContextManager[None]:
    """Cancel what is done for a caller when the caller leaves."""
    return _Watch(receive, exchange)


class _Watch(AbstractAsyncContextManager[None]):
    """A class, since every request pays for it: a generator in a decorator costs twice as much."""

    def __init__(self, receive: Receive, exchange: Exchange) -> None:
        self._receive, self._exchange = receive, exchange

    async def __aenter__(self) -> None:
        self._task = asyncio.current_task()
        self._watching = asyncio.ensure_future(self._watch())

    async def __aexit__(self, *_: object) -> None:
        self._watching.cancel()

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._exchange.gone = True
        if self._task is not None:
            self._task.cancel()
