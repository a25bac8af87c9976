"""How a server ends."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import anyio
import pytest

from guard.engine import Asked
from guard.event import GuardEvent
from guard.server.app import services
from guard.server.state import State
from guard.stream import StreamSession
from judge.testing import ScriptedJudge
from tests.guard.made import ABUSE, guard, policy
from tests.guard.server.records import bench_of
from tests.guard.server.serving import state_of


async def begun_and_ended(state: State) -> None:
    async with AsyncExitStack() as stack:
        for one in services(state, None):
            await stack.enter_async_context(one)


async def test_logs_are_closed_whatever_else_fails_at_the_end() -> None:
    """What they still hold is written."""
    said: list[str] = []

    class Broken(ScriptedJudge):
        async def aclose(self) -> None:
            raise OSError("gone")

    held = guard(policy(ABUSE), Broken(lambda _: 0.9))
    state = state_of(held, "http://127.0.0.1:9/v1", bench=bench_of(ScriptedJudge(lambda _: 0.9)))
    state.closing.callback(said.append, "closed")
    with pytest.raises(OSError, match="gone"):
        await begun_and_ended(state)
    assert said == ["closed"]


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
