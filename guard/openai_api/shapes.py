"""A small language for what a body may hold, and its reader.

A table says for each known key what its value is; reading rebuilds the value from what the table
knows and reports every string of it. A string that is neither reported nor left out can't be
written in this language, except for a `Name`: ASCII letters, digits and a few signs, without room
for a sentence, and nobody's number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from guard.openai_api.found import OMIT, Found
from guard.openai_api.identifiers import is_identifier, is_nobodys, is_one_of
from guard.openai_api.parts import Reason

_NAME = re.compile(r"[A-Za-z0-9_.:/\\+=\-]{1,128}")
_NUMBER_LIMIT = 2**64


class Rule(Protocol):
    """What a value may be."""

    def read(self, value: Any, path: str, found: Found) -> Any:
        """The value as it is forwarded, or OMIT; `value` is not None."""
        ...


def is_name(value: object) -> bool:
    """Whether it is a string that has no room for a sentence and may pass unread."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def is_number(value: object) -> bool:
    """Whether it is a finite number of ordinary size; longer ones could spell a text."""
    if type(value) is int:
        return abs(value) < _NUMBER_LIMIT
    return type(value) is float and math.isfinite(value)


def is_digits(value: object) -> bool:
    """Whether it is a number that can be written out."""
    if type(value) is int:
        return value.bit_length() < 10_000  # longer ones Python refuses to write
    return type(value) is float and math.isfinite(value)


@dataclass(frozen=True, slots=True)
class Text:
    """A string that is reported as a text of this kind."""

    kind: str

    def read(self, value: Any, path: str, found: Found) -> Any:
        if not isinstance(value, str):
            return found.drop(path, "wrong_type")
        found.text(path, self.kind, value)
        return value


@dataclass(frozen=True, slots=True)
class Name:
    """An identifier that is no personal data; any other string is reported as a text."""

    def read(self, value: Any, path: str, found: Found) -> Any:
        if is_name(value) and is_nobodys(value):
            return value
        return Text("identifier").read(value, path, found)


@dataclass(frozen=True, slots=True)
class Number:
    """A number of which `fits` holds."""

    fits: Callable[[object], bool] = is_number

    def read(self, value: Any, path: str, found: Found) -> Any:
        return value if self.fits(value) else found.drop(path, "wrong_type")


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    def read(self, value: Any, path: str, found: Found) -> Any:
        return value if isinstance(value, bool) else found.drop(path, "wrong_type")


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers under names, such as `usage` or `logit_bias`; whatever is none is left out.

    Args:
        named: whether a key is such a name.
        fits: whether a value is such a number.
        other: why another key is left out.
    """

    named: Callable[[str], bool]
    fits: Callable[[object], bool]
    other: Reason

    def read(self, value: Any, path: str, found: Found) -> Any:
        if not isinstance(value, dict):
            return found.drop(path, "wrong_type")
        return self._level(value, path, found, 4)

    def _level(self, value: dict[Any, Any], path: str, found: Found, levels: int) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key, item in value.items():
            if not (isinstance(key, str) and self.named(key)):
                found.drop(f"{path}.?", self.other)
            elif item is None or self.fits(item):
                built[key] = item
            elif isinstance(item, dict) and levels > 1:
                built[key] = self._level(item, f"{path}.?", found, levels - 1)
            else:
                found.drop(f"{path}.?", "withheld")
        return built


@dataclass(frozen=True, slots=True)
class Identifier:
    """An identifier of the upstream's; anything else is left out."""

    def read(self, value: Any, path: str, found: Found) -> Any:
        return value if is_identifier(value) else found.drop(path, "withheld")


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of a few words; `otherwise` stands in for any other value."""

    known: frozenset[str]
    otherwise: str

    def read(self, value: Any, path: str, found: Found) -> Any:
        if is_one_of(value, self.known):
            return value
        found.drop(path, "withheld")
        return self.otherwise


@dataclass(frozen=True, slots=True)
class Withheld:
    """Known, and never forwarded: nothing here reads it, or it would undo the guard."""

    def read(self, value: Any, path: str, found: Found) -> Any:
        return found.drop(path, "withheld") if value not in ([], {}, "") else OMIT


@dataclass(frozen=True, slots=True)
class Json:
    """Any JSON; reported as one text: its keys, strings and numbers, a line each."""

    kind: str

    def read(self, value: Any, path: str, found: Found) -> Any:
        lines = _lines(value)
        if lines is None:
            return found.drop(path, "wrong_type")
        found.text(path, self.kind, "\n".join(lines))
        return value


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list whose items follow one rule."""

    rule: Rule

    def read(self, value: Any, path: str, found: Found) -> Any:
        if not isinstance(value, list):
            return found.drop(path, "wrong_type")
        built = []
        for place, item in enumerate(value):
            at = f"{path}[{place}]"
            new = found.drop(at, "wrong_type") if item is None else self.rule.read(item, at, found)
            if new is not OMIT:
                built.append(new)
        return built


@dataclass(frozen=True, slots=True)
class Obj:
    """An object with known keys.

    A key whose value is null carries nothing: known, it stays null; unknown, it is not listed.
    """

    keys: Mapping[str, Rule]

    def read(self, value: Any, path: str, found: Found) -> Any:
        if not isinstance(value, dict):
            return found.drop(path, "wrong_type")
        built: dict[str, Any] = {}
        for key, item in value.items():
            rule = self.keys.get(key) if isinstance(key, str) else None
            at = f"{path}.{key}" if path else key
            if item is None:
                if rule is not None and not isinstance(rule, Withheld):
                    built[key] = None
            elif rule is None:
                found.drop(f"{path}.?" if path else "?", "unknown")
            elif (new := rule.read(item, at, found)) is not OMIT:
                built[key] = new
        return built


@dataclass(frozen=True, slots=True)
class Tagged:
    """An object whose `type` says which table it follows; an unknown type is left out whole."""

    tables: Mapping[str, Obj]

    def read(self, value: Any, path: str, found: Found) -> Any:
        tag = value.get("type") if isinstance(value, dict) else None
        table = self.tables.get(tag) if isinstance(tag, str) else None
        return table.read(value, path, found) if table else found.drop(path, "unknown")


@dataclass(frozen=True, slots=True)
class Either:
    """A string, a list or an object, each with its own rule."""

    string: Rule | None = None
    array: Rule | None = None
    object: Rule | None = None

    def read(self, value: Any, path: str, found: Found) -> Any:
        rules: dict[type[Any], Rule | None]
        rules = {str: self.string, list: self.array, dict: self.object}
        rule = rules.get(type(value))
        return rule.read(value, path, found) if rule else found.drop(path, "wrong_type")


def _lines(value: Any) -> list[str] | None:
    """Keys, strings and numbers in the order of the body; None when it is not JSON."""
    lines: list[str] = []
    waiting: list[Any] = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            lines.append(item)
        elif isinstance(item, dict):
            if not all(isinstance(key, str) for key in item):
                return None
            for key in reversed(item):
                waiting += (item[key], key)
        elif isinstance(item, list):
            waiting += reversed(item)
        elif is_digits(item):
            lines.append(str(item))
        elif item is not None and not isinstance(item, bool):
            return None
    return lines
