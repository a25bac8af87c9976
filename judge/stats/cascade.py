"""The doubt band of a cascade: lined up on one part of the gold, tested on the other.

A cascade keeps the cheap judge's verdict where its P(harmless) is outside of the band, and asks the
strong judge where it is inside, or where the cheap one says nothing. Beside the strong judge alone
a row can get worse (the cheap judge is wrong where the strong one is right) or better; the gain is
the difference of the two shares, and a loss is a gain below 0.

Pareto testing (Laufer-Goldshtein et al., arXiv 2210.07913). On one half of the prompts the bands
are lined up from the safest to the one that saves most. On the other half they are tested in that
order, each at the full level, up to the first whose loss is not shown to be within the margin; the
last one before it is given. The order was fixed without the rows of the tests, so that the chance
of giving a band that loses more than the margin is at most (1 - confidence) / 2.

The test is the lower end of an interval: MOVER over exact intervals of the two shares. Being that
of the last band to pass, the interval of the band that is given covers .92 to .99.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations_with_replacement
from math import ceil, log, log1p, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from judge.stats.estimate import Estimate
from judge.stats.rates import Array, Mean, exact, mover, normal_quantile
from judge.stats.weighted import weighted_mean

Band = tuple[float, float]
Mask = NDArray[np.bool_]
EDGES = 20  # quantiles of the cheap judge's P that a band may begin or end at
DIGITS = 4  # of a band's edges
LEAST_SAVED = 1e-9
METHOD = "MOVER over exact intervals, paired, clustered by prompt"


class Steps(NamedTuple):
    """Gold rows that both judges were asked about; each field has shape (n,).

    `p` is the cheap judge's P(harmless), not a number where it gave none or no label; `*_right` say
    whether the verdict is that of people (no verdict is not right); `*_cost` is what asking costs;
    `weight` is one over the inclusion probability, `cluster` equal for answers to one prompt.
    """

    p: Array
    cheap_right: Mask
    strong_right: Mask
    cheap_cost: Array
    strong_cost: Array
    weight: Array
    cluster: NDArray[np.uint64]

    def where(self, mask: Mask) -> Steps:
        """The rows that the mask picks."""
        p, cheap, strong = self.p[mask], self.cheap_right[mask], self.strong_right[mask]
        costs = self.cheap_cost[mask], self.strong_cost[mask]
        return Steps(p, cheap, strong, *costs, self.weight[mask], self.cluster[mask])

    def going_up(self, band: Band) -> Mask:
        """The rows that the strong judge is asked about, as `CascadeJudge` does it."""
        with np.errstate(invalid="ignore"):
            inside = (band[0] < self.p) & (self.p < band[1])
        return np.asarray(np.isnan(self.p) | inside)

    def right(self, band: Band) -> Mask:
        """Whether the cascade's verdict is that of people."""
        return np.where(self.going_up(band), self.strong_right, self.cheap_right)

    def spent(self, band: Band) -> Array:
        """What the cascade costs on each row."""
        up = np.where(self.going_up(band), self.strong_cost, 0.0)
        return np.asarray(self.cheap_cost + up)


def halves(cluster: NDArray[np.uint64], rng: np.random.Generator) -> Mask:
    """A random half of the prompts: True for the rows on which bands are lined up."""
    prompts, index = np.unique(cluster, return_inverse=True)
    return np.asarray((rng.permutation(len(prompts)) < len(prompts) // 2)[index])


class _Moved(NamedTuple):
    """The shares of rows that get better and worse than with the strong judge alone."""

    better: Mean
    worse: Mean

    @classmethod
    def of(cls, steps: Steps, band: Band) -> _Moved:
        kept = ~steps.going_up(band)
        better = kept & steps.cheap_right & ~steps.strong_right
        worse = kept & ~steps.cheap_right & steps.strong_right
        return cls(*(weighted_mean(m, steps.weight, steps.cluster) for m in (better, worse)))

    def gain(self, confidence: float, scale: float = 1.0) -> tuple[float, float, float]:
        """The gain with its interval, were there `scale` times as many rows."""
        better, worse = (
            exact(m.value * m.effective_n * scale, m.effective_n * scale, confidence) for m in self
        )
        values = self.better.value, -self.worse.value
        low, high = mover(values, (better, (-worse[1], -worse[0])), (1.0, 1.0))
        return sum(values), float(low), float(high)


def gain(steps: Steps, band: Band, confidence: float = 0.95) -> Estimate:
    """How much more often the cascade is right than the strong judge alone, in [-1, 1].

    Args:
        steps: n >= 1 rows.
        band: of the cascade.
        confidence: in (0, 1).
    """
    value, low, high = _Moved.of(steps, band).gain(confidence)
    return Estimate(
        value=value, low=max(low, -1.0), high=min(high, 1.0), confidence=confidence,
        n=len(steps.p), method=METHOD,
    )  # fmt: skip


class Candidate(NamedTuple):
    """A band, the share of the strong judge's cost that it saves, the chance that it will pass."""

    band: Band
    saves: float
    chance: float


def line_up(
    steps: Steps, margin: float, scale: float, confidence: float = 0.95
) -> tuple[Candidate, ...]:
    """The bands that no other beats both in safety and in what it saves, the safest first.

    Args:
        steps: the rows to go by.
        margin: the loss that is allowed, in (0, 1).
        scale: rows of the tests, over these rows.
        confidence: of the tests' intervals, in (0, 1).
    """
    alone = float(np.average(steps.strong_cost, weights=steps.weight))
    found: list[Candidate] = []
    for band in _bands(steps.p):
        cost = float(np.average(steps.spent(band), weights=steps.weight))
        if cost < alone * (1 - LEAST_SAVED):
            chance = _chance(steps, band, (margin, scale, confidence))
            found.append(Candidate(band, 1 - cost / alone, chance))
    front: list[Candidate] = []
    for one in sorted(found, key=lambda c: (-c.chance, -c.saves)):
        if not front or one.saves > front[-1].saves + LEAST_SAVED:
            front.append(one)
    return tuple(front)


def last_to_pass(
    steps: Steps, bands: Iterable[Band], margin: float, confidence: float = 0.95
) -> Band | None:
    """The last band before the first whose loss isn't shown to be within the margin.

    Args:
        steps: rows that had no part in the order of the bands.
        bands: in the order in which they are tested.
        margin: the loss that is allowed, in (0, 1).
        confidence: of the intervals, in (0, 1).
    """
    passed = None
    for band in bands:
        if gain(steps, band, confidence).low < -margin:
            break
        passed = band
    return passed


def _bands(p: Array) -> Iterator[Band]:
    known = p[~np.isnan(p)]
    cuts = np.quantile(known, np.linspace(0, 1, EDGES + 1)) if len(known) else np.zeros(0)
    edges = np.unique(np.concatenate([[0.0, 1.0], np.round(cuts, DIGITS)]))
    return combinations_with_replacement(edges.tolist(), 2)


def _chance(steps: Steps, band: Band, tests: tuple[float, float, float]) -> float:
    """The chance that other rows, `scale` times as many, will show the loss within the margin."""
    margin, scale, confidence = tests
    moved = _Moved.of(steps, band)
    value, low, _ = moved.gain(confidence, scale)
    here = moved.gain(confidence)
    spread = sqrt((value - low) ** 2 + (here[0] - here[1]) ** 2) / normal_quantile(confidence)
    return float(ndtr((low + margin) / spread))


def rows_needed(margin: float, confidence: float = 0.95) -> int:
    """The fewest rows of the tests on which a cascade that never differs would pass.

    Args:
        margin: the loss that is allowed, in (0, 1).
        confidence: of the interval, in (0, 1).
    """
    return ceil(log((1 - confidence) / 2) / log1p(-margin))
