"""The evidence heads on the windows of one text, for callers who wait for the answer.

The same logits as `EvidenceHeads.logits`, to the last bit: sums of whole numbers, small enough for
32-bit floats to hold exactly, from one table that all heads share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from judge.embedded.evidence import WINDOW, EvidenceHeads
from judge.embedded.hashing import BITS, BUCKETS, hashes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_COLUMNS = 8  # at least the five heads and the norm
_BATCH = 1024  # windows at a time: memory stays flat


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

    def logits(self, text: str, starts: Sequence[int]) -> NDArray[np.float64]:
        """The heads' logits for windows of a folded text, shape (starts, 5).

        Args:
            text: a folded text.
            starts: where its windows start, or some of `judge.embedded.evidence.window_starts`.
        """
        import numpy as np

        batches = [starts[at : at + _BATCH] for at in range(0, len(starts), _BATCH)]
        found = [self._batch([text[at : at + WINDOW] for at in batch]) for batch in batches]
        return found[0] if len(found) == 1 else np.concatenate(found)

    def _batch(self, windows: Sequence[str]) -> NDArray[np.float64]:
        import numpy as np

        marked = "".join([f"^{window}$" for window in windows]).lower()
        count, width = len(windows), len(windows[0]) + 2
        if len(marked) != count * width:  # a letter that is two when lowered
            return self.heads.logits(windows)
        single, double = hashes(marked)
        both = np.empty((2, count * width), dtype=np.uint32)
        both[0], both[1, :-1] = single, double
        both >>= np.uint32(32 - BITS)
        bucket = both.reshape(2, count, width).transpose(1, 0, 2).reshape(count, 2 * width)
        bucket[:, -1] = bucket[:, 0]  # no pair, since it spans two windows: a repeat instead
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
