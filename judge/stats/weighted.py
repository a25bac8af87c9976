"""Means of rows that were drawn with unequal probability.

As in `judge.stats.rates` the interval is Wilson's with an effective n: the linearised variance of
the weighted mean over that of independent rows. Where few rows are off the nearer end it says
little, and the worst case weighs more: that the next such row has the largest weight of all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from judge.stats.rates import Mean, design_effect


def kish_n(weights: ArrayLike) -> float:
    """How many rows of equal weight these are worth: (sum w)^2 / sum w^2 (Kish, 1965)."""
    weights = np.asarray(weights, float)
    return float(weights.sum() ** 2 / (weights**2).sum()) if len(weights) else 0.0


def weighted_mean(
    values: ArrayLike,
    weights: ArrayLike,
    clusters: ArrayLike | None = None,
    largest: float | None = None,
) -> Mean:
    """The weighted mean of rows in [0, 1], with the n of independent rows that it is worth.

    Args:
        values: shape (n,), n >= 1, in [0, 1].
        weights: shape (n,), > 0: one over the rows' inclusion probabilities, up to a factor.
        clusters: shape (n,), the prompt of each row; None when each row has its own.
        largest: the largest weight of the design, where `values` are a part of its rows.
    """
    values, weights = np.asarray(values, float), np.asarray(weights, float)
    n, total = len(values), float(weights.sum())
    mean = min(float(weights @ values) / total, 1.0)  # without the last bit's rounding upwards
    terms = weights * (values - mean) / total
    heaviest = float(weights.max()) if largest is None else max(largest, float(weights.max()))
    worst, clustered = n * heaviest / total, False
    if clusters is not None:
        _, index = np.unique(np.asarray(clusters), return_inverse=True)
        sizes, sums = np.bincount(index).astype(float), np.asarray(np.bincount(index, terms), float)
        worst, clustered = worst * float((sizes**2).sum()) / n, len(sizes) < n
        terms = sums if (sums**2).sum() > (terms**2).sum() else terms
    variance = float((terms**2).sum()) * n / max(n - 1, 1)
    minority = min(int((values < 1).sum()), int((values > 0).sum()))
    effect = float(design_effect(mean, variance, n, minority, worst))
    equal = bool(np.allclose(weights, weights[0])) and not clustered
    method = "Wilson" if equal and set(np.unique(values)) <= {0.0, 1.0} else _method(clustered)
    return Mean(mean, n, n / effect, method)


def _method(clustered: bool) -> str:
    return "Wilson with effective n, weighted by the design" + (
        ", clustered by prompt" if clustered else ""
    )


def even_quantiles(
    values: ArrayLike, weights: ArrayLike, group: ArrayLike, shares: Sequence[float]
) -> NDArray[np.float64]:
    """Quantiles of an even mixture of two groups of weighted rows, each a value of some row.

    Args:
        values: shape (n,).
        weights: shape (n,), > 0.
        group: shape (n,), boolean; both groups have a row.
        shares: which quantiles, in (0, 1).
    """
    values, weights = np.asarray(values, float), np.asarray(weights, float)
    second = np.asarray(group, bool)
    even = np.where(second, weights / weights[second].sum(), weights / weights[~second].sum()) / 2
    order = np.argsort(values, kind="stable")
    places = np.searchsorted(np.cumsum(even[order]), shares)
    return np.asarray(values[order][np.minimum(places, len(values) - 1)])
