"""Five linear heads over hashed features, and the parts of a text that reach their cuts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from judge.embedded import compiled
from judge.embedded.hashing import BUCKETS, grams
from judge.embedded.spans import Span

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KINDS = ("abuse", "gambling", "porn", "fraud", "black_market_ad")
LEAST_CHINESE = 4  # characters of a part; the heads know Chinese alone, and see ads in "12:00"
# Logits that a piece needs above each head's cut: with these, pieces and windows together stay at
# most 1 % false alarms on texts that no head saw, as the windows alone do.
PIECE_MARGIN = (1.0, 0.0, 0.5, 0.0, 0.0)
_READABLE = re.compile(rf"(?:[\u3400-\u9fff][^\u3400-\u9fff]*+){{{LEAST_CHINESE}}}")
_BATCH = 1024  # parts at a time: memory stays flat, and other threads get their turn
_SIGMA = "\N{GREEK CAPITAL LETTER SIGMA}"  # how it is lowered depends on what stands beside it
_ROW, _IDF = 8, 5  # a bucket's numbers, as the compiled half reads them


class Reached(NamedTuple):
    """A part of a text that reaches a head's cut.

    Args:
        span: where it stands in the folded text.
        logits: each head's, in the order of `KINDS`.
        above: how far each is above what counts as evidence.
    """

    span: Span
    logits: tuple[float, ...]
    above: tuple[float, ...]


@dataclass(frozen=True)
class EvidenceHeads:
    """Five linear heads over one set of hashed features.

    Args:
        weights: int8, shape (5, buckets), in the order of `KINDS`.
        scale: what one unit of a head's weights is worth, shape (5,).
        bias: shape (5,).
        idf: weight of a bucket, uint8, in twentieths, shape (buckets,).
        cuts: logit from which a window is evidence, shape (5,).
    """

    weights: NDArray[np.int8]
    scale: NDArray[np.float64]
    bias: NDArray[np.float64]
    idf: NDArray[np.uint8]
    cuts: NDArray[np.float64]

    def logits(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """The heads' logits for folded texts, shape (texts, 5)."""
        import numpy as np

        row, bucket = grams(texts)
        value = self.idf[bucket].astype(np.float64)
        norm = np.sqrt(np.bincount(row, value * value, minlength=len(texts)))
        norm[norm == 0] = 1
        sums = [
            np.bincount(row, value * weight[bucket], minlength=len(texts))
            for weight in self.weights
        ]
        return np.stack(sums, axis=1) / norm[:, None] * self.scale + self.bias

    def reaching(self, text: str, asked: Sequence[Span], least: float = 0.0) -> list[Reached]:
        """Those parts that reach a head's cut, in their order.

        Parts with hardly any Chinese are left out: the heads say nothing of them.

        Args:
            text: a folded text.
            asked: parts of it, such as those of `judge.embedded.spans`.
            least: what they need above a cut, in logits; below zero for what only comes near.
        """
        lowered = text.lower()
        plain = len(lowered) == len(text) and _SIGMA not in text  # lowered part by part is the same
        found: list[Reached] = []
        for at in range(0, len(asked), _BATCH):
            batch = list(asked[at : at + _BATCH])
            scored = (
                self._slowly(text, batch, least)
                if compiled.grams is None or not plain
                else compiled.grams.reaching(lowered, batch, *self._packed, least)
            )
            found += [
                Reached(batch[row], logits, self._above(logits, piece=batch[row][2]))
                for row, logits in scored
                if readable(text[batch[row][0] : batch[row][1]])
            ]
        return found

    def _slowly(
        self, text: str, asked: Sequence[Span], least: float
    ) -> list[tuple[int, tuple[float, ...]]]:
        """What the compiled half gives."""
        import numpy as np

        logits = self.logits([text[start:end] for start, end, _ in asked])
        margin = np.outer([piece for _, _, piece in asked], PIECE_MARGIN)
        rows = ((logits - self.cuts - margin).max(axis=1) >= least).nonzero()[0].tolist()
        return [(row, tuple(logits[row].tolist())) for row in rows]

    def _above(self, logits: Sequence[float], *, piece: bool) -> tuple[float, ...]:
        cuts, margins = self._cuts, PIECE_MARGIN if piece else (0.0,) * len(KINDS)
        return tuple([x - cut - more for x, cut, more in zip(logits, cuts, margins, strict=True)])

    @cached_property
    def _cuts(self) -> tuple[float, ...]:
        return tuple(self.cuts.tolist())

    @cached_property
    def _packed(self) -> tuple[bytes, bytes]:
        """The heads as the compiled half reads them: a row a bucket, and the numbers of each."""
        import numpy as np

        rows = np.zeros((BUCKETS, _ROW), dtype=np.int8)
        rows[:, : len(KINDS)] = self.weights.T
        rows[:, _IDF] = self.idf.view(np.int8)
        numbers = np.concatenate([self.scale, self.bias, self.cuts, PIECE_MARGIN])
        return rows.tobytes(), numbers.astype(np.float64).tobytes()


def readable(part: str) -> bool:
    """Whether a part of a folded text holds enough Chinese for the heads to say anything."""
    return _READABLE.search(part) is not None
