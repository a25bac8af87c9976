"""A stream that was stopped is read on, for a while: its server tells the tokens at its end."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import islice
from typing import Any, Final, TypeVar

T = TypeVar("T")
R = TypeVar("R")

LONGEST_S: Final = 2.0
MOST_CHUNKS: Final = 10_000


async def read_on(source: AsyncIterator[T], take: Callable[[T], Awaitable[list[R]]]) -> list[R]:
    """What `take` first gives for one of a stream's next chunks; nothing where none comes in time.

    What goes wrong on the model's side by now is no error: its answer is over.
    """
    with contextlib.suppress(Exception):
        async with asyncio.timeout(LONGEST_S):
            for _ in range(MOST_CHUNKS):
                if found := await take(await anext(source)):
                    return found
                await asyncio.sleep(0)  # else no time is out for a source that never waits
    return []


def read_on_beside(source: Iterator[T], take: Callable[[T], list[R]]) -> list[R]:
    """The same for synchronous code: in a thread, since nothing else ends the wait for a chunk.

    The thread closes the stream when it is done with it: perhaps later, and never under a read.
    """
    found: list[R] = []
    late = threading.Event()

    def read() -> None:
        with contextlib.suppress(Exception):
            for item in islice(source, MOST_CHUNKS):
                if late.is_set():
                    break
                found.extend(take(item))
                if found:
                    break
        with contextlib.suppress(Exception):
            let_go(source)

    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(read,), daemon=True)
    thread.start()
    try:
        thread.join(LONGEST_S)
    finally:
        late.set()
    return list(found)


def let_go(source: Any) -> None:
    """Tell the model's side that nobody reads on."""
    if callable(close := getattr(source, "close", None)):
        close()


async def alet_go(source: Any) -> None:
    """The same for asynchronous code, whatever kind of code the stream is of."""
    close = getattr(source, "aclose", None) or getattr(source, "close", None)
    if callable(close) and inspect.isawaitable(closing := close()):
        await closing
