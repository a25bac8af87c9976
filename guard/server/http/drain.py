"""The end of a server: running requests are given a grace time, and then an answer."""

from __future__ import annotations

import asyncio

from guard.server.http.responses import Refusal


class Drain:
    """The requests that are running, and whether they still may.

    Args:
        grace_s: seconds that they are given once the server is told to end.
    """

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._running: set[asyncio.Task[object]] = set()
        self.begun = self.expired = False

    def enter(self) -> asyncio.Task[object]:
        """The current task serves a request from here on; gives the task."""
        task = asyncio.current_task()
        if task is None:
            raise AssertionError("a request is served by a task")
        self._running.add(task)
        return task

    def leave(self, task: asyncio.Task[object]) -> None:
        """Its request is served."""
        self._running.discard(task)

    def begin(self) -> None:
        """The server is told to end: the grace time starts; once is enough."""
        if not self.begun:
            self.begun = True
            asyncio.get_running_loop().call_later(self._grace_s, self._expire)

    def _expire(self) -> None:
        """The grace time is over: what still runs is cancelled, and its caller is told."""
        self.expired = True
        for task in self._running:
            task.cancel()


def shutting_down() -> Refusal:
    """What a request is told that the end of the server cut short."""
    return Refusal(
        "the server is shutting down",
        status=503,
        code="shutting_down",
        headers={"retry-after": "1", "connection": "close"},
    )
