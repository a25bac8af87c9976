"""A streamed answer that is read from a function and handed on, in either kind of code."""

from __future__ import annotations

import atexit
import contextlib
import inspect
import os
import weakref
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterator,
)
from typing import Any, Self

from guard.bridge import finish, run
from guard.read_on import alet_go, let_go
from guard.wrapping.exchange import Exchange
from guard.wrapping.pieces import Live, LiveChunks, Out, Yields, live_for, live_text
from guard.wrapping.question import Call
from guard.wrapping.usage import ausage_behind, usage_behind

_OPEN: weakref.WeakSet[Generator[Any, None, None]] = weakref.WeakSet()


def _end_all() -> None:
    """At the program's end: record the answers that nobody has read to their end."""
    for guarded in list(_OPEN):
        with contextlib.suppress(Exception):
            guarded.close()


atexit.register(_end_all)  # behind the bridge's own, and so before it
if hasattr(os, "register_at_fork"):  # a child reads none of its parent's
    os.register_at_fork(after_in_child=_OPEN.clear)


class Stream:
    """One exchange whose answer streams; a new answer is a new `Live`.

    Args:
        exchange: the question and its answers.
        yields: whether pieces of text are what is new, or all so far.
    """

    def __init__(self, exchange: Exchange, yields: Yields) -> None:
        self.exchange, self._yields = exchange, yields
        self._live: Live | None = None
        self.again = False

    async def take(self, item: Any) -> Out:
        """What goes out after one more piece; one that is None says nothing."""
        if item is None:
            return Out([])
        if self._live is None:
            self._live = live_for(item, self.exchange, self._yields)
        return await self._live.take(item)

    async def end(self) -> Out:
        """What goes out when no more pieces come."""
        if self._live is None:  # it said nothing at all
            self._live = live_text(self.exchange, self._yields)
        return await self._live.end()

    def conclude(self) -> list[Any]:
        """What goes out last, where the answer was stopped; `again` says whether another follows.

        Raises:
            Blocked: that is to raise.
            GuardUnavailable: the answer could not be checked.
        """
        live, self.again = self._live, False
        if live is None or live.stopped is None:
            return []
        if live.may_be_asked_again and self.exchange.may_ask_again(live.stopped):
            self.again = True
            return []
        self.exchange.withheld(live.stopped, "output")
        return live.last_words()

    @property
    def cut(self) -> Live | None:
        """The answer, where it was stopped and the caller has asked for its tokens."""
        live = self._live
        stopped = isinstance(live, LiveChunks) and live.stopped is not None and not self.again
        return live if stopped and self.exchange.call.include_usage else None

    async def close(self) -> None:
        """Record this answer."""
        live, self._live = self._live, None
        if live is not None:
            await live.close(again=self.again)


def pieces(
    stream: Stream, source: Iterator[Any], ask: Callable[[Call], Iterator[Any]]
) -> Generator[Any, None, None]:
    """Hand on an answer; `ask` asks once more."""
    guarded = _pieces(stream, source, ask)
    _OPEN.add(guarded)
    return guarded


def _pieces(
    stream: Stream, source: Iterator[Any], ask: Callable[[Call], Iterator[Any]]
) -> Generator[Any, None, None]:
    while True:
        try:
            for item in source:
                out = run(stream.take(item))
                yield from out.items
                if out.over:
                    break
            else:
                yield from run(stream.end()).items
            yield from stream.conclude()
            if (live := stream.cut) is not None:
                source, rest = iter(()), source
                yield from usage_behind(rest, live)
        finally:
            try:
                let_go(source)
            finally:
                finish(stream.close())
        if not stream.again:
            return
        source = ask(stream.exchange.call)


async def apieces(
    stream: Stream, source: AsyncIterator[Any], ask: Callable[[Call], Any]
) -> AsyncGenerator[Any, None]:
    """The same for asynchronous code; `ask` may give the answer or what it is awaited from."""
    while True:
        over = False
        try:
            async for item in source:
                out = await stream.take(item)
                for one in out.items:
                    yield one
                over = out.over
                if over:
                    break
            if not over:
                for one in (await stream.end()).items:
                    yield one
            for one in stream.conclude():
                yield one
            for one in await ausage_behind(source, stream.cut):
                yield one
        finally:
            try:
                await alet_go(source)
            finally:
                await stream.close()
        if not stream.again:
            return
        source = as_async(await awaited(ask(stream.exchange.call)))


async def awaited(value: Any) -> Any:
    """The value, or what it is awaited for."""
    return await value if inspect.isawaitable(value) else value


def as_async(source: Any) -> AsyncIterator[Any]:
    """An answer's pieces for asynchronous code, whatever kind of code gives them."""
    if isinstance(source, AsyncIterator):
        return source  # itself, since it may have to be closed
    return aiter(source) if isinstance(source, AsyncIterable) else _each(source)


async def _each(source: Iterator[Any]) -> AsyncIterator[Any]:
    try:
        for item in source:
            yield item
    finally:
        let_go(source)


class GuardedStream:
    """A guarded answer as a client's stream: iterate it, close it, use it in a `with`.

    Args:
        pieces: the answer.
        source: what it is read from. The pieces close it, but for two cases: nobody has begun to
            read them, or another thread waits for the next one.
    """

    def __init__(self, pieces: Generator[Any, None, None], source: object = None) -> None:
        self._pieces, self._source = pieces, source

    def __iter__(self) -> Iterator[Any]:
        return self._pieces

    def __next__(self) -> Any:
        return next(self._pieces)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Read no further."""
        state = inspect.getgeneratorstate(self._pieces)
        if state != inspect.GEN_RUNNING:
            self._pieces.close()
        if state in {inspect.GEN_RUNNING, inspect.GEN_CREATED}:
            let_go(self._source)


class AsyncGuardedStream:
    """The same for asynchronous code, whose tasks are as threads."""

    def __init__(self, pieces: AsyncGenerator[Any, None], source: object = None) -> None:
        self._pieces, self._source, self._begun = pieces, source, False

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        self._begun = True
        return await anext(self._pieces)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Read no further."""
        awaited_elsewhere = getattr(self._pieces, "ag_running", False)
        if not awaited_elsewhere:
            await self._pieces.aclose()
        if awaited_elsewhere or not self._begun:
            await alet_go(self._source)

    aclose = close  # as a generator has it
