"""How a server ends."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import anyio

from guard.engine import Asked
from guard.event import GuardEvent
from guard.server.app import services
from guard.stream import StreamSession
from tests.guard.made import ABUSE, guard, policy
from tests.guard.server.serving import state_of


async def test_what_callers_left_is_recorded_before_the_logs_are_closed() -> None:
    """Whoever waited for it was cancelled; the server's end waits."""
    said: list[str] = []

    class Slow:
        async def emit(self, event: GuardEvent) -> None:
            for _ in range(500):
                await asyncio.sleep(0)
            said.append(event.side)

    held = guard(policy(ABUSE), sinks=(Slow(),))
    state = state_of(held, "http://127.0.0.1:9/v1")
    state.closing.callback(said.append, "closed")
    async with AsyncExitStack() as stack:
        for one in services(state, None):
            await stack.enter_async_context(one)
        session = StreamSession(held, Asked(prompt="问"))
        await session.feed(0, "content", "好")
        with anyio.CancelScope() as scope:
            scope.cancel()
            await session.close()
    assert said == ["output", "closed"]
