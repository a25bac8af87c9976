"""The bounded pieces of a text that the sentence encoder reads: head, middle and tail."""

from __future__ import annotations

import re
from dataclasses import dataclass

ZH_CHARS, EN_CHARS = 120, 300  # one piece; about as much meaning in either script
MOST_PIECES = 12
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
_STOP = re.compile(r"[。！？!?；;\n]|\.(?=\s)")


@dataclass(frozen=True)
class Pieces:
    """Consecutive pieces of a text, head first. `complete` says whether they cover all of it."""

    texts: tuple[str, ...]
    chinese: bool
    complete: bool


def cut(text: str) -> Pieces:
    """Cut a folded text into at most `MOST_PIECES` pieces.

    A piece ends at the end of a sentence where there is one in its second half. Of a longer text,
    pieces at even distances are read, head and tail among them.
    """
    sample = text[:600]
    chinese = len(_HAN.findall(sample)) * 4 >= sum(map(str.isalpha, sample))
    size = ZH_CHARS if chinese else EN_CHARS
    pieces: list[str] = []
    start = 0
    while start < len(text) and len(pieces) < MOST_PIECES:
        end = _end(text, start, size)
        pieces.append(text[start:end])
        start = end
    if start < len(text):
        return Pieces((pieces[0], *_spread(text, len(pieces[0]), size)), chinese, complete=False)
    return Pieces(tuple(pieces), chinese, complete=True)


def _end(text: str, start: int, size: int) -> int:
    """Where the piece from `start` ends; a short rest is taken along."""
    if len(text) - start <= size * 5 // 4:
        return len(text)
    middle = start + size // 2
    stops = [stop.end() for stop in _STOP.finditer(text, middle, start + size)]
    return stops[-1] if stops else start + size


def _spread(text: str, start: int, size: int) -> list[str]:
    last, count = len(text) - size, MOST_PIECES - 2
    starts = [start + (last - start) * i // count for i in range(count + 1)]
    return [text[at : at + size] for at in starts]
