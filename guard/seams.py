"""Where texts meet that a reader takes in one behind the other.

Each text is looked at by itself; none of them may hold alone what two of them say together. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from typing import Final

from guard.decision import Part

REACH: Final = 500  # characters on both sides: a window of the scanner, also as an escape


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
