"""Coefficients of agreement, of many k x k tables at once: pure functions of arrays."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Weighting = Literal["unweighted", "linear", "quadratic"]
WEIGHTINGS: tuple[Weighting, ...] = ("unweighted", "linear", "quadratic")
Metric = Literal["nominal", "ordinal", "interval", "ratio"]


def kappa_of(tables: ArrayLike, weighting: Weighting) -> Array:
    """Kappa of tables of counts or of shares.

    Args:
        tables: shape (..., k, k), neither side of one class alone in both annotators.
        weighting: as for `cohens_kappa`.

    Returns:
        Shape (...).
    """
    given = np.asarray(tables, float)
    ranks = np.arange(given.shape[-1])
    distance = np.abs(ranks[:, None] - ranks).astype(float)
    cost = {"unweighted": np.sign(distance), "linear": distance, "quadratic": distance**2}[
        weighting
    ]
    shares = given / given.sum(axis=(-2, -1), keepdims=True)
    first, second = shares.sum(axis=-1), shares.sum(axis=-2)
    chance = (first[..., :, None] * second[..., None, :] * cost).sum(axis=(-2, -1))
    return np.asarray(1 - (shares * cost).sum(axis=(-2, -1)) / chance)


def alpha_of(tables: ArrayLike, values: ArrayLike, metric: Metric) -> Array:
    """Alpha of tables of coincidences, without the correction for small samples.

    Args:
        tables: shape (..., k, k); symmetry is made here.
        values: shape (k,): the labels in ascending or descending order.
        metric: how far apart two labels are.

    Returns:
        Shape (...).
    """
    given = np.asarray(tables, float)
    both = (given + np.swapaxes(given, -1, -2)) / 2
    shares = both / both.sum(axis=(-2, -1), keepdims=True)
    margin = shares.sum(axis=-1)
    cost = _cost(margin, np.asarray(values, float), metric)
    chance = (margin[..., :, None] * margin[..., None, :] * cost).sum(axis=(-2, -1))
    return np.asarray(1 - (shares * cost).sum(axis=(-2, -1)) / chance)


def _cost(margin: Array, values: Array, metric: Metric) -> Array:
    """Squared distances of the labels, of shape (..., k, k); ordinal ones go by the margins."""
    one, other = values[:, None], values[None, :]
    if metric == "nominal":
        return np.asarray(one != other, float)
    if metric == "interval":
        return np.asarray((one - other) ** 2)
    if metric == "ratio":
        total = one + other
        return np.asarray(((one - other) / np.where(total == 0, 1.0, total)) ** 2)
    middle = np.cumsum(margin, axis=-1) - margin / 2
    return np.asarray((middle[..., :, None] - middle[..., None, :]) ** 2)
