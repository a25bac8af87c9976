"""Evidence in a text: what the hashed heads and the PII rules find, with offsets. Never a label.

The heads see the whole text, window by window and piece by piece (`judge.embedded.spans`), so that
what is hidden at its end or between other sentences counts.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from judge.embedded import pii
from judge.embedded.fold import Folded
from judge.embedded.hashing import grams
from judge.embedded.spans import Span, pieces_of, windows
from judge.verdict import Evidence, Side

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KINDS = ("abuse", "gambling", "porn", "fraud", "black_market_ad")
LEAST_CHINESE = 4  # characters of a window; the heads know Chinese alone, and see ads in "12:00"
# Logits that a piece needs above each head's cut: with these, pieces and windows together stay at
# most 1 % false alarms on texts that no head saw, as the windows alone do.
PIECE_MARGIN = (1.0, 0.0, 0.5, 0.0, 0.0)
# A window is near a cut from here on: of the evidence that pieces alone find, 19 of 20 lie in such
# windows, and of ordinary answers one in four has any.
NEAR = 4.0
MOST_QUOTES = 3  # of one kind in one text
MOST_PII = 100  # in one text
_READABLE = re.compile(rf"(?:[\u3400-\u9fff][^\u3400-\u9fff]*+){{{LEAST_CHINESE}}}")
_BATCH = 4096  # windows at a time: memory stays flat


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

    def above(self, logits: NDArray[np.float64], asked: Sequence[Span]) -> NDArray[np.float64]:
        """How far logits are above what counts as evidence, shape (spans, 5)."""
        import numpy as np

        piece = np.array([piece for _, _, piece in asked])
        above: NDArray[np.float64] = logits - self.cuts - piece[:, None] * np.array(PIECE_MARGIN)
        return above


def readable(window: str) -> bool:
    """Whether a window of a folded text holds enough Chinese for the heads to say anything."""
    return _READABLE.search(window) is not None


def find_evidence(
    texts: Sequence[Folded], heads: EvidenceHeads | None, side: Side = "response"
) -> list[tuple[Evidence, ...]]:
    """The evidence in each text, in order of its offsets into the original text.

    Args:
        texts: folded texts.
        heads: None where they can't be used; then the rules alone speak.
        side: what the texts are.
    """
    found = [list(itertools.islice(pii.find(one.text), MOST_PII)) for one in texts]
    for number, hit in _by_heads(texts, heads) if heads else ():
        found[number].append(hit)
    return [
        tuple(quote(one, hit.kind, (hit.start, hit.end), side) for hit in sorted(hits, key=_start))
        for one, hits in zip(texts, found, strict=True)
    ]


def quote(text: Folded, kind: str, span: tuple[int, int], side: Side = "response") -> Evidence:
    """Evidence from a span of a folded text, which must not be empty."""
    start, end = text.span(*span)
    return Evidence(side=side, quote=text.original[start:end], start=start, end=end, kind=kind)


def _start(found: pii.Found) -> int:
    return found.start


def _by_heads(folded: Sequence[Folded], heads: EvidenceHeads) -> Iterator[tuple[int, pii.Found]]:
    """The strongest parts of each kind in each text that reach the cut, without overlaps."""
    hits: dict[tuple[int, int], list[tuple[float, Span]]] = {}
    near: dict[int, list[Span]] = {}
    for number, span, above in _scored(folded, heads, _all_windows(folded)):
        near.setdefault(number, []).append(span)
        _note(hits, number, span, above)
    beside = ((i, piece) for i, ones in near.items() for piece in pieces_of(folded[i].text, ones))
    for number, span, above in _scored(folded, heads, beside):
        _note(hits, number, span, above)
    for (number, kind), best in hits.items():
        for _, (start, end, _) in best:
            yield number, pii.Found(KINDS[kind], start, end)


def _all_windows(folded: Sequence[Folded]) -> Iterator[tuple[int, Span]]:
    return ((i, span) for i, one in enumerate(folded) for span in windows(len(one.text)))


def _scored(
    folded: Sequence[Folded], heads: EvidenceHeads, asked: Iterator[tuple[int, Span]]
) -> Iterator[tuple[int, Span, NDArray[np.float64]]]:
    """Each part that holds enough Chinese, and how far its logits are above the cuts."""
    while batch := list(itertools.islice(asked, _BATCH)):
        texts = [folded[i].text[start:end] for i, (start, end, _) in batch]
        scores = heads.above(heads.logits(texts), [span for _, span in batch])
        for row in (scores.max(axis=1) >= -NEAR).nonzero()[0]:
            if readable(texts[row]):
                yield *batch[row], scores[row]


def _note(
    hits: dict[tuple[int, int], list[tuple[float, Span]]],
    number: int,
    span: Span,
    above: NDArray[np.float64],
) -> None:
    for kind in (above >= 0).nonzero()[0].tolist():
        _keep(hits.setdefault((number, kind), []), (float(above[kind]), span))


def _keep(best: list[tuple[float, Span]], hit: tuple[float, Span]) -> None:
    """Add a span to the best ones, unless a stronger one overlaps it."""
    start, end, _ = hit[1]
    rivals = [one for one in best if one[1][0] < end and start < one[1][1]]
    if any(other[0] >= hit[0] for other in rivals):
        return
    best[:] = sorted([*(other for other in best if other not in rivals), hit], reverse=True)
    del best[MOST_QUOTES:]
