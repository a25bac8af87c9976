"""Strings anywhere in JSON, and a small path language that says which ones. Pure.

A path is a chain of keys and places: `choices[*].message.content`, `turns[0].text`, `["a.b"].c`,
`answers.*`; `*` stands for every key, `[*]` for every place. It names values; their strings are all
strings below them. The libraries for JSONPath (jsonpath-ng and others) bring filters, expressions
and a parser generator; a guard's configuration should not be able to express that much.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from judge.errors import InputError

_STEP = re.compile(
    r"""\[(?P<place>\d{1,6})\]|\[\*\]|\["(?P<quoted>[^"\\]+)"\]"""
    r"""|(?P<dot>\.)?(?P<name>\*|[^.\[\]"*\s]+)"""
)
_MAX_STEPS = 32
_EVERY = None
_LONGEST = 256  # characters of a path that others go on from

Step = str | int | None
"""A key, a place, or None for every one."""


def strings_of(value: object) -> Iterator[tuple[str, str]]:
    """Every string of a value with its path, keys included (their path ends in `~`).

    Paths hold keys, which may be the caller's text: they are not for logs. Below a long one they
    begin with its hash, or one long key would be written again for all that it holds.
    """
    waiting: list[tuple[str, object, bool]] = [("", value, False)]
    while waiting:
        path, item, is_key = waiting.pop()
        if isinstance(item, str):
            yield (f"{path}~" if is_key else path), item
        elif isinstance(item, dict):
            start = bounded(path)
            for key in reversed(item):
                at = _key_path(start, key)
                waiting += ((at, item[key], False), (at, key, True))
        elif isinstance(item, list):
            start = bounded(path)
            waiting += [(f"{start}[{n}]", item[n], False) for n in reversed(range(len(item)))]


def bounded(path: str) -> str:
    """A path as the beginning of others: itself, or in the place of a long one its hash."""
    if len(path) <= _LONGEST:
        return path
    return "?" + blake2b(path.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A parsed path."""

    steps: tuple[Step, ...]

    @classmethod
    def parse(cls, text: str) -> JsonPath:
        """Read a path.

        Raises:
            InputError: it is not a path.
        """
        steps: list[Step] = []
        at = 0
        while at < len(text) and len(steps) < _MAX_STEPS:
            match = _STEP.match(text, at)
            if not match or (match["name"] and bool(match["dot"]) == (at == 0)):
                break  # a dot stands between names and nowhere else
            name = match["quoted"] or (match["name"] if match["name"] != "*" else _EVERY)
            steps.append(int(match["place"]) if match["place"] else name)
            at = match.end()
        if at < len(text) or not steps:
            mend = 'write keys and places, such as choices[*].message.content or ["a.b"][0]'
            raise InputError(f"{text!r} is not a path into JSON", mend=mend)
        return cls(tuple(steps))

    def find(self, value: object) -> list[tuple[str, Any]]:
        """The values that the path names, each with its own path; none when it leads nowhere."""
        found: list[tuple[str, Any]] = [("", value)]
        for step in self.steps:
            found = [
                (_at(start, key), _item(inner, key))
                for path, inner in found
                for start in (bounded(path),)
                for key in _matching(inner, step)
            ]
        return found

    def replaced(self, value: object, change: Callable[[str], str]) -> Any:
        """A copy in which each string value below the named values went through `change`.

        Keys stay as they are. The value is nested as deep as `strict_json` lets it be.
        """
        return _replaced(value, self.steps, change)


def _matching(value: object, step: Step) -> list[str | int]:
    """The keys or places of a value that a step names."""
    if isinstance(value, dict):
        keys = [key for key in value if isinstance(key, str)]
        return [*keys] if step is _EVERY else [key for key in keys if key == step]
    if isinstance(value, list):
        places = range(len(value))
        return [*places] if step is _EVERY else [p for p in places if p == step]
    return []


def _item(value: Any, key: str | int) -> Any:
    return value[key]


def _at(path: str, key: str | int) -> str:
    return f"{path}[{key}]" if isinstance(key, int) else _key_path(path, key)


def _key_path(path: str, key: object) -> str:
    name = str(key)
    if not re.fullmatch(r'[^.\[\]"*\s]+', name):
        return f'{path}["{name}"]'
    return f"{path}.{name}" if path else name


def _replaced(value: Any, steps: tuple[Step, ...], change: Callable[[str], str]) -> Any:
    if not steps:
        return _changed(value, change)
    named = set(_matching(value, steps[0]))
    if isinstance(value, dict):
        return {
            key: _replaced(item, steps[1:], change) if key in named else item
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [
            _replaced(item, steps[1:], change) if place in named else item
            for place, item in enumerate(value)
        ]
    return value


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _changed(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_changed(item, change) for item in value]
    return value
