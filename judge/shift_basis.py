"""What a calibration keeps of its gold, so that other runs can be held against it (shift audit).

Kinds of rows, each with its share among harmless and among harmful gold rows. A kind is a measure
of a row that is at a cut or above it: of what the judge said (P(harmless), label) and of the text
that was judged (characters, share of Chinese letters).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from judge.against_gold import AgainstGold
from judge.calibration_parts import AuditBasis, AuditKind, Measure
from judge.judged import JudgedRow
from judge.stats.rates import Array
from judge.stats.weighted import even_quantiles

SCORE_CUTS = tuple(np.arange(1, 8) / 8)
LENGTH_CUTS = (0.25, 0.5, 0.75)
CHINESE_CUTS = (0.1, 0.9)
LABELS = {"3": 3.0, "2": 2.0, "not_3": 1.5, "1": 1.0}  # "not 3" is below a cut at 2, as 1 is


def measured(rows: Sequence[JudgedRow], measure: Measure) -> Array | None:
    """A measure of judged rows, shape (n,); None where a row doesn't tell it.

    Args:
        rows: with verdicts.
        measure: P(harmless) in [0, 1], the label from 1 to 3, characters of the text, or the share
            of Chinese among its letters in [0, 1].
    """
    found = [_measure(row, measure) for row in rows]
    known = [value for value in found if value is not None]
    return np.array(known, float) if len(known) == len(found) else None


def _measure(row: JudgedRow, measure: Measure) -> float | None:
    if measure == "label":
        return LABELS[row.category]
    return {"p_harmless": row.p_harmless, "length": row.length, "chinese": row.chinese}[measure]


def basis_of(gold: AgainstGold) -> AuditBasis:
    """What other runs of this judge are held against in this dimension.

    Args:
        gold: the labelled rows; those without a verdict are left out.
    """
    rows = [j.row for j, judged in zip(gold.gold.rows, gold.judged, strict=True) if judged]
    harmful = gold.harmful[gold.judged]
    kinds = [] if harmful.all() or not harmful.any() else [*_kinds(gold, rows)]
    return AuditBasis(n=len(rows), harmful=int(harmful.sum()), kinds=tuple(kinds))


def _kinds(gold: AgainstGold, rows: Sequence[JudgedRow]) -> Iterator[AuditKind]:
    for measure in ("p_harmless", "label", "length", "chinese"):
        values = measured(rows, measure)
        if values is None:
            continue
        everywhere = np.zeros(len(gold.truth))
        for cut in _cuts(gold, values, measure):
            everywhere[gold.judged] = values >= cut
            harmless = gold.mean(everywhere, gold.judged & ~gold.harmful)
            harmful = gold.mean(everywhere, gold.judged & gold.harmful)
            if harmless is not None and harmful is not None:
                yield AuditKind(
                    measure=measure,
                    cut=cut,
                    harmless=harmless.value,
                    harmless_n=harmless.effective_n,
                    harmful=harmful.value,
                    harmful_n=harmful.effective_n,
                )


def _cuts(gold: AgainstGold, values: Array, measure: Measure) -> list[float]:
    """Where rows are divided; a cut that has every gold row above it tells nothing."""
    if measure == "chinese":
        return list(CHINESE_CUTS)
    if measure == "label":
        return [3.0, 2.0] if 2 in gold.labels and 1.5 not in values else [3.0]
    harmful = gold.harmful[gold.judged]
    shares = SCORE_CUTS if measure == "p_harmless" else LENGTH_CUTS
    found = even_quantiles(values, gold.weight[gold.judged], harmful, shares)
    return [float(cut) for cut in np.unique(found) if cut > values.min()]
