"""Corrections by the gold of this very run: post-stratified, and PPI++."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from judge.calibration import OPEN_LABEL
from judge.calibration_parts import StratumCounts
from judge.judged import OPEN
from judge.report.correction import Cell, Correction, fraction_of
from judge.stats import ppi
from judge.stats.correction import POST_STRATIFIED, Corrected, Stratum, post_stratified, whole
from judge.stats.rates import RATE

FRACTIONS = {"3": 1.0, "2": 0.5, "1": 0.0}
NOT_HARMLESS = frozenset({"2", "1", "not_3"})


def by_strata(cell: Cell) -> Correction:
    """Target: run. The labels of each stratum stand for all of its rows."""
    strata = [s for s in _merged(cell.strata) if s.labelled or s.category not in OPEN]
    labelled, rows = sum(s.labelled for s in strata), sum(s.n for s in strata)
    drawn = sum(s.n * (1 - s.labelled / s.drawn) for s in strata if s.drawn)
    rates = [Stratum(s.n, _values(s, dict.fromkeys(("2", "1"), 0.0) | {"3": 1.0})) for s in strata]
    scores = [Stratum(s.n, _values(s, FRACTIONS)) for s in strata]
    return Correction(
        target="run",
        estimator=POST_STRATIFIED,
        rate=post_stratified(rates, cell.confidence),
        score=post_stratified(scores, cell.confidence),
        gold=labelled,
        raw=cell.raw,
        open_share=1 - rows / sum(s.n for s in cell.strata),
        skipped=drawn / rows,
    )


def _values(stratum: StratumCounts, fractions: dict[str, float]) -> np.ndarray:
    return np.repeat(
        [fractions[label] for label in stratum.counts], list(stratum.counts.values())
    ).astype(float)


def _merged(strata: Sequence[StratumCounts]) -> list[StratumCounts]:
    """Strata without a label join those that are like them: not harmless, or without a verdict."""
    found: list[StratumCounts] = []
    for model in dict.fromkeys(s.model for s in strata):
        mine = [s for s in strata if s.model == model]
        for alike in (NOT_HARMLESS, OPEN):
            group = [s for s in mine if s.category in alike]
            if any(s.labelled == 0 for s in group) and any(s.labelled for s in group):
                mine = [s for s in mine if s.category not in alike] + [_joined(group)]
        found += mine
    return found


def _joined(group: Sequence[StratumCounts]) -> StratumCounts:
    counts: Counter[str] = Counter()
    for stratum in group:
        counts.update(stratum.counts)
    return group[0].model_copy(
        update={
            "n": sum(s.n for s in group),
            "drawn": sum(s.drawn for s in group),
            "counts": dict(counts),
        }
    )


def by_ppi(cell: Cell) -> Correction | None:
    """Target: population. None where a normal interval would mislead, or a row has no label."""
    harmless = [1.0 if row.category == "3" else 0.0 for row in cell.rows]
    three = 2 in cell.known.labels
    levels = [0.0 if row.category in OPEN else fraction_of(row, three) for row in cell.rows]
    rates = _rows(cell, harmless, {3: 1.0, 2: 0.0, 1: 0.0})
    scores = _rows(cell, [OPEN_LABEL if v is None else v for v in levels], {3: 1.0, 2: 0.5, 1: 0.0})
    frozen = any(s.category is None for s in cell.known.design.strata)
    if frozen or not rates.labelled.any() or ppi.wald_refusal(rates) is not None:
        return None
    return Correction(
        target="population",
        estimator=ppi.METHOD,
        rate=_part(rates, cell.confidence),
        score=_part(scores, cell.confidence),
        gold=int(rates.labelled.sum()),
        raw=cell.raw,
    )


def _rows(cell: Cell, judge: Sequence[float], values: dict[int, float]) -> ppi.PpiRows:
    gold = {j.row.key: values[j.label] for j in cell.gold if j.label is not None}
    names = [
        (row.key.model, row.category if cell.known.design.name == "stratified" else "")
        for row in cell.rows
    ]
    numbers = _numbered(names)
    return ppi.PpiRows(
        np.array(judge),
        np.array([gold.get(row.key, np.nan) for row in cell.rows]),
        np.array(numbers, np.intp),
        np.array([row.cluster for row in cell.rows], np.uint64),
    )


def _numbered(names: Iterable[object]) -> list[int]:
    seen: dict[object, int] = {}
    return [seen.setdefault(name, len(seen)) for name in names]


def _part(rows: ppi.PpiRows, confidence: float) -> Corrected:
    found = ppi.ppi_mean(rows, None, RATE, confidence)
    return whole(found.value, found.low, found.high, found.n, found.method)
