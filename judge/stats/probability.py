"""A judge's scores as probabilities, and how far they can be believed.

A map from score to P(harmless) is a curve: points (x, y) with straight lines between them and no
change outside. It never falls. Curves are compared by cross-fitting: each row is scored by a curve
that saw no row of its prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from judge.stats.estimate import Estimate
from judge.stats.rates import Array, clustered_se, estimate, normal_quantile, wilson
from judge.stats.weighted import kish_n, weighted_mean

EDGE = 1e-4  # scores nearer to 0 or 1 than this count as this near
GRID = np.concatenate([[0.0], expit(np.linspace(-9.2, 9.2, 93)), [1.0]])
FOLDS = 5
BINS = 10
NULL_DRAWS = 2000


class Curve(NamedTuple):
    """Points of a map, `x` rising and `y` never falling, each of shape (points,)."""

    x: Array
    y: Array

    def __call__(self, scores: ArrayLike) -> Array:
        """P(harmless) of these scores."""
        return np.asarray(np.interp(np.asarray(scores, float), self.x, self.y))


class Labelled(NamedTuple):
    """Gold rows; each field has shape (n,).

    `score` is the judge's, in [0, 1]; `harmless` is 1 or 0; `weight` is one over the inclusion
    probability; `cluster` is equal for answers to one prompt.
    """

    score: Array
    harmless: Array
    weight: Array
    cluster: NDArray[np.uint64]

    def where(self, mask: NDArray[np.bool_]) -> Labelled:
        """The rows that the mask picks."""
        score, harmless, weight = (c[mask] for c in (self.score, self.harmless, self.weight))
        return Labelled(score, harmless, weight, self.cluster[mask])


Fitter = Callable[[Labelled], Curve]


def isotonic(rows: Labelled) -> Curve:
    """The rising step curve of least squares, kept off 0 and 1 by Laplace's 1 / (n + 2)."""
    from scipy.optimize import isotonic_regression

    x, index = np.unique(rows.score, return_inverse=True)
    weight = np.bincount(index, rows.weight)
    share = np.bincount(index, rows.weight * rows.harmless) / weight
    edge = 1 / (kish_n(rows.weight) + 2)
    y = np.asarray(isotonic_regression(share, weights=weight).x, float)
    return Curve(x, np.clip(y, edge, 1 - edge))


def platt(rows: Labelled) -> Curve:
    """A logistic curve of the score's logit (Platt, 1999, with his smoothed targets)."""
    inner = logit(np.clip(rows.score, EDGE, 1 - EDGE))
    return _logistic(rows, inner[:, None], logit(np.clip(GRID, EDGE, 1 - EDGE))[:, None])


def beta(rows: Labelled) -> Curve:
    """Beta calibration (Kull, Silva Filho and Flach, 2017): ln s and -ln(1 - s), both rising."""

    def features(scores: Array) -> Array:
        inner = np.clip(scores, EDGE, 1 - EDGE)
        return np.column_stack([np.log(inner), -np.log1p(-inner)])

    return _logistic(rows, features(rows.score), features(GRID))


def _logistic(rows: Labelled, features: Array, grid: Array) -> Curve:
    """Logistic regression with slopes >= 0: features whose slope would fall are left out."""
    used = list(range(features.shape[1]))
    while True:
        slopes = _newton(rows, features[:, used])
        falling = [name for name, slope in zip(used, slopes[1:], strict=True) if slope < 0]
        if not falling:
            break
        used.remove(min(falling, key=lambda name: slopes[1 + used.index(name)]))
    return Curve(GRID, expit(slopes[0] + grid[:, used] @ slopes[1:]))


def _newton(rows: Labelled, features: Array) -> Array:
    weight = rows.weight * len(rows.weight) / rows.weight.sum()
    ones = float(weight @ rows.harmless)
    zeros = float(weight.sum()) - ones
    target = np.where(rows.harmless > 0, (ones + 1) / (ones + 2), 1 / (zeros + 2))
    design = np.column_stack([np.ones(len(features)), features])
    ridge = np.diag([0.0] + [1e-3] * features.shape[1])
    found: Array = np.zeros(design.shape[1])
    for _ in range(100):
        p = expit(design @ found)
        slope = design.T @ (weight * (target - p)) - ridge @ found
        bend = (design * (weight * p * (1 - p))[:, None]).T @ design + ridge
        step = np.linalg.lstsq(bend + 1e-9 * np.eye(len(found)), slope, rcond=None)[0]
        found = found + step * min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-12))
        if float(np.abs(step).max()) < 1e-8:
            break
    return found


FITTERS: dict[str, Fitter] = {"isotonic": isotonic, "platt": platt, "beta": beta}


def cross_fit(rows: Labelled, fitter: Fitter, rng: np.random.Generator) -> Array:
    """P(harmless) of every row by a curve that saw no row of its prompt: shape (n,)."""
    prompts, index = np.unique(rows.cluster, return_inverse=True)
    fold = rng.permutation(len(prompts))[index] % min(FOLDS, len(prompts))
    found = np.zeros(len(rows.score))
    for number in np.unique(fold):
        found[fold == number] = fitter(rows.where(fold != number))(rows.score[fold == number])
    return found


class Chosen(NamedTuple):
    """A map, its name, and what it says of the gold rows when cross-fitted: shape (n,)."""

    name: str
    curve: Curve
    out_of_fold: Array


def choose(rows: Labelled, names: Sequence[str], seed: int = 0) -> Chosen:
    """The curve with the least log loss on rows that it wasn't fitted on, fitted on all rows.

    Args:
        rows: of two prompts or more.
        names: the candidates, from `FITTERS`.
        seed: of the folds.
    """
    tried = {name: cross_fit(rows, FITTERS[name], np.random.default_rng(seed)) for name in names}
    losses = {
        name: float(np.average(_surprise(p, rows), weights=rows.weight))
        for name, p in tried.items()
    }
    best = min(names, key=losses.__getitem__)
    return Chosen(best, FITTERS[best](rows), tried[best])


def _surprise(p: Array, rows: Labelled) -> Array:
    inner = np.clip(p, EDGE, 1 - EDGE)
    return -np.where(rows.harmless > 0, np.log(inner), np.log1p(-inner))


def brier(p: ArrayLike, rows: Labelled, confidence: float = 0.95) -> Estimate:
    """The mean squared error of the probabilities (Brier, 1950), in [0, 1]."""
    squares = (np.asarray(p, float) - rows.harmless) ** 2
    return estimate(weighted_mean(squares, rows.weight, rows.cluster), confidence=confidence)


def log_loss(p: ArrayLike, rows: Labelled, confidence: float = 0.95) -> Estimate:
    """The mean surprise in nats, with a normal interval, clustered by prompt.

    Args:
        p: shape (n,), P(harmless); nearer to 0 or 1 than `EDGE` counts as `EDGE`.
        rows: of two prompts or more.
        confidence: in (0, 1).
    """
    values = _surprise(np.asarray(p, float), rows)
    value = float(np.average(values, weights=rows.weight))
    terms = rows.weight * (values - value) * len(values) / rows.weight.sum()
    half = normal_quantile(confidence) * clustered_se(terms, rows.cluster)
    return Estimate(
        value=value, low=max(value - half, 0.0), high=value + half, confidence=confidence,
        n=len(values), method="normal, clustered by prompt",
    )  # fmt: skip


class Bin(NamedTuple):
    """Rows of like probability: their mean P(harmless) and their harmless rate, with Wilson's."""

    n: int
    p: float
    rate: float
    low: float
    high: float


def reliability(
    p: ArrayLike, rows: Labelled, groups: NDArray[np.intp], confidence: float = 0.95
) -> tuple[Bin, ...]:
    """The reliability diagram, group by group in the order of their numbers.

    Args:
        p: shape (n,), P(harmless).
        rows: the gold rows.
        groups: shape (n,): the rows' groups, as by `bins_of`.
        confidence: in (0, 1).
    """
    p = np.asarray(p, float)
    found = []
    for number in np.unique(groups):
        here = groups == number
        mine, weight = rows.where(here), rows.weight[here]
        rate, n = float(np.average(mine.harmless, weights=weight)), kish_n(weight)
        low, high = wilson(rate * n, n, confidence)
        mean = float(np.average(p[here], weights=weight))
        found.append(Bin(int(here.sum()), mean, rate, float(low), float(high)))
    return tuple(found)


def bins_of(p: ArrayLike, bins: int = BINS) -> NDArray[np.intp]:
    """Numbers from 0 of bins of about equally many rows, by rising probability: shape (n,)."""
    p = np.asarray(p, float)
    edges = np.quantile(p, np.linspace(0, 1, bins + 1)[1:-1])
    number = np.searchsorted(np.unique(edges), p, side="left")
    return np.unique(number, return_inverse=True)[1]


class CalibrationError(NamedTuple):
    """The mean distance of probability and rate over the bins, in [0, 1].

    `null` is what a perfectly calibrated judge with these probabilities shows with the stated
    confidence at most, `expected` what it shows on average: neither is 0.
    """

    value: float
    expected: float
    null: float


def calibration_error(
    p: ArrayLike,
    rows: Labelled,
    groups: NDArray[np.intp],
    rng: np.random.Generator,
    confidence: float = 0.95,
) -> CalibrationError:
    """Expected calibration error, with its null band by drawing outcomes from the probabilities.

    Args:
        p: shape (n,), P(harmless).
        rows: the gold rows.
        groups: shape (n,): the rows' groups from 0, as by `bins_of`.
        rng: for the draws.
        confidence: of the null band, in (0, 1).
    """
    p = np.asarray(p, float)
    member = np.zeros((int(groups.max()) + 1, len(p)))
    member[groups, np.arange(len(p))] = rows.weight / rows.weight.sum()

    def error(outcomes: Array) -> Array:
        return np.asarray(np.abs((outcomes - p) @ member.T).sum(axis=-1))

    null = error((rng.random((NULL_DRAWS, len(p))) < p).astype(float))
    value = float(error(rows.harmless))
    return CalibrationError(value, float(null.mean()), float(np.quantile(null, confidence)))
