"""What of a text the evidence heads are asked about, so that nothing drowns in what stands around.

Windows over the whole text, as the heads were trained on; beside those that are not far from a cut
also pieces: each sentence, each two clauses of a longer one, and short windows for what no
punctuation parts. A line of advertising in a long answer is mostly seen by a piece alone; most
ordinary texts are far from every cut.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import chain, pairwise, repeat

WINDOW, STEP = 80, 40  # characters; most comments of the training data fit into one window
SHORT, SHORT_STEP = 24, 12
LEAST = 6  # characters of a sentence
_SENTENCE, _CLAUSE = re.compile(r"[^。!?;\n]+"), re.compile(r"[^,、:]+")

# Where a part of a folded text starts and ends, and whether it is a piece and not a window. No
# class of its own: making a hundred of these would take longer than scoring them.
Span = tuple[int, int, bool]


def spans(text: str) -> Iterator[Span]:
    """The windows of a folded text and then its pieces; their number is linear in its length."""
    return chain(windows(len(text)), pieces(text))


def windows(length: int) -> Iterator[Span]:
    """The windows of a text of this length; the last one ends with the text."""
    return _regular(length, WINDOW, STEP, piece=False)


def pieces(text: str) -> Iterator[Span]:
    """What is asked about by itself, too; nothing where the text is one short sentence."""
    most = min(WINDOW, len(text) - 1)
    for sentence in _SENTENCE.finditer(text):
        start, end = sentence.span()
        if LEAST <= end - start <= most:
            yield start, end, True
        clauses = [found.span() for found in _CLAUSE.finditer(text, start, end)]
        if len(clauses) > 2 or end - start > most:
            for (first, _), (_, last) in pairwise(clauses):
                if LEAST <= last - first <= most:
                    yield first, last, True
    if len(text) > SHORT:
        yield from _regular(len(text), SHORT, SHORT_STEP, piece=True)


def pieces_of(text: str, near: Iterable[Span]) -> list[Span]:
    """The pieces of a folded text that touch one of these windows, given in order."""
    merged: list[tuple[int, int]] = []
    for start, end, _ in near:
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], end
        else:
            merged.append((start, end))
    if not merged:
        return []
    starts = [start for start, _ in merged]
    found: list[Span] = []
    for piece in pieces(text):
        before = bisect_left(starts, piece[1]) - 1
        if before >= 0 and merged[before][1] > piece[0]:
            found.append(piece)
    return found


def _regular(length: int, width: int, step: int, *, piece: bool) -> Iterator[Span]:
    starts = [*range(0, length - width, step), max(length - width, 0)]
    return zip(starts, [min(at + width, length) for at in starts], repeat(piece), strict=False)
