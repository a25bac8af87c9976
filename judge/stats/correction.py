"""Rates that people would give, from a judge's verdicts on all rows and people's labels on some.

Three estimators, for three ways in which the labels were come by:

- `post_stratified`: labels drawn at random within strata of this very run. Target: the run.
- `judge.stats.ppi`: the same labels, for the model on such prompts (target: population).
- `rogan_gladen` and `label_shares`: labels of other rows, whose error rates are taken to hold here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from judge.stats.estimate import Estimate, Figure, Missing, Target
from judge.stats.rates import (
    RATE,
    Array,
    Interval,
    Scale,
    exact,
    mover,
    normal_quantile,
    row_mean,
    wilson,
)

POST_STRATIFIED = "post-stratified by verdict"
OVER_SCORE, OVER_EXACT = "MOVER over score intervals", "MOVER over exact intervals"
ROGAN_GLADEN = "Rogan-Gladen (Lee et al.)"
INVERSION = "inversion of the confusion matrix"
CHANCE = "the judge is no better than chance"


class Stratum(NamedTuple):
    """A part of a run: `size` rows, of which some were labelled at random.

    `values` are the labelled rows as numbers in [0, 1], shape (n,), n <= size.
    """

    size: int
    values: Array


class Part(NamedTuple):
    """A stratum's or a whole figure's value in [0, 1], its interval and its weight in the sum.

    `exact` are the ends that hold up in a sum of many parts, where the score interval's dips add up
    (see `judge.stats.rates`).
    """

    value: float
    low: float
    high: float
    weight: float
    exact: tuple[float, float]


class Corrected(NamedTuple):
    """A figure in [0, 1] as a weighted sum of independent parts, and how many labels it goes by."""

    parts: tuple[Part, ...]
    n: int
    method: str
    target: Target = "population"


def whole(value: float, low: float, high: float, n: int, method: str) -> Corrected:
    """A figure of one part."""
    return Corrected((Part(value, low, high, 1.0, (low, high)),), n, method)


def post_stratified(strata: Sequence[Stratum], confidence: float = 0.95) -> Corrected:
    """The mean that all rows would have, had they been labelled (target: run).

    Each stratum has the score interval of its labelled rows with n_eff = n / (1 - n / N), which has
    no width once all N rows are labelled; a stratum without any label may be anything.

    Args:
        strata: together the whole run; at least one row is labelled.
        confidence: in (0, 1).
    """
    total = sum(stratum.size for stratum in strata)
    parts = tuple(_part(stratum, stratum.size / total, confidence) for stratum in strata)
    n = sum(len(stratum.values) for stratum in strata)
    return Corrected(parts, n, f"{POST_STRATIFIED}, {OVER_SCORE}", "run")


def _part(stratum: Stratum, weight: float, confidence: float) -> Part:
    n = len(stratum.values)
    if n == 0:
        return Part(0.5, 0.0, 1.0, weight, (0.0, 1.0))
    mean = row_mean(stratum.values)
    if n >= stratum.size:
        return Part(mean.value, mean.value, mean.value, weight, (mean.value, mean.value))
    worth = mean.effective_n / (1 - n / stratum.size)
    count = mean.value * worth
    low, high = _around(mean.value, wilson(count, worth, confidence))
    return Part(mean.value, low, high, weight, _around(mean.value, exact(count, worth, confidence)))


def _around(value: float, interval: Interval) -> tuple[float, float]:
    """The ends, without the last bit's rounding past the value."""
    return min(float(interval[0]), value), max(float(interval[1]), value)


def average(figures: Sequence[Corrected]) -> Corrected:
    """The unweighted mean of figures with one target: their parts, with exact ends."""
    parts = tuple(
        Part(part.value, *part.exact, part.weight / len(figures), part.exact)
        for figure in figures
        for part in figure.parts
    )
    methods = dict.fromkeys(figure.method.replace(OVER_SCORE, OVER_EXACT) for figure in figures)
    n = sum(figure.n for figure in figures)
    return Corrected(parts, n, "; ".join(methods), figures[0].target)


def combine(figure: Corrected, scale: Scale = RATE, confidence: float = 0.95) -> Estimate:
    """The figure and its interval: MOVER over its parts.

    Args:
        figure: what to print.
        scale: how.
        confidence: that of the parts.
    """
    value = sum(part.value * part.weight for part in figure.parts)
    ends = mover(
        [part.value for part in figure.parts],
        [(np.asarray(part.low), np.asarray(part.high)) for part in figure.parts],
        [part.weight for part in figure.parts],
    )
    middle, low, high = printed(value, ends, scale)
    return Estimate(
        value=middle,
        low=low,
        high=high,
        confidence=confidence,
        n=figure.n,
        method=figure.method,
        target=figure.target,
    )


def printed(value: float, interval: Interval, scale: Scale) -> tuple[float, float, float]:
    """A mean in [0, 1] and its interval on the printed scale, clipped to its range."""
    middle, low, high = (float(scale(min(max(float(v), 0.0), 1.0))) for v in (value, *interval))
    return middle, min(low, middle), max(high, middle)


class Share(NamedTuple):
    """A share in [0, 1], known from as many rows; `n` need not be whole."""

    value: float
    n: float


def rogan_gladen(
    judged: Share, specificity: Share, sensitivity: Share, confidence: float = 0.95
) -> Figure:
    """The rate behind a two-valued judge's, given its error rates (target: population).

    theta = (p + q0 - 1) / (q0 + q1 - 1) with the smoothed, shifted interval of Lee et al. (arXiv
    2511.21140). Intervals cover more than nominal. Null where the lower bound of q0 + q1 - 1 isn't
    above 0.

    Args:
        judged: p, the share that the judge calls harmless.
        specificity: q0, the share of harmful gold rows that it calls harmful.
        sensitivity: q1, the share of harmless gold rows that it calls harmless.
        confidence: in (0, 1).
    """
    p, q0, q1 = judged.value, specificity.value, sensitivity.value
    n = round(specificity.n + sensitivity.n)
    if informedness(specificity, sensitivity, confidence)[0] <= 0:
        return Missing(confidence=confidence, n=n, target="population", why=CHANCE)
    theta = min(max((p + q0 - 1) / (q0 + q1 - 1), 0.0), 1.0)
    low, high = _lee(judged, specificity, sensitivity, normal_quantile(confidence))
    value, low, high = printed(theta, (np.asarray(low), np.asarray(high)), RATE)
    return Estimate(
        value=value, low=low, high=high, confidence=confidence, n=n, method=ROGAN_GLADEN
    )


def _lee(judged: Share, specificity: Share, sensitivity: Share, z: float) -> tuple[float, float]:
    n, m0, m1 = judged.n + z**2, specificity.n + 2, sensitivity.n + 2
    p = (judged.n * judged.value + z**2 / 2) / n
    q0 = (specificity.n * specificity.value + 1) / m0
    q1 = (sensitivity.n * sensitivity.value + 1) / m1
    slope = q0 + q1 - 1
    theta = (p + q0 - 1) / slope
    of_q0, of_q1 = q0 * (1 - q0) / m0, q1 * (1 - q1) / m1
    shift = 2 * z**2 * (theta * of_q1 - (1 - theta) * of_q0)
    spread = p * (1 - p) / n + (1 - theta) ** 2 * of_q0 + theta**2 * of_q1
    half = z * np.sqrt(spread) / abs(slope)
    return theta + shift - half, theta + shift + half


def informedness(
    specificity: Share, sensitivity: Share, confidence: float = 0.95
) -> tuple[float, float]:
    """Interval of q0 + q1 - 1, which is 0 for a judge that guesses: MOVER over Wilson's."""
    shares = (specificity, sensitivity)
    if min(share.n for share in shares) <= 0:
        return -1.0, 1.0
    ends = [wilson(share.value * share.n, share.n, confidence) for share in shares]
    low, high = mover([share.value for share in shares], ends, [1.0, 1.0])
    return float(low) - 1, float(high) - 1


class LabelShares(NamedTuple):
    """The shares behind a judge's labels, as draws: shape (draws, labels), rows add up to 1.

    `value` has shape (labels,).
    """

    value: Array
    draws: Array


def label_shares(
    judged: ArrayLike, confusion: ArrayLike, rng: np.random.Generator, draws: int = 4000
) -> LabelShares | None:
    """The shares of the gold labels behind the judge's, by inversion of its confusion matrix.

    The columns of the confusion and the judge's own shares are drawn from their Dirichlet
    posteriors (counts + 1 / 2) and each draw is solved for the gold's shares; None where one draw
    in twenty has a determinant of the other sign, so that the labels don't tell the gold's apart.

    Args:
        judged: shape (labels,): rows of the run by the judge's label.
        confusion: shape (labels, labels): gold rows by the judge's label and the gold's; need not
            be whole.
        rng: for the draws.
        draws: how many.
    """
    judged, confusion = np.asarray(judged, float), np.asarray(confusion, float)
    columns = [rng.dirichlet(column + 0.5, draws) for column in confusion.T]
    matrices = np.stack(columns, axis=2)
    determinants = np.linalg.det(matrices)
    if (determinants <= 0).mean() > 0.05 or not (confusion.sum(axis=0) > 0).all():
        return None
    matrices = matrices[determinants > 0]
    shares = rng.dirichlet(judged + 0.5, len(matrices))
    solved = np.linalg.solve(matrices, shares[..., None])[..., 0]
    centre = np.linalg.lstsq(confusion / confusion.sum(axis=0), judged / judged.sum(), rcond=None)[
        0
    ]
    return LabelShares(on_simplex(centre[None])[0], on_simplex(solved))


def on_simplex(points: Array) -> Array:
    """The nearest points whose coordinates are >= 0 and add up to 1 (Duchi et al., 2008).

    Args:
        points: shape (n, k).
    """
    ordered = np.sort(points, axis=1)[:, ::-1]
    excess = (np.cumsum(ordered, axis=1) - 1) / np.arange(1, points.shape[1] + 1)
    kept = (ordered > excess).sum(axis=1)
    nearest = points - excess[np.arange(len(points)), kept - 1][:, None]
    return np.asarray(np.maximum(nearest, 0.0))


def mean_of_labels(
    shares: LabelShares, levels: ArrayLike, n: int, confidence: float = 0.95
) -> Corrected:
    """The mean of `levels` under the shares, with the interval of its draws.

    Args:
        shares: of the gold labels.
        levels: shape (labels,), each label as a number in [0, 1].
        n: gold rows behind them.
        confidence: in (0, 1).
    """
    levels = np.asarray(levels, float)
    low, high = np.quantile(shares.draws @ levels, [(1 - confidence) / 2, (1 + confidence) / 2])
    value = float(shares.value @ levels)
    return whole(value, min(float(low), value), max(float(high), value), n, INVERSION)
