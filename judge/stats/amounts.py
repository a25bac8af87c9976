"""Means of amounts without an upper end, as money and time, of rows drawn by a design."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from judge.stats.estimate import Estimate, Figure, Missing
from judge.stats.rates import clustered_se

METHOD = "t, clustered by prompt, weighted by the design"


def mean_amount(
    values: ArrayLike, weights: ArrayLike, clusters: ArrayLike, confidence: float = 0.95
) -> Figure:
    """The weighted mean with Student's interval over prompts, cut off at 0.

    Args:
        values: shape (n,), >= 0.
        weights: shape (n,), one over the inclusion probability.
        clusters: shape (n,), the prompt of each row.
        confidence: in (0, 1).
    """
    values, weights = np.asarray(values, float), np.asarray(weights, float)
    prompts = len(np.unique(np.asarray(clusters)))
    if prompts < 2:
        return Missing(confidence=confidence, n=len(values), why="fewer than two prompts")
    mean = float(np.average(values, weights=weights))
    terms = weights * (values - mean) * len(values) / weights.sum()
    half = float(stdtrit(prompts - 1, (1 + confidence) / 2)) * clustered_se(terms, clusters)
    return Estimate(
        value=mean, low=max(mean - half, 0.0), high=mean + half, confidence=confidence,
        n=len(values), method=METHOD,
    )  # fmt: skip


def weighted_median(values: ArrayLike, weights: ArrayLike) -> float:
    """The value that half of the weight lies at or below.

    Args:
        values: shape (n,), n >= 1.
        weights: shape (n,), > 0.
    """
    values, weights = np.asarray(values, float), np.asarray(weights, float)
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])
