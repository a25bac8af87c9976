"""How far annotators agree: observed agreement, Cohen's kappa, Krippendorff's alpha, Fleiss' kappa.

Marks are a matrix: one row for what was marked, one column an annotator, NaN where one didn't. A
row counts with two marks or more. Every coefficient is `1 - observed / expected disagreement` of a
k x k table: for kappa the counts of (first, second) annotator's marks, for alpha and Fleiss' kappa
the coincidences of all pairs of marks of a row, weighted 1 / (m - 1) for m marks.

Intervals are central ones of a posterior of that table. With two annotators it is the Dirichlet
distribution of the counts + 1 / k^2 each. With more, or with missing marks, the rows take its
place (Rubin's Bayesian bootstrap, 1981: a gamma weight of shape 1 a row), beside the same prior:
one row's worth, spread evenly over the k^2 pairs of labels. So rows that agree throughout still
tell no more than their number can.

All shapes are multiplied by (n - 1) / (n + 2), which gives the posterior the variance of an
unbiased estimate, as n - 1 does in a sample's variance. Without it 21 rows cover .90 to .92 at
kappas near one half, and with it .92 and more, .94 to .96 on average.

Rows that were drawn with unequal probabilities carry weights, 1 / inclusion. Where several rows
answer one prompt, kappa's posterior goes by prompts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from judge.stats.coefficients import WEIGHTINGS, Metric, Weighting, alpha_of, kappa_of
from judge.stats.estimate import Estimate, Figure, Missing
from judge.stats.rates import RATE, estimate, row_mean
from judge.stats.weighted import weighted_mean

Array = NDArray[np.float64]
Coefficient = Callable[[Array], Array]
POSTERIOR = "Dirichlet posterior of the table"
ROWS_POSTERIOR = "Dirichlet posterior of the rows"
DRAWS = 4000
MOST_WEIGHTS = 2**22  # held at once


@dataclass(frozen=True)
class Draws:
    """How posteriors are drawn: the generator, the intervals' confidence, the number of draws."""

    rng: np.random.Generator
    confidence: float = 0.95
    number: int = DRAWS


def confusion(marks: ArrayLike, scale: Sequence[float]) -> NDArray[np.int64]:
    """Counts of two annotators' marks.

    Args:
        marks: shape (n, 2); rows with a missing mark don't count.
        scale: the k labels, in the table's order.

    Returns:
        Shape (k, k): the first annotator's label by the second's.
    """
    codes = _codes(marks, scale)
    both = codes[(codes >= 0).all(axis=1)]
    table = np.zeros((len(scale), len(scale)), np.int64)
    np.add.at(table, (both[:, 0], both[:, 1]), 1)
    return table


def observed_agreement(
    marks: ArrayLike, weights: ArrayLike | None = None, confidence: float = 0.95
) -> Figure:
    """The share of pairs of marks that are equal: of a row's pairs, averaged over the rows.

    Args:
        marks: shape (n, annotators), NaN where there is none.
        weights: shape (n,), 1 / inclusion; None when all are equal.
        confidence: of the interval: Wilson's with an effective n.
    """
    given = np.asarray(marks, float)
    pairs = [_same(given[:, a], given[:, b]) for a, b in combinations(range(given.shape[1]), 2)]
    if not pairs or np.isnan(pairs).all():
        return Missing(confidence=confidence, n=0, why="no row has two marks")
    compared = ~np.isnan(pairs)
    counts = compared.sum(axis=0)
    used = counts > 0
    shares = np.where(compared, pairs, 0.0).sum(axis=0)[used] / counts[used]
    if weights is None:
        return estimate(row_mean(shares), RATE, confidence)
    return estimate(weighted_mean(shares, np.asarray(weights, float)[used]), RATE, confidence)


def _same(a: Array, b: Array) -> Array:
    return np.where(np.isnan(a) | np.isnan(b), np.nan, (a == b).astype(float))


def cohens_kappa(
    marks: ArrayLike,
    scale: Sequence[float],
    weighting: Weighting,
    draws: Draws,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
) -> Figure:
    """Cohen's kappa of two annotators (1960), or its weighted form (1968).

    Args:
        marks: shape (n, 2); rows with a missing mark don't count.
        scale: the k labels in order; linear and quadratic weights go by their ranks.
        weighting: of disagreements: all alike, by the distance of ranks, or by its square.
        draws: for the interval.
        weights: shape (n,), 1 / inclusion; None when all are equal.
        clusters: shape (n,), the prompt of each row; None when each row has its own.
    """
    return _figure(_crossed(marks, scale, draws, weights, clusters), _kappa(weighting))


def cohens_kappas(
    marks: ArrayLike, scale: Sequence[float], draws: Draws, weights: ArrayLike | None = None
) -> dict[Weighting, Figure]:
    """All three of `cohens_kappa`, from one set of draws: with two labels they are the same."""
    table = _crossed(marks, scale, draws, weights)
    return {weighting: _figure(table, _kappa(weighting)) for weighting in WEIGHTINGS}


def krippendorff_alpha(
    marks: ArrayLike,
    scale: Sequence[float],
    metric: Metric,
    draws: Draws,
    weights: ArrayLike | None = None,
) -> Figure:
    """Krippendorff's alpha of any number of annotators, with marks missing anywhere.

    Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), with his correction for small
    samples in the value; the interval is the population's.

    Args:
        marks: shape (n, annotators), NaN where there is none.
        scale: the k labels in order; interval and ratio metrics take them as numbers.
        metric: how far apart two labels are.
        draws: for the interval.
        weights: shape (n,), 1 / inclusion; None when all are equal.
    """
    table = _coincidences(_codes(marks, scale), len(scale), draws, weights)
    values = np.asarray(scale, float)

    def value(tables: Array) -> Array:
        return alpha_of(tables, values, metric)

    def corrected(tables: Array) -> Array:
        n = tables.sum(axis=(-2, -1))
        return np.asarray(1 - (1 - value(tables)) * (n - 1) / n)

    return _figure(table, value, corrected)


def fleiss_kappa(marks: ArrayLike, scale: Sequence[float], draws: Draws) -> Figure:
    """Fleiss' kappa (1971): as many marks on each row, no matter whose.

    Args:
        marks: shape (n, annotators), NaN where there is none.
        scale: the k labels.
        draws: for the interval.
    """
    codes = _codes(marks, scale)
    numbers = (codes >= 0).sum(axis=1)
    if len(set(numbers.tolist())) > 1:
        why = "Fleiss' kappa needs the same number of marks on each row; see alpha"
        return Missing(confidence=draws.confidence, n=len(codes), why=why)
    values = np.asarray(scale, float)
    table = _coincidences(codes, len(scale), draws, None)
    return _figure(table, lambda tables: alpha_of(tables, values, "nominal"))


def _codes(marks: ArrayLike, scale: Sequence[float]) -> NDArray[np.int64]:
    """Marks as places on the scale, -1 where there is none.

    Raises:
        ValueError: a mark isn't on the scale.
    """
    given = np.asarray(marks, float)
    hit = given[..., None] == np.asarray(scale, float)
    if (~hit.any(axis=-1) & ~np.isnan(given)).any():
        raise ValueError(f"a mark is none of {list(scale)}")
    return np.where(hit.any(axis=-1), hit.argmax(axis=-1), -1)


@dataclass(frozen=True)
class _Tables:
    """What each row adds to the table, of shape (n, k, k), its weight, and its prompt's number."""

    cells: Array
    weights: Array | None
    method: str
    draws: Draws
    prompts: NDArray[np.intp] | None = None

    @property
    def weight(self) -> Array:
        """Weights with a mean of 1."""
        n = len(self.cells)
        return np.ones(n) if self.weights is None else self.weights * (n / self.weights.sum())

    def total(self) -> Array:
        """The table of all rows."""
        return np.asarray(np.tensordot(self.weight, self.cells, 1))

    @cached_property
    def drawn(self) -> Array:
        """Tables from the posterior, of shape (draws, k, k)."""
        k = self.cells.shape[-1]
        adds, weight = self.cells.reshape(len(self.cells), -1) * self.weight[:, None], self.weight
        if self.prompts is not None:
            sums = np.zeros((int(self.prompts.max()) + 1, k**2))
            np.add.at(sums, self.prompts, adds)
            adds, weight = sums, np.asarray(np.bincount(self.prompts, weight), float)
        unbiased = (len(adds) - 1) / (len(adds) + 2)
        kinds, counts = np.unique(adds, axis=0, return_counts=True)
        step = max(1, MOST_WEIGHTS // len(kinds))
        sizes = [
            min(step, self.draws.number - start) for start in range(0, self.draws.number, step)
        ]
        gamma = self.draws.rng.standard_gamma
        tables = np.concatenate([gamma(counts * unbiased, (d, len(kinds))) @ kinds for d in sizes])
        # The prior: an effective row's (or prompt's) worth, spread over all pairs of labels.
        worth = float((weight**2).sum() / weight.sum() * self.cells.sum(axis=(1, 2)).mean())
        tables += gamma(unbiased / k**2, tables.shape) * worth
        return np.asarray(tables.reshape(-1, k, k))


def _kappa(weighting: Weighting) -> Coefficient:
    return lambda tables: kappa_of(tables, weighting)


def _crossed(
    marks: ArrayLike,
    scale: Sequence[float],
    draws: Draws,
    weights: ArrayLike | None,
    clusters: ArrayLike | None = None,
) -> _Tables:
    codes = _codes(marks, scale)
    used: NDArray[np.bool_] = np.asarray((codes >= 0).all(axis=1))
    cells = np.zeros((int(used.sum()), len(scale), len(scale)))
    cells[np.arange(len(cells)), codes[used, 0], codes[used, 1]] = 1
    prompts = None
    if clusters is not None:
        different, number = np.unique(np.asarray(clusters)[used], return_inverse=True)
        prompts = number if len(different) < len(number) else None
    return _Tables(cells, _chosen(weights, used), POSTERIOR, draws, prompts)


def _coincidences(
    codes: NDArray[np.int64], k: int, draws: Draws, weights: ArrayLike | None
) -> _Tables:
    counts = (codes[..., None] == np.arange(k)).sum(axis=1).astype(float)
    used = counts.sum(axis=1) >= 2
    mine = counts[used]
    pairs = mine[:, :, None] * mine[:, None, :] - mine[:, :, None] * np.eye(k)
    cells = pairs / (mine.sum(axis=1) - 1)[:, None, None]
    method = POSTERIOR if codes.shape[1] == 2 else ROWS_POSTERIOR
    return _Tables(cells, _chosen(weights, used), method, draws)


def _chosen(weights: ArrayLike | None, used: NDArray[np.bool_]) -> Array | None:
    return None if weights is None else np.asarray(weights, float)[used]


def _figure(table: _Tables, of: Coefficient, value: Coefficient | None = None) -> Figure:
    n, draws = len(table.cells), table.draws
    if n < 2:
        why = "fewer than two rows have two marks"
        return Missing(confidence=draws.confidence, n=n, why=why)
    if table.prompts is not None and not table.prompts.any():
        return Missing(confidence=draws.confidence, n=n, why="all rows answer one prompt")
    total = table.total()
    if (total.sum(axis=0) + total.sum(axis=1) > 0).sum() == 1:
        why = "all marks are of one class, so that nothing could have been told apart by chance"
        return Missing(confidence=draws.confidence, n=n, why=why)
    found = float((value or of)(total))
    tail = (1 - draws.confidence) / 2
    low, high = np.quantile(of(table.drawn), [tail, 1 - tail])
    return Estimate(
        value=found,
        low=min(float(low), found),
        high=max(float(high), found),
        confidence=draws.confidence,
        n=n,
        method=table.method
        + (", weighted by the design" if table.weights is not None else "")
        + (", clustered by prompt" if table.prompts is not None else ""),
    )
