"""Characters written as their two parts: 女马 is 妈.

Parts that stand side by side as words of their own are left alone, unless a text is full of others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import NamedTuple

from guard.views import pairs
from guard.views.model import View

_BITS = 18
_WORDS = "?"
_MANY, _SHARE = 2, 0.03  # split characters, from which on the text is taken to be full of them


class _Made(NamedTuple):
    """A character made of two parts, and how much likelier it is than they are."""

    char: str
    gain: int


class _Parts(NamedTuple):
    """`whole` maps two parts to their character, `all` also those that may be words.

    `maybe` is the set of them all.
    """

    whole: Mapping[str, _Made]
    all: Mapping[str, _Made]
    maybe: bytes


def load() -> None:
    """Make the table now and not at the first text."""
    _parts()


def with_whole_glyphs(view: View) -> View:
    """One character for each pair of parts: 女马 is 妈. Twice, for what has three parts.

    Where a text is full of such pairs, those count too that may be words.
    """
    whole, every, _ = _parts()
    once = _joined(view, whole)
    if once is view:
        return view
    joined = len(view.text) - len(once.text)
    if joined >= max(_MANY, _SHARE * len(view.text)):
        once = _joined(view, every)
        return _joined(once, every)
    return _joined(once, whole)


def _joined(view: View, made: Mapping[str, _Made]) -> View:
    text = view.text
    places = pairs.places(text, _parts().maybe)
    found = [(at, one) for at in places if (one := made.get(text[at : at + 2]))]
    if not found:
        return view
    pieces: list[str] = []
    spans: list[tuple[int, int]] = []
    done = 0
    for at, one in _likeliest(found):
        pieces += [text[done:at], one.char]
        spans += [*_each(done, at), (at, at + 2)]
        done = at + 2
    spans += _each(done, len(text))
    return view.shorter("split", "".join([*pieces, text[done:]]), spans)


def _likeliest(found: list[tuple[int, _Made]]) -> Iterator[tuple[int, _Made]]:
    """Of pairs that share characters those that gain most together, in order."""
    chain: list[tuple[int, _Made]] = []
    for pair in found:
        if chain and pair[0] > chain[-1][0] + 1:
            yield from _best(chain)
            chain = []
        chain.append(pair)
    yield from _best(chain)


def _best(chain: list[tuple[int, _Made]]) -> list[tuple[int, _Made]]:
    """Of pairs of which each overlaps the next, those that gain most and don't overlap."""
    if len(chain) < 2:
        return chain
    gains = [0, 0]  # of the pairs up to one, with a zero before the first
    for _, made in chain:
        gains.append(max(gains[-1], gains[-2] + made.gain))
    chosen: list[tuple[int, _Made]] = []
    at = len(chain)
    while at > 0:
        if gains[at + 1] > gains[at]:
            chosen.append(chain[at - 1])
            at -= 1
        at -= 1
    return chosen[::-1]


def _each(start: int, end: int) -> Iterator[tuple[int, int]]:
    return zip(range(start, end), range(start + 1, end + 1), strict=True)


@cache
def _parts() -> _Parts:
    """The shipped table: a line is a character, its two parts, perhaps a mark, and the gain."""
    file = resources.files("guard.views") / "data" / "parts.txt"
    lines = file.read_text(encoding="utf-8").split()
    every = {line[1:3]: _Made(line[0], int(line[-1])) for line in lines}
    whole = {line[1:3]: every[line[1:3]] for line in lines if _WORDS not in line}
    return _Parts(whole, every, pairs.set_of(every, _BITS))
