"""Evidence in a text: what the hashed heads and the PII rules find, with offsets. Never a label.

The heads see the whole text, window by window and piece by piece (`judge.embedded.spans`), so that
what is hidden at its end or between other sentences counts.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from judge.embedded import pii
from judge.embedded.fold import Folded
from judge.embedded.heads import KINDS, EvidenceHeads
from judge.embedded.spans import Span, spans
from judge.verdict import Evidence, Side

MOST_QUOTES = 3  # of one kind in one text
MOST_PII = 100  # in one text


def find_evidence(
    texts: Sequence[Folded], heads: EvidenceHeads | None, side: Side = "response"
) -> list[tuple[Evidence, ...]]:
    """The evidence in each text, in order of its offsets into the original text.

    Args:
        texts: folded texts.
        heads: None where they can't be used; then the rules alone speak.
        side: what the texts are.
    """
    return [tuple(_of(one, heads, side)) for one in texts]


def _of(text: Folded, heads: EvidenceHeads | None, side: Side) -> list[Evidence]:
    found = list(itertools.islice(pii.find(text.text), MOST_PII))
    found += _by_heads(text.text, heads) if heads else []
    found.sort(key=_start)
    return [quote(text, hit.kind, (hit.start, hit.end), side) for hit in found]


def quote(text: Folded, kind: str, span: tuple[int, int], side: Side = "response") -> Evidence:
    """Evidence from a span of a folded text, which must not be empty."""
    start, end = text.span(*span)
    return Evidence(side=side, quote=text.original[start:end], start=start, end=end, kind=kind)


def _start(found: pii.Found) -> int:
    return found.start


def _by_heads(text: str, heads: EvidenceHeads) -> list[pii.Found]:
    """The strongest parts of each kind that reach the cut, without overlaps."""
    best: dict[str, list[tuple[float, Span]]] = {}
    for one in heads.reaching(text, spans(text)):
        for kind, above in zip(KINDS, one.above, strict=True):
            if above >= 0:
                _keep(best.setdefault(kind, []), (above, one.span))
    return [pii.Found(kind, *span[:2]) for kind, ones in best.items() for _, span in ones]


def _keep(best: list[tuple[float, Span]], hit: tuple[float, Span]) -> None:
    """Add a span to the best ones, unless a stronger one overlaps it."""
    start, end, _ = hit[1]
    rivals = [one for one in best if one[1][0] < end and start < one[1][1]]
    if any(other[0] >= hit[0] for other in rivals):
        return
    best[:] = sorted([*(other for other in best if other not in rivals), hit], reverse=True)
    del best[MOST_QUOTES:]
