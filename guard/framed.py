"""Texts that are lines of JSON, or events with JSON: what a reader of them puts together. Pure.

Read as one text, the pieces of what is said would stand apart.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

from guard.decision import Part

_BLANKS: Final = (" ", "\t", "\r")
_ITEM: Final = re.compile(r"\[\d+\]")
_BESIDE: Final = re.compile(r"(?:event|id|retry)?:[^\n]*\n")


def alike(path: str) -> str:
    """A path that all items of a list have in common."""
    return _ITEM.sub("[*]", path)


def is_framed(piece: str) -> bool:
    """Whether a piece of a stream is an event or a line of JSON, and not a text."""
    return bool(_BESIDE.match(piece)) or next(objects_in(piece), None) is not None


def framed(text: str) -> list[Part]:
    """What the JSON objects of a text say, each of their keys by itself; nothing where is but one.

    The work is linear in the text's length.
    """
    said: defaultdict[str, list[str]] = defaultdict(list)
    objects = 0
    for one in objects_in(text):
        objects += 1
        _collect(one, said)
    return [Part("framed", "".join(one)) for one in said.values()] if objects > 1 else []


def _collect(value: Any, said: defaultdict[str, list[str]]) -> None:
    """Add the strings of a value under what they have in common, keys under those of theirs."""
    waiting = [("", value)]
    while waiting:
        at, item = waiting.pop()
        if isinstance(item, str):
            said[at].append(item)
        elif isinstance(item, dict):
            said[f"{at}~"] += item
            waiting += [(f"{at}.{key}", item[key]) for key in reversed(item)]
        elif isinstance(item, list):
            waiting += [(f"{at}[*]", one) for one in reversed(item)]


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
