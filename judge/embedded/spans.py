"""What of a text the evidence heads are asked about, so that nothing drowns in what stands around.

Windows over the whole text, as the heads were trained on; beside them pieces: each sentence, each
two clauses of a longer one, and short windows for what no punctuation parts. A line of advertising in a long answer is mostly seen
by a piece alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

WINDOW, STEP = 80, 40  # characters; most comments of the training data fit into one window
SHORT, SHORT_STEP = 24, 12
LEAST = 6  # characters of a sentence
_SENTENCE, _CLAUSE = re.compile(r"[^。!?;\n]+"), re.compile(r"[^,、:]+")


class Span(NamedTuple):
    """A part of a folded text, and whether it is a piece and not a window."""

    start: int
    end: int
    piece: bool = False


def spans(text: str) -> Iterator[Span]:
    """The windows of a folded text and then its pieces; their number is linear in its length."""
    yield from windows(len(text))
    yield from pieces(text)


def windows(length: int) -> Iterator[Span]:
    """The windows of a text of this length; the last one ends with the text."""
    for start in _starts(length, WINDOW, STEP):
        yield Span(start, min(start + WINDOW, length))


def pieces(text: str) -> Iterator[Span]:
    """What is asked about by itself, too; nothing where the text is one short sentence."""
    for sentence in _SENTENCE.finditer(text):
        start, end = sentence.span()
        clauses = [found.span() for found in _CLAUSE.finditer(text, start, end)]
        pairs = {(one[0], other[1]) for one, other in pairwise(clauses)}
        for first, last in sorted({(start, end), *pairs}):
            if LEAST <= last - first <= WINDOW and last - first < len(text):
                yield Span(first, last, piece=True)
    if len(text) > SHORT:
        for start in _starts(len(text), SHORT, SHORT_STEP):
            yield Span(start, start + SHORT, piece=True)


def _starts(length: int, width: int, step: int) -> Iterator[int]:
    yield from range(0, length - width, step)
    yield max(length - width, 0)
