"""OpenAI's and litellm's clients with a guard around them: what is not guarded is not there.

A client has many ways to ask a model. The ones that are guarded are listed here, beside those that
give no text of a model; every other way is refused, so that none leads around the guard.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from types import ModuleType
from typing import Any, Final, NamedTuple, NoReturn, Self

from guard.wrapping.functions import Wrapping, wrapped
from guard.wrapping.refusals import Refusing
from judge.errors import InputError

_CHAT: Final = "chat.completions.create"
_PARSE: Final = "chat.completions.parse"
_PASSED: Final = ("models", "moderations", "embeddings", "close", "is_closed")
_RENEWED: Final = ("with_options", "copy")
_LITELLM: Final = ("completion", "acompletion")


class Unguarded(InputError, AttributeError):
    """A part of a client that has no guard, and is therefore refused."""


def is_openai(client: object) -> bool:
    """Whether it is a client of OpenAI's library, or one of its form."""
    create = getattr(getattr(getattr(client, "chat", None), "completions", None), "create", None)
    return callable(create)


def is_litellm(client: object) -> bool:
    """Whether it is the library litellm, or a router of its form."""
    return all(callable(getattr(client, name, None)) for name in _LITELLM)


class _Held(NamedTuple):
    """What stands behind a part.

    Args:
        client: the client, or what stands at `path` in it.
        path: the names that lead there.
        known: what is guarded, by its path.
        how: how other parts are to be guarded.
    """

    client: Any
    path: str
    known: Mapping[str, Any]
    how: Wrapping


class _Part:
    """A part of a client on the way to what is guarded: no name of its own that a client may have.

    Its settings are the client's, and are set there: here they would change nothing.
    """

    _flames: _Held

    def __init__(self, held: _Held) -> None:
        object.__setattr__(self, "_flames", held)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        held = self._flames
        path = f"{held.path}.{name}" if held.path else name
        if path in held.known:
            return held.known[path]
        value = getattr(held.client, name)
        if any(one.startswith(f"{path}.") for one in held.known):
            return _Part(held._replace(client=value, path=path))
        if held.path == "" and (name in _PASSED or _is_data(value)):
            return value
        raise _unguarded(path, _CHAT)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise _fixed(name)

    def __delattr__(self, name: str) -> NoReturn:
        raise _fixed(name)

    def __repr__(self) -> str:
        return f"<guarded {type(self._flames.client).__name__}>"


class GuardedOpenAI(_Part):
    """An `OpenAI` or `AsyncOpenAI` whose `chat.completions.create` and `parse` are guarded."""

    def __init__(self, client: Any, how: Wrapping) -> None:
        chat = client.chat.completions
        known = {_CHAT: wrapped(chat.create, replace(how, refusing=_openai_refusing()))}
        if hasattr(chat, "parse"):  # which says by its annotation what it gives
            known[_PARSE] = wrapped(chat.parse, how)
        super().__init__(_Held(client, "", known, how))

    def __getattr__(self, name: str) -> Any:
        if name in _RENEWED:
            held = self._flames
            renew = getattr(held.client, name)
            return lambda *args, **kwargs: GuardedOpenAI(renew(*args, **kwargs), held.how)
        return super().__getattr__(name)

    def __enter__(self) -> Self:
        self._flames.client.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._flames.client.__exit__(*error)

    async def __aenter__(self) -> Self:
        await self._flames.client.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._flames.client.__aexit__(*error)


class GuardedLitellm(_Part):
    """litellm, or a router, whose `completion` and `acompletion` are guarded."""

    def __init__(self, client: Any, how: Wrapping) -> None:
        own = replace(how, refusing=litellm_refusing())
        known = {name: wrapped(getattr(client, name), own) for name in _LITELLM}
        super().__init__(_Held(client, "", known, how))

    def __getattr__(self, name: str) -> Any:
        if name in _LITELLM or name.startswith("_"):
            return super().__getattr__(name)
        value = getattr(self._flames.client, name)
        if _is_data(value) or (inspect.isclass(value) and issubclass(value, BaseException)):
            return value
        raise _unguarded(name, " and ".join(_LITELLM))


def litellm_refusing() -> Refusing:
    """Refusals in litellm's own classes."""
    types = _loaded("litellm.types.utils")
    return Refusing(types.ModelResponse, types.ModelResponseStream)


def _openai_refusing() -> Refusing:
    chat = _loaded("openai.types.chat")
    return Refusing(chat.ChatCompletion, chat.ChatCompletionChunk)


def _loaded(name: str) -> ModuleType:
    """A module of the library that the client is from: it is there, or there were no client.

    Raises:
        InputError: it is not.
    """
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(f"{name} is not installed", file="wrap") from error


def _is_data(value: object) -> bool:
    data = (str, bytes, bool, int, float, list, dict, tuple, set, type(None))
    return isinstance(value, data) or type(value).__name__ in {"URL", "Timeout"}


def _fixed(name: str) -> InputError:
    mend = "set it on the client itself"
    return Unguarded(f"`{name}` can't be set behind the guard", file="wrap", mend=mend)


def _unguarded(path: str, guarded: str) -> Unguarded:
    return Unguarded(
        f"`{path}` has no guard", file="wrap", mend=f"use {guarded}, or the client itself"
    )
