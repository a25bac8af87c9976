"""Texts that are lines of JSON, or events with JSON: what a reader of them puts together.

Read as one text, the pieces of what is said would stand apart.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, Final

from guard.decision import Part
from guard.engine.beside import INLINE, beside

_BLANKS: Final = (" ", "\t", "\r")
_ITEM: Final = re.compile(r"\[\d+\]")


def alike(path: str) -> str:
    """A path that all items of a list have in common."""
    return _ITEM.sub("[*]", path)


def framed(text: str) -> list[Part]:
    """What the JSON objects of a text say, each of their keys by itself; nothing where is but one.

    So with what else the data of events says. The work is linear in the text's length.
    """
    said: defaultdict[int, list[str]] = defaultdict(list)
    places: dict[tuple[int, str | None], int] = {}
    objects = 0
    for one in objects_in(text):
        objects += 1
        _collect(one, said, places)
    parts = [Part("framed", _joined(one)) for one in said.values()] if objects > 1 else []
    data = _data_of(text)
    return [*parts, Part("framed", "".join(data))] if len(data) > 1 else parts


def _data_of(text: str) -> list[str]:
    """What the events of a text say that is no object, and its lines that are strings or lists."""
    said = []
    for line in text.split("\n"):
        data = line.removeprefix("data:").strip()
        if data[:1] in {'"', "["}:
            said += _unquoted(data)
        elif line.startswith("data:") and data[:1] != "{":
            said.append(line.removeprefix("data:").removeprefix(" ").removesuffix("\r"))
    return said


def _unquoted(data: str) -> list[str]:
    """The strings of a JSON string or list; what is none, as it is."""
    try:
        return [part.text for part in loosely(data)]
    except (ValueError, RecursionError):
        return [data]


def loosely(text: str) -> list[Part]:
    """What a lenient reader of one JSON value finds in it, which a strict one refuses.

    Raises:
        ValueError: it is none.
        RecursionError: it is nested too deep.
    """
    said: defaultdict[int, list[str]] = defaultdict(list)
    _collect(_READER.decode(text), said, {})
    return [Part("framed", _joined(one)) for one in said.values()]


async def framed_beside(text: str, read: Callable[[str], list[Part]] = framed) -> list[Part]:
    """The same, beside the event loop where the text is long."""
    if len(text) <= INLINE:
        return read(text)
    return await beside(len(text), lambda _: read(text))


def _joined(texts: list[str]) -> str:
    """Texts in a row, halves of one character put together."""
    return "".join(texts).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _collect(
    value: Any, said: defaultdict[int, list[str]], places: dict[tuple[int, str | None], int]
) -> None:
    """Add the strings of a value under the number of their place, keys under its complement.

    A place is known by the one around it and its key, None for all items of a list: written out, a
    long key would be there once for each value beneath it.
    """
    waiting = [(0, value)]
    while waiting:
        at, item = waiting.pop()
        if isinstance(item, str):
            said[at].append(item)
        elif isinstance(item, dict):
            said[~at] += item
            inner = [
                (places.setdefault((at, key), len(places) + 1), one) for key, one in item.items()
            ]
            waiting += reversed(inner)
        elif isinstance(item, list):
            within = places.setdefault((at, None), len(places) + 1)
            waiting += [(within, one) for one in reversed(item)]


def objects_in(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects that begin the lines of a text, or are in its events; several in a row too.

    Where a reader would have to choose between equal keys, both values are given.
    """
    for line in text.split("\n") if "{" in text else ():
        said, at = line.removeprefix("data:").strip(), 0
        while said[at : at + 1] == "{":
            try:
                value, at = _READER.raw_decode(said, at)
            except (ValueError, RecursionError):
                break
            yield value
            while said[at : at + 1] in _BLANKS:
                at += 1


def _all_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object with every value of a key that it has twice."""
    built: dict[str, Any] = {}
    for key, value in pairs:
        built[key] = [built[key], value] if key in built else value
    return built


_READER: Final = json.JSONDecoder(object_pairs_hook=_all_of, strict=False)
