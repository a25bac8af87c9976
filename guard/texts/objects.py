"""Python objects as JSON values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import date, time, timedelta
from enum import Enum
from io import IOBase
from numbers import Number
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

from judge.errors import InputError

OPAQUE: Final = object()
"""What holds no text that can be read: a connection, a function, a number of numpy's."""

_DEEP: Final = 64


def plain(value: Any, depth: int = 0, *, written: bool = True) -> Any:
    """A value as JSON has it; `OPAQUE` where it is none, inside containers left out.

    Args:
        value: the value.
        depth: how deep it stands in another.
        written: of pydantic's objects what they write out; without it all of their fields.

    Raises:
        InputError: it is nested too deep, or holds itself.
    """
    if depth > _DEEP:
        raise _too_deep()
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        items = {str(key): plain(item, depth + 1, written=written) for key, item in value.items()}
        return {key: item for key, item in items.items() if item is not OPAQUE}
    if isinstance(value, list | tuple | set | frozenset):
        listed = [plain(item, depth + 1, written=written) for item in value]
        return [item for item in listed if item is not OPAQUE]
    if hasattr(type(value), "model_dump"):
        own = value.model_dump(exclude_none=True, warnings=False) if written else _fields(value)
        return plain(own, depth + 1, written=written)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(_attributes(value), depth + 1, written=written)
    if isinstance(value, Enum):
        return plain(value.value, depth + 1, written=written)
    if isinstance(value, PurePath) or hasattr(type(value), "unicode_string"):  # pydantic's URLs
        return str(value)
    return OPAQUE


def _fields(value: Any) -> dict[str, Any]:
    """All fields of one of pydantic's objects; of others what they write out."""
    if not hasattr(value, "__dict__"):
        return dict(value.model_dump())
    return {**vars(value), **(getattr(value, "__pydantic_extra__", None) or {})}


def _attributes(value: Any) -> dict[str, Any]:
    """A dataclass's fields, and what it has set beside them."""
    fields = {one.name: getattr(value, one.name, None) for one in dataclasses.fields(value)}
    return {**fields, **getattr(value, "__dict__", {})}


def is_readable(value: Any, depth: int = 0) -> bool:
    """Whether every text in a value is one that `plain` gives: it holds no unknown objects.

    Raises:
        InputError: as `plain`.
    """
    if depth > _DEEP:
        raise _too_deep()
    if isinstance(value, Mapping):
        return all(is_readable(one, depth + 1) for pair in value.items() for one in pair)
    if isinstance(value, list | tuple | set | frozenset):
        return all(is_readable(one, depth + 1) for one in value)
    if hasattr(type(value), "model_dump"):
        return all(is_readable(one, depth + 1) for one in _fields(value).values())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return all(is_readable(one, depth + 1) for one in _attributes(value).values())
    if isinstance(value, Number | date | time | timedelta | UUID):
        return True
    if isinstance(value, bytes | bytearray):
        return not value
    if getattr(getattr(value, "dtype", None), "kind", "O") in "biufc":  # numpy's numbers
        return True
    return plain(value) is not OPAQUE


def holds_bytes(value: Any, depth: int = 0) -> bool:
    """Whether there are bytes, pictures or files in a value; in objects of pydantic's too."""
    if hasattr(type(value), "model_dump"):
        value = _fields(value)
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple | set | frozenset) and depth < _DEEP:
        return any(holds_bytes(one, depth + 1) for one in value)
    if isinstance(value, bytes | bytearray | memoryview):
        return len(value) > 0
    return _is_file(value) or type(value).__module__.partition(".")[0] == "PIL"


def _is_file(value: object) -> bool:
    """Whether it is a file that can be read, or an upload of a framework's."""
    if isinstance(value, IOBase):
        return not value.closed and value.readable()
    return all(callable(getattr(value, name, None)) for name in ("read", "seek"))


def _too_deep() -> InputError:
    return InputError("a value is nested too deep to be read")
