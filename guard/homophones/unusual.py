"""Which parts of a text read as if characters had been replaced."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from guard.views import View, pairs
from judge.embedded.spans import Span, pieces_of

BITS = 21
SHARE = 0.25  # of a window's pairs of characters
PIECE_SHARE = 0.4  # of a piece's: a short text has rare words by chance
NEAR_SHARE = 0.1  # of a window's that may hold such a piece
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
        near = self._those(view, list(view.windows), NEAR_SHARE)
        if not near:
            return []
        beside = pieces_of(view.text, near)
        return [*self._those(view, near, SHARE), *self._those(view, beside, PIECE_SHARE)]

    def _those(self, view: View, asked: list[Span], share: float) -> list[Span]:
        return [asked[row] for row in pairs.strange(view.text, asked, self.seen, LEAST, share)]
