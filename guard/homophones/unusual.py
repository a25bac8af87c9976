"""Which parts of a text read as if characters had been replaced."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guard.views import View
from judge.embedded.spans import Span, pieces_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BITS = 21
PAIRS = 1 << BITS
SHARE = 0.25  # of a window's pairs of characters
PIECE_SHARE = 0.4  # of a piece's: a short text has rare words by chance
NEAR_SHARE = 0.1  # of a window's that may hold such a piece
LEAST = 3  # unusual pairs
_CHINESE = (0x3400, 0xA000)
_NEW = 1 << 32  # counts unusual pairs above the count of all pairs


@dataclass(frozen=True)
class Usual:
    """Which pairs of Chinese characters were seen side by side, by hash; shape (PAIRS,)."""

    seen: NDArray[np.bool_]

    @classmethod
    def of(cls, views: Iterable[View]) -> Usual:
        """The pairs of ordinary texts."""
        import numpy as np

        seen = np.zeros(PAIRS, dtype=bool)
        for view in views:
            bucket, chinese = _pairs(view)
            seen[bucket[chinese]] = True
        return cls(seen)

    def unusual(self, view: View) -> list[Span]:
        """Those parts of a view in which too many pairs were never seen."""
        import numpy as np

        bucket, chinese = _pairs(view)
        new = ~self.seen[bucket]
        new &= chinese
        if np.count_nonzero(new) < LEAST:
            return []
        counts = np.zeros(len(view.text), dtype=np.int64)
        np.cumsum(chinese + new * _NEW, out=counts[1:])

        def those(asked: Sequence[Span], share: float) -> list[Span]:
            starts, ends, _ = map(np.array, zip(*asked, strict=True))
            inside = counts[ends - 1] - counts[starts]
            here = inside >> 32
            enough = (here >= LEAST) & (here >= share * (inside % _NEW))
            return [asked[row] for row in enough.nonzero()[0].tolist()]

        near = those(view.windows, NEAR_SHARE)
        if not near:
            return []
        beside = pieces_of(view.text, near)
        found = those(near, SHARE)
        return [*found, *those(beside, PIECE_SHARE)] if beside else found


def _pairs(view: View) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
    """The buckets of a view's pairs, and which pairs are of Chinese characters."""
    import numpy as np

    first, end = _CHINESE
    chinese = (view.codes - np.uint32(first)) < np.uint32(end - first)
    return view.pairs >> np.uint32(32 - BITS), chinese[:-1] & chinese[1:]
