"""The bounded pieces of a text that the sentence encoder reads: head, middle and tail."""

from __future__ import annotations

import re
from dataclasses import dataclass

ZH_CHARS, EN_CHARS = 120, 300  # one piece; about as much meaning in either script
MOST_PIECES = 20
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
_ASCII = re.compile(r"[A-Za-z]")
_STOP = re.compile(r"[。！？!?；;\n]|\.(?=\s)")


@dataclass(frozen=True)
class Sample:
    """What is read of a text: all of it, or pieces of it from head to tail.

    `known_script` is false where most letters are neither Chinese nor Latin.
    """

    text: str
    chinese: bool
    known_script: bool
    complete: bool

    @property
    def size(self) -> int:
        """How many characters one piece holds."""
        return ZH_CHARS if self.chinese else EN_CHARS


def sample(text: str) -> Sample:
    """Read a folded text whole, or of a long one `MOST_PIECES` pieces at even distances."""
    size = EN_CHARS
    ends = text if len(text) <= 4 * size else text[: 2 * size] + text[-2 * size :]
    letters, han = sum(map(str.isalpha, ends)), len(_HAN.findall(ends))
    chinese = han * 4 >= letters
    known = (han + len(_ASCII.findall(ends))) * 5 >= letters * 4
    size = ZH_CHARS if chinese else EN_CHARS
    if len(text) <= MOST_PIECES * size:
        return Sample(text, chinese, known, complete=True)
    last = len(text) - size
    starts = [last * i // (MOST_PIECES - 1) for i in range(MOST_PIECES)]
    read = "\n".join(text[at : at + size] for at in starts)
    return Sample(read, chinese, known, complete=False)


def cut(text: str, size: int) -> tuple[str, ...]:
    """Consecutive pieces of a text, each up to `size` characters and ending with a sentence.

    Where no sentence ends in a piece's second half, it ends at `size`; a short rest is taken
    along. Pieces without a letter or digit are left out.
    """
    pieces: list[str] = []
    start = 0
    while start < len(text):
        end = _end(text, start, size)
        pieces.append(text[start:end])
        start = end
    return tuple(piece for piece in pieces if any(map(str.isalnum, piece)))


def _end(text: str, start: int, size: int) -> int:
    if len(text) - start <= size * 5 // 4:
        return len(text)
    stops = [stop.end() for stop in _STOP.finditer(text, start + size // 2, start + size)]
    return stops[-1] if stops else start + size
