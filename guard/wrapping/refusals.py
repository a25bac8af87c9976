"""What a function gives when its question is answered without it: of the kind that it gives."""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections import abc
from collections.abc import AsyncIterator, Callable, Generator
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from guard.chat import envelope_of
from guard.errors import Blocked
from guard.openai_api import NO_TOKENS, FrameWriter, said, said_frames
from guard.texts.remade import keyed, made
from guard.wrapping.exchange import Exchange, Refusal
from guard.wrapping.older import OLDER, as_older
from guard.wrapping.question import Call
from judge.errors import InputError

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

_CHUNKS: Final = {
    ("openai", "ChatCompletion"): ("openai.types.chat", "ChatCompletionChunk"),
    ("openai", "Stream"): ("openai.types.chat", "ChatCompletionChunk"),
    ("openai", "AsyncStream"): ("openai.types.chat", "ChatCompletionChunk"),
    ("litellm", "ModelResponse"): ("litellm.types.utils", "ModelResponseStream"),
    ("litellm", "CustomStreamWrapper"): ("litellm.types.utils", "ModelResponseStream"),
}

_WAYS: Final = {"text_completion": "TextCompletionResponse", "completion": "ModelResponse"}
"""What litellm's functions give, by their names; those for asynchronous code begin with an `a`."""

_SAYS_NOTHING: Final = {Any, object, type(None)}
"""Annotations that say nothing of a refusal."""

Gives = Literal["whole", "later", "pieces", "pieces in time", "stream", "unknown"]
"""`stream` is an object of a client's, which is more than an iterator."""


@dataclass(frozen=True)
class Refusing:
    """How one function's refusals look.

    Args:
        whole: the class of an answer: `str`, `dict` or a kind of it (OpenAI's form), one of a
            client's, or one that has no place for a message.
        chunk: the class of a piece of a streamed answer.
    """

    whole: type[Any] = str
    chunk: type[Any] = str

    def answer(self, refusal: Refusal, exchange: Exchange) -> Any:
        """The whole answer."""
        if self.whole is str:
            return refusal.message
        around = envelope_of(exchange.asked)
        body = said(around, refusal.message, n=refusal.n, finish=refusal.finish)
        return self._made(self.whole, body, refusal)

    def pieces(self, refusal: Refusal, exchange: Exchange) -> Generator[Any, None, None]:
        """The answer as a stream; what can't say it is told before any of it is read."""
        if self.chunk is str:
            return (text for text in [refusal.message])
        around = envelope_of(exchange.asked)
        frames = said_frames(around, refusal.message, n=refusal.n, finish=refusal.finish)
        usage = FrameWriter(around).usage(NO_TOKENS) if exchange.call.include_usage else []
        chunks = [self._made(self.chunk, frame, refusal) for frame in [*frames, *usage]]
        return (chunk for chunk in chunks)

    def _made(self, kind: type[Any], body: dict[str, Any], refusal: Refusal) -> Any:
        withheld = Blocked(refusal.message, "input")
        try:
            if _is_dict(kind):
                return keyed(kind, body)
            if _has_choices(kind):
                return made(kind, as_older(body) if kind.__name__ in OLDER else body)
        except InputError:  # its choices are others than OpenAI's
            raise withheld from None
        raise withheld


def refusing(chat: Callable[..., Any]) -> Refusing:
    """How a function's refusals look, by its annotation; text where it has none."""
    return _of_kinds(_kinds(_annotated(chat)) or [_of_library(chat)])


def refusing_for(call: Call) -> Refusing | None:
    """How they look by the class that a call itself names, as instructor's do; None without one."""
    kinds = _kinds(call.settings.get("response_model"))
    return _of_kinds(kinds) if kinds else None


def _of_kinds(kinds: list[type[Any]]) -> Refusing:
    kind = next(filter(_is_answer, kinds), kinds[0])
    if _is_text(kind):
        kind = str
    elif _is_answer(kind) and issubclass(kind, abc.Mapping) and not _is_dict(kind):
        kind = dict
    return Refusing(whole=kind, chunk=_chunk_of(kind))


def _of_library(chat: Callable[..., Any]) -> type[Any]:
    """The class of the answers of a function that does not say it: not all of litellm's do."""
    if str(getattr(chat, "__module__", "")).partition(".")[0] != "litellm":
        return str
    name = _WAYS.get(inspect.unwrap(chat).__name__.removeprefix("a"), "")
    kind: type[Any] = getattr(sys.modules.get("litellm.types.utils"), name, types.NoneType)
    return kind


def _kinds(given: Any) -> list[type[Any]]:
    """The classes that an annotation speaks of: each of an alternative, of a stream its pieces'.

    Those that say nothing of a refusal are left out.
    """
    origin, arguments = typing.get_origin(given), typing.get_args(given)
    if origin in {typing.Union, types.UnionType}:
        return [kind for one in arguments for kind in _kinds(one)]
    kind = origin or given
    if not inspect.isclass(kind) or kind in _SAYS_NOTHING:
        return []
    if kind in _AROUND or (arguments and issubclass(kind, abc.Iterator | abc.AsyncIterator)):
        last = kind in _LAST_ARGUMENT
        return _kinds(arguments[2 if last else 0]) if arguments else []
    return [kind]


def _chunk_of(kind: type[Any]) -> type[Any]:
    """The class of a streamed answer's pieces, where the answer is of this class."""
    place = _CHUNKS.get((kind.__module__.partition(".")[0], kind.__name__))
    if place is None:
        return kind
    chunk: type[Any] = getattr(sys.modules.get(place[0]), place[1], kind)
    return chunk


def gives(chat: Callable[..., Any]) -> Gives:
    """What a function says that it gives, by its annotation."""
    given = _annotated(chat)
    kind = typing.get_origin(given) or given
    if not inspect.isclass(kind):
        return "unknown"
    if kind in _LATER:
        return "later"
    if kind in _PIECES:
        return "pieces"
    if issubclass(kind, abc.Iterator):
        return "stream"
    if issubclass(kind, abc.AsyncIterable):
        return "pieces in time"
    return "whole" if _is_answer(kind) else "unknown"


def _is_answer(kind: type[Any]) -> bool:
    """Whether a refusal can be of this class."""
    named = typing.is_typeddict(kind) or not issubclass(kind, abc.Mapping)  # its keys are
    return _is_text(kind) or _has_choices(kind) if named else True


def _is_dict(kind: type[Any]) -> bool:
    return issubclass(kind, dict) and not typing.is_typeddict(kind)


def _is_text(kind: type[Any]) -> bool:
    try:
        return issubclass(str, kind) or issubclass(kind, str)
    except TypeError:  # a protocol, or keys: nothing is said to be of such a class
        return False


def _has_choices(kind: type[Any]) -> bool:
    """Whether a class has OpenAI's form, which says where the message stands."""
    keys = kind.__annotations__ if typing.is_typeddict(kind) else getattr(kind, "model_fields", {})
    return "choices" in keys


def _annotated(chat: Callable[..., Any]) -> Any:
    """What is annotated as given; None where nothing is, or it can't be found from here."""
    inner = inspect.unwrap(chat)
    given = getattr(inner, "__annotations__", {}).get("return")
    alone = types.SimpleNamespace(__annotations__={"return": given})  # arguments' may be nowhere
    try:
        return typing.get_type_hints(alone, getattr(inner, "__globals__", None)).get("return")
    except (NameError, TypeError, AttributeError, SyntaxError):
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
