"""Chat functions of each kind, with a guard around them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from guard.bridge import run
from guard.engine import Guard
from guard.wrapping.exchange import AGAIN, Exchange, OnBlock, Refusal
from guard.wrapping.pieces import Yields
from guard.wrapping.question import Call, Reader
from guard.wrapping.refusals import Gives, Refusing, gives, refusing, said_anyhow
from guard.wrapping.streams import (
    AsyncGuardedStream,
    GuardedStream,
    Stream,
    apieces,
    as_async,
    awaited,
    pieces,
)


@dataclass(frozen=True)
class Wrapping:
    """How functions are wrapped.

    Args:
        guard: decides.
        ask: the parameter that holds the prompt or the messages; found by its name without it.
        on_block: whether a text that is withheld is answered in the policy's words, or raises.
        yields: whether pieces of text are what is new, or all so far.
        refusing: how refusals look; by the function's annotation without it.
    """

    guard: Guard
    ask: str | None = None
    on_block: OnBlock = "answer"
    yields: Yields = "deltas"
    refusing: Refusing | None = None


@dataclass(frozen=True)
class _Function:
    """A function and what is known of it."""

    chat: Callable[..., Any]
    how: Wrapping
    told: Gives
    refusing: Refusing
    reader: Reader = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "reader", Reader(self.chat, self.how.ask))

    def named(self, guarded: Callable[..., Any]) -> Callable[..., Any]:
        """A function with this one's name and signature."""
        if inspect.isroutine(self.chat) or isinstance(self.chat, functools.partial):
            return functools.wraps(self.chat)(guarded)
        functools.update_wrapper(guarded, type(self.chat).__call__)
        guarded.__name__ = type(self.chat).__name__
        guarded.__signature__ = inspect.signature(self.chat)  # type: ignore[attr-defined]
        return guarded

    def exchange(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Exchange:
        """A new exchange for a call."""
        return Exchange(self.how.guard, self.reader.read(args, kwargs), self.how.on_block)

    def stream(self, exchange: Exchange) -> Stream:
        return Stream(exchange, self.how.yields)

    def ask(self, call: Call) -> Any:
        return self.chat(*call.args, **call.kwargs)

    def refused(self, refusal: Refusal, exchange: Exchange, *, streams: bool) -> Any:
        """A refusal as the whole answer, or as its pieces."""
        if streams:
            return self.refusing.pieces(refusal, exchange)
        answer = self.refusing.answer(refusal, exchange)
        return answer if self.told == "whole" else said_anyhow(answer)


def wrapped(chat: Callable[..., Any], how: Wrapping) -> Callable[..., Any]:
    """A function of the same kind and signature, with the guard around it.

    Raises:
        InputError: no parameter of it can be the prompt.
    """
    called = _called(chat)
    kind, inner = _kind(called), called
    decorated = hasattr(called, "__wrapped__")
    while kind is None and hasattr(inner, "__wrapped__"):
        inner = _called(inner.__wrapped__)
        kind = _kind(inner)
    told: Gives = "whole" if how.refusing is not None else gives(inner)
    one = _Function(chat, how, told, how.refusing or refusing(inner))
    if kind is _coroutine or (kind is None and told == "later"):
        return _coroutine(one)
    if kind is _async_generator or (kind is None and told == "pieces in time"):
        return _async_generator(one)
    if decorated and called is not inner:  # its decorator may have put the pieces together
        return _plain(one)
    if kind is _generator or told == "pieces":
        return _generator(one)
    return _plain(one)


def _kind(chat: Callable[..., Any]) -> Callable[[_Function], Callable[..., Any]] | None:
    """What a function is by itself; None where that is to be seen by what it gives."""
    if inspect.iscoroutinefunction(chat):
        return _coroutine
    if inspect.isasyncgenfunction(chat):
        return _async_generator
    return _generator if inspect.isgeneratorfunction(chat) else None


def _called(chat: Callable[..., Any]) -> Callable[..., Any]:
    """The function that a call comes to first, behind partials and objects."""
    while not inspect.isroutine(chat):
        chat = chat.func if isinstance(chat, functools.partial) else type(chat).__call__
    return chat


def _generator(one: _Function) -> Callable[..., Any]:
    @one.named
    def guarded(*args: Any, **kwargs: Any) -> Iterator[Any]:
        exchange = one.exchange(args, kwargs)
        refusal = run(exchange.begin())
        if refusal is not None:
            yield from one.refused(refusal, exchange, streams=True)
            return
        yield from pieces(one.stream(exchange), iter(one.ask(exchange.call)), one.ask)

    return guarded


def _async_generator(one: _Function) -> Callable[..., Any]:
    @one.named
    async def guarded(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        exchange = one.exchange(args, kwargs)
        refusal = await exchange.begin()
        if refusal is not None:
            for item in one.refused(refusal, exchange, streams=True):
                yield item
            return
        source = as_async(await awaited(one.ask(exchange.call)))
        answer = apieces(one.stream(exchange), source, one.ask)
        try:
            async for item in answer:
                yield item
        finally:
            await answer.aclose()

    return guarded


def _coroutine(one: _Function) -> Callable[..., Any]:
    @one.named
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        exchange = one.exchange(args, kwargs)
        refusal = await exchange.begin()
        if refusal is None:
            return await _answered(one, exchange, await awaited(one.ask(exchange.call)))
        streams = exchange.call.streams or one.told.startswith("pieces")
        refused = one.refused(refusal, exchange, streams=streams)
        return AsyncGuardedStream(_all(refused)) if streams else refused

    return guarded


def _plain(one: _Function) -> Callable[..., Any]:
    @one.named
    def guarded(*args: Any, **kwargs: Any) -> Any:
        exchange = one.exchange(args, kwargs)
        refusal = run(exchange.begin())
        if refusal is not None:
            chunks = one.told == "pieces" and one.refusing.chunk is not str
            streams = exchange.call.streams or chunks
            refused = one.refused(refusal, exchange, streams=streams)
            return GuardedStream(refused) if streams else refused
        while True:
            result = one.ask(exchange.call)
            text = isinstance(
                result, str
            )  # another guard's refusal is one, though it can be awaited
            if not text and inspect.isawaitable(
                result
            ):  # a coroutine function that does not look like one
                return _later(one, exchange, result)
            if isinstance(result, Iterator):
                return GuardedStream(pieces(one.stream(exchange), result, one.ask))
            if not text and isinstance(result, AsyncIterable):
                return AsyncGuardedStream(apieces(one.stream(exchange), as_async(result), one.ask))
            answer = run(exchange.judge(result))
            if answer is not AGAIN:
                return answer

    return guarded


async def _later(one: _Function, exchange: Exchange, result: Any) -> Any:
    return await _answered(one, exchange, await result)


async def _answered(one: _Function, exchange: Exchange, result: Any) -> Any:
    """What the caller gets for a result of an asynchronous function."""
    while True:
        if isinstance(result, AsyncIterable | Iterator) and not isinstance(result, str):
            answer = apieces(one.stream(exchange), as_async(result), one.ask)
            return AsyncGuardedStream(answer)
        judged = await exchange.judge(result)
        if judged is not AGAIN:
            return judged
        result = await awaited(one.ask(exchange.call))


async def _all(items: Iterator[Any]) -> Any:
    for item in items:
        yield item
