"""The evidence heads on the spans of one text, for callers who wait for the answer.

The same logits as `EvidenceHeads.logits`, to the last bit: sums of whole numbers, small enough for
32-bit floats to hold exactly, from one table that all heads share.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from judge.embedded.evidence import EvidenceHeads
from judge.embedded.hashing import BITS, BUCKETS, hashes
from judge.embedded.spans import SHORT, Span

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_COLUMNS = 8  # at least the five heads and the norm
_BATCH = 1024  # spans at a time: memory stays flat
_PAD = "\0"  # in no folded text


class OneText:
    """Heads made ready for scoring one text at a time; safe to share between threads."""

    def __init__(self, heads: EvidenceHeads) -> None:
        import numpy as np

        self.heads = heads
        idf = heads.idf.astype(np.float32)
        # One row a bucket: each head's weighted value, and last the square for the norm. Eight
        # columns, since whole cache lines are quicker; the last row, of zeros, is where repeated
        # buckets go.
        self._table = np.zeros((BUCKETS + 1, _COLUMNS), dtype=np.float32)
        self._table[:-1, : len(heads.weights)] = heads.weights.T * idf[:, None]
        self._table[:-1, -1] = idf * idf
        self._ones: dict[int, NDArray[np.float32]] = {}

    def logits(self, text: str, asked: Sequence[Span]) -> NDArray[np.float64]:
        """The heads' logits for parts of a folded text, shape (spans, 5).

        Args:
            text: a folded text.
            asked: parts of it, or some of `judge.embedded.spans.spans`.
        """
        import numpy as np

        found = np.empty((len(asked), len(self.heads.weights)))
        for rows in _batches(asked):
            found[rows] = self._batch([text[asked[row][0] : asked[row][1]] for row in rows])
        return found

    def _batch(self, parts: Sequence[str]) -> NDArray[np.float64]:
        import numpy as np

        count, longest = len(parts), max(map(len, parts))
        width = longest + 2
        marked = "".join([f"^{part}$".ljust(width, _PAD) for part in parts]).lower()
        if len(marked) != count * width:  # a letter that is two when lowered
            return self.heads.logits(parts)
        single, double = hashes(marked)
        both = np.empty((2, count * width), dtype=np.uint32)
        both[0], both[1, :-1] = single, double
        both >>= np.uint32(32 - BITS)
        pair = both.reshape(2, count, width).transpose(1, 0, 2)
        sizes = np.fromiter(map(len, parts), dtype=np.int64, count=count)[:, None] + 2
        at = np.arange(width)
        pair[:, 0][at >= sizes] = BUCKETS  # what was added to make all of one width
        pair[:, 1][at >= sizes - 1] = BUCKETS  # and pairs with it, or with the next part
        bucket = pair.reshape(count, 2 * width)
        bucket.sort(axis=1)
        bucket[:, 1:][bucket[:, 1:] == bucket[:, :-1]] = BUCKETS
        ones = self._ones.get(width)
        if ones is None:
            ones = self._ones[width] = np.ones((1, 2 * width), dtype=np.float32)
        sums = (ones @ self._table.take(bucket, axis=0))[:, 0].astype(np.float64)
        norm = np.sqrt(sums[:, -1:])
        norm[norm == 0] = 1
        heads = len(self.heads.weights)
        logits: NDArray[np.float64] = sums[:, :heads] / norm * self.heads.scale + self.heads.bias
        return logits


def _batches(asked: Sequence[Span]) -> Iterator[list[int]]:
    """The numbers of the spans that are scored in one go: about as long, and not too many."""
    wide = [row for row, (start, end, _) in enumerate(asked) if end - start > SHORT]
    narrow = [row for row, (start, end, _) in enumerate(asked) if end - start <= SHORT]
    for alike in (wide, narrow):
        for at in range(0, len(alike), _BATCH):
            yield alike[at : at + _BATCH]
