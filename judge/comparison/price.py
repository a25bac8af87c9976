"""What a judge costs and how long it takes, by the rows of its run. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from judge.comparison.cells import Heard
from judge.judged import OPEN
from judge.stats.amounts import mean_amount, weighted_median
from judge.stats.estimate import Estimate, Figure, Missing

ROWS = 1000
GIVEN = "as given with --cost"


class Weights(NamedTuple):
    """What each row stands for, and its prompt: shape (n,)."""

    weight: NDArray[np.float64]
    cluster: NDArray[np.uint64]


class Price(NamedTuple):
    """USD for 1,000 rows; `free` says that no provider was asked."""

    usd: Figure
    free: bool


class Time(NamedTuple):
    """Seconds for a row: the mean, and the middle one."""

    mean: Figure
    median: float | None


def price_of(
    heard: Sequence[Heard], weights: Weights, given: float | None, confidence: float
) -> Price:
    """What 1,000 rows cost. Rows out of the cache don't tell, nor do failures without a bill.

    Args:
        heard: the judge's rows.
        weights: theirs.
        given: USD for 1,000 rows, which counts before what the run says.
        confidence: of the interval, in (0, 1).
    """
    if given is not None:
        return Price(_certain(given, len(heard), confidence, GIVEN), given == 0)
    if all(one.spent.free for one in heard):
        return Price(_certain(0.0, len(heard), confidence, "no provider is asked"), True)
    silent = sum(
        one.spent.usd is None and not one.spent.cached and one.row.category not in OPEN
        for one in heard
    )
    told = np.array([one.spent.usd is not None for one in heard], bool)
    why = None
    if silent:
        why = f"{silent} of {len(heard)} rows don't tell what they cost"
    elif not any(one.row.category not in OPEN for one, t in zip(heard, told, strict=True) if t):
        cached = sum(one.spent.cached for one in heard)
        why = f"no judged row tells what it cost ({cached} of {len(heard)} are out of the cache)"
    if why is not None:
        return Price(Missing(confidence=confidence, n=int(told.sum()), why=why), False)
    usd = ROWS * np.array([one.spent.usd or 0.0 for one in heard], float)
    found = mean_amount(usd[told], weights.weight[told], weights.cluster[told], confidence)
    return Price(found, False)


def _certain(usd: float, n: int, confidence: float, method: str) -> Figure:
    return Estimate(value=usd, low=usd, high=usd, confidence=confidence, n=n, method=method)


def time_of(heard: Sequence[Heard], weights: Weights, confidence: float) -> Time:
    """How long a row took, of the rows that tell it."""
    told = np.array([one.spent.seconds is not None for one in heard], bool)
    if not told.any():
        why = "the run doesn't tell how long its rows took"
        return Time(Missing(confidence=confidence, n=0, why=why), None)
    seconds = np.array([one.spent.seconds or 0.0 for one in heard], float)[told]
    weight, cluster = weights.weight[told], weights.cluster[told]
    mean = mean_amount(seconds, weight, cluster, confidence)
    return Time(mean, weighted_median(seconds, weight))
