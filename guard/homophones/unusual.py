"""Which parts of a text read as if characters had been replaced."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from guard.views import View, pairs
from judge.embedded.spans import Span

BITS = 21
SHARE = 0.25  # of a window's pairs of characters
PIECE_SHARE = 0.4  # of a piece's: a short text has rare words by chance
LEAST = 3  # unusual pairs


@dataclass(frozen=True)
class Usual:
    """Which pairs of Chinese characters were seen side by side: a set of `guard.views.pairs`."""

    seen: bytes

    @classmethod
    def of(cls, views: Iterable[View]) -> Usual:
        """The pairs of ordinary texts."""
        return cls(
            pairs.set_of((p for view in views for p in pairs.chinese_pairs(view.text)), BITS)
        )

    def unusual(self, view: View) -> list[Span]:
        """Those parts of a view in which too many pairs were never seen."""
        shares = (SHARE, PIECE_SHARE)
        found = pairs.strange(view.text, view.spans, self.seen, LEAST, shares)
        return [view.spans[row] for row in found]
