"""The tokens of an answer that was stopped: known by then, or told at the end of its stream."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

from guard.bridge import run
from guard.read_on import let_go, read_on, read_on_beside
from guard.wrapping.pieces import Live


def usage_behind(source: Iterator[Any], live: Live) -> list[Any]:
    """The chunk that tells them, if it comes in time; the source is closed.

    A generator is not read on: its code belongs in the thread that it began in.
    """
    known = run(live.end()).items
    if known or inspect.isgenerator(source):
        let_go(source)
        return known
    return read_on_beside(source, lambda item: run(live.take(item)).items)


async def ausage_behind(source: AsyncIterator[Any], live: Live | None) -> list[Any]:
    """The same for asynchronous code, of any source, which is left open; nothing of no answer."""
    if live is None:
        return []

    async def take(item: Any) -> list[Any]:
        return (await live.take(item)).items

    return (await live.end()).items or await read_on(source, take)
