"""OpenAI's and litellm's clients with a guard around them: what is not guarded is not there.

A client has many ways to ask a model. The ones that are guarded are listed here, beside those that
give no text of a model; every other way is refused, so that none leads around the guard.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, Final, Self

from guard.wrapping.functions import Wrapping, wrapped
from guard.wrapping.refusals import Refusing
from judge.errors import InputError

_CHAT: Final = "chat.completions.create"
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


@dataclass(frozen=True)
class _Part:
    """A part of a client on the way to what is guarded."""

    client: Any
    path: str
    known: Mapping[str, Any]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        path = f"{self.path}.{name}" if self.path else name
        if path in self.known:
            return self.known[path]
        if any(one.startswith(f"{path}.") for one in self.known):
            return _Part(getattr(self.client, name), path, self.known)
        if self.path == "" and name in _PASSED:
            return getattr(self.client, name)
        value = getattr(self.client, name)
        if self.path == "" and _is_data(value):
            return value
        raise _unguarded(path, _CHAT)


class GuardedOpenAI(_Part):
    """An `OpenAI` or `AsyncOpenAI` whose `chat.completions.create` is guarded."""

    def __init__(self, client: Any, how: Wrapping) -> None:
        create = wrapped(client.chat.completions.create, replace(how, refusing=_openai_refusing()))
        super().__init__(client, "", {_CHAT: create})
        object.__setattr__(self, "_how", how)

    def __getattr__(self, name: str) -> Any:
        if name in _RENEWED:
            renew = getattr(self.client, name)
            return lambda *args, **kwargs: GuardedOpenAI(renew(*args, **kwargs), self._how)
        return super().__getattr__(name)

    def __enter__(self) -> Self:
        self.client.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.client.__exit__(*error)

    async def __aenter__(self) -> Self:
        await self.client.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.client.__aexit__(*error)


class GuardedLitellm(_Part):
    """litellm, or a router, whose `completion` and `acompletion` are guarded."""

    def __init__(self, client: Any, how: Wrapping) -> None:
        own = replace(how, refusing=litellm_refusing())
        known = {name: wrapped(getattr(client, name), own) for name in _LITELLM}
        super().__init__(client, "", known)

    def __getattr__(self, name: str) -> Any:
        if name in self.known or name.startswith("_"):
            return super().__getattr__(name)
        value = getattr(self.client, name)
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


def _unguarded(path: str, guarded: str) -> Unguarded:
    return Unguarded(
        f"`{path}` has no guard", file="wrap", mend=f"use {guarded}, or the client itself"
    )
