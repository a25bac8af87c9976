"""What of a text the evidence heads are asked about, so that nothing drowns in what stands around.

Windows over the whole text, as the heads were trained on, and pieces: each sentence, each two
clauses of a longer one, and short windows for what no punctuation parts. A line of advertising in a
long answer is mostly seen by a piece alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from judge.embedded import compiled

WINDOW, STEP = 80, 40  # characters; most comments of the training data fit into one window
SHORT, SHORT_STEP = 24, 12
LEAST = 6  # characters of a sentence
_SENTENCE, _CLAUSE = re.compile(r"[^。!?;\n]+"), re.compile(r"[^,、:]+")

# Where a part of a folded text starts and ends, and whether it is a piece and not a window. No
# class of its own: making a hundred of these would take longer than scoring them.
Span = tuple[int, int, bool]


def spans(text: str) -> list[Span]:
    """The windows of a folded text and then its pieces; their number is linear in its length."""
    return windows(len(text)) + pieces(text)


def windows(length: int) -> list[Span]:
    """The windows of a text of this length; the last one ends with the text."""
    found = [(at, at + WINDOW, False) for at in range(0, length - WINDOW, STEP)]
    return [*found, (max(length - WINDOW, 0), length, False)]


def pieces(text: str) -> list[Span]:
    """What is asked about by itself, too; nothing where the text is one short sentence."""
    most = min(WINDOW, len(text) - 1)
    if compiled.grams is not None:
        return compiled.grams.pieces(text, LEAST, most, SHORT, SHORT_STEP)
    found: list[Span] = []
    for sentence in _SENTENCE.finditer(text):
        parts = (sentence.span(), *_pairs_of_clauses(text, *sentence.span(), most))
        found += [(start, end, True) for start, end in parts if LEAST <= end - start <= most]
    last = len(text) - SHORT
    shorts = (*range(0, last, SHORT_STEP), last) if last > 0 else ()
    return [*found, *((at, at + SHORT, True) for at in shorts)]


def _pairs_of_clauses(text: str, first: int, last: int, most: int) -> Iterator[tuple[int, int]]:
    """Each two clauses of a sentence, where they are not all of it or it is too long."""
    clauses = [found.span() for found in _CLAUSE.finditer(text, first, last)]
    if len(clauses) > 2 or last - first > most:
        for (start, _), (_, end) in pairwise(clauses):
            yield start, end
