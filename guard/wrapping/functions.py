"""Chat functions of each kind, with a guard around them."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from dataclasses import dataclass
from typing import Any, Final, Self

from guard.bridge import run
from guard.engine import Guard
from guard.errors import OnBlock
from guard.wrapping.exchange import AGAIN, Exchange, Refusal
from guard.wrapping.pieces import Yields
from guard.wrapping.question import Call, Reader
from guard.wrapping.refusals import Gives, Refusing, gives, refusing, refusing_for, said_anyhow
from guard.wrapping.returned import Returned, one_way, passed_on
from guard.wrapping.streams import (
    AsyncGuardedStream,
    GuardedStream,
    Stream,
    apieces,
    as_async,
    awaited,
    pieces,
)
from judge.errors import InputError

_MANAGING: Final[tuple[Any, ...]] = (contextlib.contextmanager, contextlib.asynccontextmanager)
# All functions that one of these makes have one code.
_MANAGERS: Final = frozenset(decorator(print).__code__ for decorator in _MANAGING)


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
    gives: Gives
    refusing: Refusing
    reader: Reader

    @classmethod
    def of(cls, chat: Callable[..., Any], how: Wrapping, inner: Callable[..., Any]) -> Self:
        """A function; `inner` is the one that says by its annotation what is given."""
        given: Gives = "whole" if how.refusing is not None else gives(inner)
        return cls(chat, how, given, how.refusing or refusing(inner), Reader(chat, how.ask))

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
        own = refusing_for(exchange.call) or self.refusing
        if streams:
            return own.pieces(refusal, exchange)
        answer = own.answer(refusal, exchange)
        return answer if self.gives == "whole" else said_anyhow(answer)


def wrapped(chat: Callable[..., Any], how: Wrapping) -> Callable[..., Any]:
    """A function of the same kind and signature, with the guard around it.

    Raises:
        InputError: no parameter of it can be the prompt, or it gives what no guard can be around.
    """
    called = inner = _called(chat)
    _refuse(called)
    while _kind(inner) is None and hasattr(inner, "__wrapped__"):
        inner = _called(inner.__wrapped__)
    one = _Function.of(chat, how, inner)
    kind = _kind(inner) or one.gives
    if kind == "pieces" and called is not inner:  # its decorator may have put them together
        kind = "unknown"
    return _MAKERS.get(kind, _plain)(one)


def _refuse(called: Callable[..., Any]) -> None:
    """Say of a function what no call of it would: that no guard can be around what it gives."""
    code = getattr(called, "__code__", None)
    if code in _MANAGERS:
        mend = "wrap the function that is called inside of its `with`"
        raise InputError("a context manager can't be wrapped", file="wrap", mend=mend)
    if code is not None and code.co_flags & inspect.CO_ITERABLE_COROUTINE:
        mend = "write it with `async def`"
        raise InputError("a function of types.coroutine can't be wrapped", file="wrap", mend=mend)


def _kind(chat: Callable[..., Any]) -> Gives | None:
    """What a function gives by what it is; None where only its annotation may say."""
    if inspect.iscoroutinefunction(chat):
        return "later"
    if inspect.isasyncgenfunction(chat):
        return "pieces in time"
    return "pieces" if inspect.isgeneratorfunction(chat) else None


def _called(chat: Callable[..., Any]) -> Callable[..., Any]:
    """The function that a call comes to first, behind partials and objects."""
    while not inspect.isroutine(chat):
        chat = chat.func if isinstance(chat, functools.partial) else type(chat).__call__
    return chat


def _generator(one: _Function) -> Callable[..., Any]:
    @one.named
    def guarded(*args: Any, **kwargs: Any) -> Generator[Any, None, Any]:
        exchange = one.exchange(args, kwargs)
        refusal = run(exchange.begin())
        if refusal is not None:
            return (yield from one_way(one.refused(refusal, exchange, streams=True)))
        return (yield from _given(one, exchange, _iterated(one.ask(exchange.call))))

    return guarded


def _async_generator(one: _Function) -> Callable[..., Any]:
    @one.named
    async def guarded(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        exchange = one.exchange(args, kwargs)
        refusal = await exchange.begin()
        if refusal is not None:
            for item in one.refused(refusal, exchange, streams=True):
                passed_on((yield item))
            return
        result = await awaited(one.ask(exchange.call))
        source = result if isinstance(result, AsyncIterable) else _iterated(result)
        answer = apieces(one.stream(exchange), as_async(source), one.ask)
        try:
            async for item in answer:
                passed_on((yield item))
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
        streams = exchange.call.streams or one.gives in {"pieces", "pieces in time", "stream"}
        refused = one.refused(refusal, exchange, streams=streams)
        return AsyncGuardedStream(_all(refused)) if streams else refused

    return guarded


def _plain(one: _Function) -> Callable[..., Any]:
    @one.named
    def guarded(*args: Any, **kwargs: Any) -> Any:
        exchange = one.exchange(args, kwargs)
        refusal = run(exchange.begin())
        if refusal is not None:
            chunks = one.gives == "pieces" and one.refusing.chunk is not str
            streams = exchange.call.streams or chunks or one.gives == "stream"
            refused = one.refused(refusal, exchange, streams=streams)
            return GuardedStream(refused) if streams else refused
        while True:
            result = one.ask(exchange.call)
            text = isinstance(result, str)  # another guard's refusal is one that can be awaited
            if not text and inspect.isawaitable(result):
                return _later(one, exchange, result)
            if isinstance(result, Iterator):
                return GuardedStream(_given(one, exchange, result), result)
            if not text and isinstance(result, AsyncIterable):
                answer = apieces(one.stream(exchange), as_async(result), one.ask)
                return AsyncGuardedStream(answer, result)
            answer = run(exchange.judge(result))
            if answer is not AGAIN:
                return answer

    return guarded


def _given(one: _Function, exchange: Exchange, source: Iterator[Any]) -> Generator[Any, None, Any]:
    """An answer's pieces; what a generator returns behind them is judged, and returned."""
    said = Returned()
    answer = pieces(one.stream(exchange), said.by(source), lambda call: said.by(one.ask(call)))
    with contextlib.closing(answer):
        yield from one_way(answer)
    return run(exchange.returned(said.value))


def _iterated(result: Any) -> Iterator[Any]:
    """A stream's pieces: an iterator is itself, since it may have to be closed."""
    if isinstance(result, Iterator):
        return result
    if not isinstance(result, Iterable):
        raise InputError(f"the function gave a {type(result).__name__}, no stream", file="wrap")
    return iter(result)


async def _later(one: _Function, exchange: Exchange, result: Any) -> Any:
    """What the caller gets from a coroutine function that does not look like one."""
    return await _answered(one, exchange, await result)


async def _answered(one: _Function, exchange: Exchange, result: Any) -> Any:
    """What the caller gets for a result of an asynchronous function."""
    while True:
        if isinstance(result, AsyncIterable | Iterator) and not isinstance(result, str):
            answer = apieces(one.stream(exchange), as_async(result), one.ask)
            return AsyncGuardedStream(answer, result)
        judged = await exchange.judge(result)
        if judged is not AGAIN:
            return judged
        result = await awaited(one.ask(exchange.call))


async def _all(items: Iterator[Any]) -> Any:
    for item in items:
        yield item


_MAKERS: Final[Mapping[Gives, Callable[[_Function], Callable[..., Any]]]] = {
    "later": _coroutine,
    "pieces in time": _async_generator,
    "pieces": _generator,
}
