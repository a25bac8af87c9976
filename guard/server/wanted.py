"""What is done for a caller ends when the caller leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import Receive

from guard.server.exchange import Exchange


@asynccontextmanager
async def while_wanted(receive: Receive, exchange: Exchange) -> AsyncIterator[None]:
    """Cancel what is done for a caller when the caller leaves."""
    task = asyncio.current_task()

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        exchange.gone = True
        if task is not None:
            task.cancel()

    watching = asyncio.ensure_future(watch())
    try:
        yield
    finally:
        watching.cancel()
