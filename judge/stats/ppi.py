"""Prediction-powered inference for a mean, with a tuned weight of the judge and clusters.

Angelopoulos, Duchi and Zrnic (PPI++, arXiv 2311.01453), within strata: the gold rows of a stratum
give its mean, and the judge's mean on its other rows minus that on its gold rows corrects it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from judge.stats.correction import printed
from judge.stats.estimate import Estimate
from judge.stats.rates import RATE, Array, Scale, normal_quantile

METHOD = "PPI++, clustered by prompt"
LEAST_DISAGREEMENTS = 10


class PpiRows(NamedTuple):
    """A run whose gold rows were drawn at random within strata; each field has shape (n,).

    `judge` and `gold` are in [0, 1], `gold` is not a number where a row wasn't labelled; `stratum`
    numbers from 0; `cluster` is equal for answers to one prompt.
    """

    judge: Array
    gold: Array
    stratum: NDArray[np.intp]
    cluster: NDArray[np.uint64]

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Which rows people labelled."""
        return ~np.isnan(self.gold)


def wald_refusal(rows: PpiRows) -> str | None:
    """Why a normal interval would mislead here, or None.

    With under ten disagreements between judge and people it has no width in every third draw.
    """
    gold = rows.labelled
    differ = int((rows.judge[gold] != rows.gold[gold]).sum())
    if differ < LEAST_DISAGREEMENTS:
        return f"judge and people disagree on {differ} rows, fewer than {LEAST_DISAGREEMENTS}"
    if (np.bincount(rows.stratum[gold], minlength=rows.stratum.max() + 1) < 2).any():
        return "a stratum has fewer than 2 labelled rows"
    return None


class _Influence(NamedTuple):
    """The estimate as `value + lam * shift`, and what each row adds to its error likewise."""

    value: float
    shift: float
    of_value: Array
    of_shift: Array
    covariance: float
    variance: float


def _influence(rows: PpiRows) -> _Influence:
    n, gold = len(rows.judge), rows.labelled
    of_value, of_shift = np.zeros(n), np.zeros(n)
    value = shift = covariance = variance = 0.0
    for number in range(int(rows.stratum.max()) + 1):
        here = rows.stratum == number
        mine, rest = np.flatnonzero(here & gold), np.flatnonzero(here & ~gold)
        share, few, many = here.sum() / n, len(mine), len(rest)
        f, y, g = rows.judge[mine], rows.gold[mine], rows.judge[rest]
        step = float(g.mean() - f.mean()) if many else 0.0
        value, shift = value + share * float(y.mean()), shift + share * step
        of_value[mine] = share * (y - y.mean()) / few
        of_value[here] += y.mean() / n
        if many:
            of_shift[mine] = -share * (f - f.mean()) / few
            of_shift[rest] = share * (g - g.mean()) / many
            of_shift[here] += step / n
            covariance += share**2 * float(((y - y.mean()) * (f - f.mean())).mean()) / few
            variance += share**2 * float(rows.judge[here].var()) * (1 / few + 1 / many)
    return _Influence(
        value, shift, of_value - value / n, of_shift - shift / n, covariance, variance
    )


def ppi_mean(
    rows: PpiRows, lam: float | None = None, scale: Scale = RATE, confidence: float = 0.95
) -> Estimate:
    """The mean for the model on such prompts (target: population).

    Args:
        rows: the run; every stratum has a labelled row. See `wald_refusal` first.
        lam: the judge's weight in [0, 1]; tuned to the least variance where None.
        scale: how the mean is printed.
        confidence: in (0, 1).
    """
    found = _influence(rows)
    if lam is None:
        lam = found.covariance / found.variance if found.variance > 0 else 0.0
        lam = min(max(lam, 0.0), 1.0)
    value = found.value + lam * found.shift
    _, index = np.unique(rows.cluster, return_inverse=True)
    sums = np.bincount(index, found.of_value + lam * found.of_shift)
    half = normal_quantile(confidence) * float(np.sqrt((sums**2).sum()))
    interval = np.asarray(value - half), np.asarray(value + half)
    middle, low, high = printed(value, interval, scale)
    n = int(rows.labelled.sum())
    return Estimate(value=middle, low=low, high=high, confidence=confidence, n=n, method=METHOD)
