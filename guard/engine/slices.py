"""A long text in slices that overlap, each of which is scanned by itself.

One pass over megabytes would hold up every other request, and go on when its caller has left.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

SLICE: Final = 50_000  # characters: the worst that is known takes a third of a second
OVERLAP: Final = 1_000  # more than what is looked for takes, also where marks part it


def slices(text: str) -> Iterator[str]:
    """The text, whole where it is short; each run of `OVERLAP` characters is whole in one slice."""
    for start in range(0, max(1, len(text) - OVERLAP), SLICE - OVERLAP):
        yield text[start : start + SLICE]
