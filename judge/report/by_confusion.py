"""Corrections of a run that has no gold of its own, by the judge's error rates elsewhere."""

from __future__ import annotations

import numpy as np

from judge.calibration_parts import Agreement
from judge.report.correction import Cell, Correction, Value
from judge.report.model import Range
from judge.stats.correction import (
    CHANCE,
    INVERSION,
    ROGAN_GLADEN,
    Share,
    label_shares,
    mean_of_labels,
    rogan_gladen,
    whole,
)
from judge.stats.estimate import Estimate
from judge.stats.rates import row_mean

SEED = 20231211


def by_confusion(cell: Cell) -> Correction:
    """Target: population. The rate by Rogan-Gladen; the score where the labels tell it."""
    found = cell.known.agreement
    rate = _rate(cell, found)
    score, bounds, method = _score(cell, found, rate)
    return Correction(
        target="population",
        estimator=ROGAN_GLADEN + method,
        rate=rate,
        score=score,
        gold=cell.known.n,
        raw=cell.raw,
        open_share=cell.open_share,
        score_range=bounds,
    )


def _rate(cell: Cell, found: Agreement) -> Value:
    harmful, harmless = found.sensitivity, found.specificity
    if not isinstance(harmful, Estimate) or not isinstance(harmless, Estimate):
        return "the gold lacks harmful or harmless rows, so that the judge's errors aren't known"
    said = [row.category == "3" for row in cell.judged]
    mean = row_mean(said, [row.cluster for row in cell.judged])
    figure = rogan_gladen(
        Share(mean.value, mean.effective_n),
        Share(harmful.value, found.sensitivity_n),
        Share(harmless.value, found.specificity_n),
        cell.confidence,
    )
    if not isinstance(figure, Estimate):
        return figure.why
    return whole(figure.value, figure.low, figure.high, cell.known.n, ROGAN_GLADEN)


def _score(cell: Cell, found: Agreement, rate: Value) -> tuple[Value, Range | None, str]:
    """The score, or why there is none; bounds for it; and the method, where it is another."""
    if isinstance(rate, str):
        return rate, None, ""
    if 2 not in cell.known.labels:
        return rate, None, ""
    labels = [str(label) for label in cell.known.labels]
    table = np.array(
        [[found.weighted.get(said, {}).get(true, 0.0) for true in labels] for said in labels]
    )
    judged = [sum(row.category == label for row in cell.judged) for label in labels]
    bounds = rate.parts[0].low, (1 + rate.parts[0].high) / 2
    if sum(judged) < len(cell.judged) or not judged[1] or not table.sum(axis=0).all():
        return "the rate alone is known of a judge that doesn't tell 2 from 1", bounds, ""
    table *= min(1.0, cell.known.design.n_eff / cell.known.n)
    shares = label_shares(judged, table, np.random.default_rng(SEED))
    if shares is None:
        return f"{CHANCE} at telling 3, 2 and 1 apart", bounds, ""
    levels = [(label - 1) / 2 for label in cell.known.labels]
    score = mean_of_labels(shares, levels, cell.known.n, cell.confidence)
    return score, None, f"; score by {INVERSION}"
