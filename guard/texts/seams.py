"""Where texts meet that a reader takes in one behind the other.

Each text is looked at by itself; none of them may hold alone what two of them say together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, Final

from guard.decision import Part
from guard.engine.beside import INLINE, beside
from guard.openai_api import ARGUMENTS, NAMES, THINKING
from guard.texts.escapes import argued

REACH: Final = 500  # characters on both sides: a window of the scanner, also as an escape
_WORDS: Final = re.compile(r"[A-Za-z_.\-]+")
_LISTED: Final = "、"  # between numbers that a reader finds in different places


def seams(texts: Iterable[str]) -> list[Part]:
    """What stands around the places where texts meet; nothing where there is one text alone.

    The work is linear in the texts' length.
    """
    texts = [text for text in texts if text]
    whole = "".join(texts)
    spans: list[list[int]] = []
    for at in accumulate(map(len, texts[:-1])):
        start, end = max(at - REACH, 0), at + REACH
        if spans and start <= spans[-1][1]:
            spans[-1][1] = end
        else:
            spans.append([start, end])
    return [Part("joined", whole[start:end]) for start, end in spans]


async def seams_of_answer(texts: Sequence[tuple[str, str]]) -> list[Part]:
    """What stands where the texts of one answer meet, beside the event loop where they are long.

    As they are shown, and also as whoever runs its tools reads it: without their names, and of
    arguments the values alone. Names that are words, as most are, add to nothing beside them.

    Args:
        texts: each with its kind, as `guard.openai_api` calls it.
    """
    length = sum(len(text) for _, text in texts)
    if len(texts) < 2 and not any(kind in ARGUMENTS for kind, _ in texts):
        return []
    if length <= INLINE:
        return _of_answer(texts)
    return await beside(length, lambda _: _of_answer(texts))


def _of_answer(texts: Sequence[tuple[str, str]]) -> list[Part]:
    shown = sorted(texts, key=lambda one: (one[0] not in THINKING, one[0] != "content"))
    found = seams(
        argued(text) if kind in ARGUMENTS else text
        for kind, text in shown
        if not (kind in NAMES and _WORDS.fullmatch(text))
    )
    if any(kind in ARGUMENTS for kind, _ in shown):
        found += seams(_apart([piece for one in shown for piece in _values(*one)]))
    return list(dict.fromkeys(found))


def _values(kind: str, text: str) -> Iterator[tuple[str, bool]]:
    """What a text of an answer says, in order; whether it is one value of several."""
    try:
        value = _READER.decode(text) if kind in ARGUMENTS else text
    except (ValueError, RecursionError):
        value = argued(text)
    waiting = [] if kind in NAMES else [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += reversed(item)
        elif isinstance(item, str | int | float) and not isinstance(item, bool):
            yield str(item), isinstance(value, list)


def _apart(pieces: list[tuple[str, bool]]) -> Iterator[str]:
    """The pieces with a mark between values of which both are numbers: a width, and a height."""
    said = [piece for piece in pieces if piece[0]]
    for (one, listed), (after, also) in pairwise([*said, ("", False)]):
        numbers = one[-1:].isnumeric() and after[:1].isnumeric()
        yield one + _LISTED if numbers and (listed or also) else one


def _only_values(pairs: list[tuple[str, Any]]) -> list[Any]:
    """An object as the list of its values, every one of a key that it has twice."""
    return [value for _, value in pairs]


_READER: Final = json.JSONDecoder(object_pairs_hook=_only_values, strict=False)
