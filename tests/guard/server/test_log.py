"""What the server's standard error is told of."""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest

from guard.server.http.log import say_warnings


class LoggingWorker:
    """As litellm's: it knows of one event loop, and starts anew on each other that comes."""

    async def _worker_loop(self) -> None:
        await asyncio.Event().wait()

    async def start(self) -> None:
        """Begin, and forget the task."""
        _left = [asyncio.ensure_future(one) for one in (self._worker_loop(), _waits_for_ever())]
        await asyncio.sleep(0)


async def _waits_for_ever() -> None:
    await asyncio.Event().wait()


def test_chats_and_records_by_turns_make_no_noise(caplog: pytest.LogCaptureFixture) -> None:
    """Each has its own event loop: what litellm leaves behind is not told, what we leave is."""
    say_warnings()
    loop = asyncio.new_event_loop()
    with caplog.at_level(logging.ERROR, "asyncio"):
        loop.run_until_complete(LoggingWorker().start())
        gc.collect()
    loop.close()
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert "LoggingWorker" not in said
    assert "_waits_for_ever" in said
