"""The one way from synchronous code into the asynchronous core: an event loop in its own thread.

The caller's thread waits; a loop that may be running in it is not touched. So this works in
scripts, in worker threads, and in notebooks, whose loop is always running.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Bridge:
    """A loop that starts when it is first needed, and anew in a forked child."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # Python may clean up a stream while it is held
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ended = False

    def forget(self) -> None:
        """In a forked child, which has none of its parent's threads: start anew."""
        self._lock, self._loop, self._thread = threading.RLock(), None, None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, in the caller's context variables.

        Raises:
            RuntimeError: called by what runs on the bridge itself, or after the program's end:
                either would wait for ever.
        """
        if self._ended:
            work.close()
            raise RuntimeError("the program has ended")
        loop = self._running()
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("synchronous code that runs on the bridge can't use the bridge")
        tasks: list[asyncio.Task[Any]] = []
        try:
            return asyncio.run_coroutine_threadsafe(_noted(work, tasks), loop).result()
        except BaseException:  # the caller was interrupted: nothing goes on behind its back
            loop.call_soon_threadsafe(_cancel, tasks)
            raise

    def close(self) -> None:
        """Stop the loop; the next `run` starts another."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(5)

    def finish(self, work: Coroutine[Any, Any, object]) -> None:
        """Run a coroutine to its end; not waited for where Python cleans up on the bridge itself.

        Raises:
            RuntimeError: the program has ended.
        """
        loop, thread = self._loop, self._thread
        if loop is not None and threading.current_thread() is thread:
            asyncio.run_coroutine_threadsafe(work, loop)
        else:
            self.run(work)

    def end(self) -> None:
        """Close it for good: a thread that starts now would never run."""
        self._ended = True
        self.close()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                thread = threading.Thread(
                    target=_serve, args=(loop,), name="flames-judge-bridge", daemon=True
                )
                try:
                    thread.start()
                except RuntimeError:
                    loop.close()
                    raise
                self._loop, self._thread = loop, thread  # else who comes next waits for ever
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


_BRIDGE = Bridge()
atexit.register(_BRIDGE.end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_BRIDGE.forget)


async def _noted(work: Coroutine[Any, Any, T], tasks: list[asyncio.Task[Any]]) -> T:
    """The work, known by its task: an interrupt may come before there is a future for it."""
    task = asyncio.current_task()
    if task is not None:
        tasks.append(task)
    return await work


def _cancel(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()


def finish(work: Coroutine[Any, Any, object]) -> None:
    """Run what ends something, from wherever that is; see `Bridge.finish`."""
    _BRIDGE.finish(work)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine of the guard from synchronous code; see `Bridge.run`."""
    return _BRIDGE.run(work)
