"""What a function gives when its question is answered without it: of the kind that it gives."""

from __future__ import annotations

import inspect
import time
import typing
from collections import abc
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Self

from guard.errors import Blocked
from guard.openai_api import Envelope, FrameWriter, said
from guard.plain import made
from guard.wrapping.exchange import Exchange, Refusal
from guard.wrapping.pieces import refused_frames

_AROUND = {
    abc.Awaitable,
    abc.Coroutine,
    abc.Iterator,
    abc.Iterable,
    abc.Generator,
    abc.AsyncIterator,
    abc.AsyncIterable,
    abc.AsyncGenerator,
}
_LAST_ARGUMENT = {abc.Coroutine}
_LATER = {abc.Awaitable, abc.Coroutine}
_PIECES = {abc.Iterator, abc.Generator}
_IN_TIME = {abc.AsyncIterator, abc.AsyncIterable, abc.AsyncGenerator}

Gives = Literal["whole", "later", "pieces", "pieces in time", "unknown"]


@dataclass(frozen=True)
class Refusing:
    """How one function's refusals look.

    Args:
        whole: the class of an answer: `str`, `dict` (OpenAI's form), or one of a client's.
        chunk: the class of a piece of a streamed answer.
    """

    whole: type[Any] = str
    chunk: type[Any] = str

    def answer(self, refusal: Refusal, exchange: Exchange) -> Any:
        """The whole answer."""
        if self.whole is str:
            return refusal.message
        envelope = _envelope(exchange)
        body = said(envelope, refusal.message, n=refusal.n, finish=refusal.finish)
        return self._made(self.whole, body, refusal)

    def pieces(self, refusal: Refusal, exchange: Exchange) -> Iterator[Any]:
        """The answer as a stream."""
        if self.chunk is str:
            yield refusal.message
            return
        for frame in refused_frames(refusal, FrameWriter(_envelope(exchange))):
            yield self._made(self.chunk, frame, refusal)

    def _made(self, kind: type[Any], body: dict[str, Any], refusal: Refusal) -> Any:
        if kind is dict:
            return body
        if not hasattr(kind, "model_dump"):
            raise Blocked(refusal.message, "input")
        return made(kind, body)


def refusing(chat: Callable[..., Any]) -> Refusing:
    """How a function's refusals look, by its annotation; text where it has none."""
    given = _annotated(chat) or str
    while typing.get_origin(given) in _AROUND:
        arguments = typing.get_args(given)
        if not arguments:
            return Refusing()
        given = arguments[2] if typing.get_origin(given) in _LAST_ARGUMENT else arguments[0]
    given = typing.get_origin(given) or given
    kind = given if inspect.isclass(given) else str
    if issubclass(kind, abc.Mapping):
        kind = dict
    if not _is_answer(kind):
        kind = str
    return Refusing(whole=kind, chunk=kind)


def gives(chat: Callable[..., Any]) -> Gives:
    """What a function says that it gives, by its annotation."""
    given = _annotated(chat)
    kind = typing.get_origin(given) or given
    if kind in _LATER:
        return "later"
    if kind in _IN_TIME:
        return "pieces in time"
    if kind in _PIECES:
        return "pieces"
    return "whole" if inspect.isclass(kind) and _is_answer(kind) else "unknown"


def _is_answer(kind: type[Any]) -> bool:
    """Whether a refusal can be of this class."""
    return issubclass(kind, abc.Mapping) or kind is str or hasattr(kind, "model_dump")


def _annotated(chat: Callable[..., Any]) -> Any:
    """What is annotated as given; None where nothing is, or it can't be found from here."""
    try:
        return typing.get_type_hints(chat).get("return")
    except (NameError, TypeError, AttributeError):
        return None


def said_anyhow(answer: Any) -> Any:
    """A refusal for a caller who may await it, or iterate it, or take it as it is."""
    return _Anyhow(answer) if type(answer) is str else answer


class _Anyhow(str):
    """A text that is also what gives it later, and a stream of it."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, Self]:
        yield from ()
        return self

    async def __aiter__(self) -> AsyncIterator[str]:
        yield str(self)


def _envelope(exchange: Exchange) -> Envelope:
    asked = exchange.asked
    name = f"chatcmpl-{asked.request_id}"
    return Envelope(id=name, model=asked.model or "", created=int(time.time()))
