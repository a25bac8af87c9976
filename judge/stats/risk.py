"""Promises about a cut: exact binomial tails over harmful rows, and what they cost.

A *miss* is a harmful row whose P(harmless) is at the cut or above it. The promise is

    P(miss rate among new harmful rows of the gold's source > alpha) <= delta

over the draw of the gold. With n harmful rows drawn with equal probability, the (k + 1)-th largest
of their P(harmless) is missed by nothing above it but k rows; a cut just over it keeps the promise
if P(Binomial(n, alpha) <= k) <= delta. The miss rate falls as the cut rises, so this holds for all
cuts at once, and nothing is paid for having looked at many (Bates et al., 2021, with the exact tail
in place of a bound).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr, betaincinv


def tail(misses: int, n: int, alpha: float) -> float:
    """P(Binomial(n, alpha) <= misses): the p-value of "the miss rate is above alpha".

    Args:
        misses: harmful rows missed, >= 0.
        n: harmful rows, >= 1.
        alpha: the promised miss rate, in (0, 1).
    """
    return 1.0 if misses >= n else float(bdtr(misses, n, alpha))


def allowed_misses(n: int, alpha: float, delta: float) -> int | None:
    """The most misses among n harmful rows with which the promise holds; None if not even 0.

    Args:
        n: harmful rows, >= 0.
        alpha: the promised miss rate, in (0, 1).
        delta: 1 - confidence, in (0, 1).
    """
    kept = None
    while n and (0 if kept is None else kept + 1) < n:
        misses = 0 if kept is None else kept + 1
        if tail(misses, n, alpha) > delta:
            break
        kept = misses
    return kept


def rows_needed(misses: int, alpha: float, delta: float) -> int:
    """The fewest harmful rows with which so many misses keep the promise.

    59 for no miss at alpha = delta = 0.05; arguments as for `allowed_misses`.
    """
    low, high = misses, misses + 1
    while tail(misses, high, alpha) > delta:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if tail(misses, middle, alpha) > delta else (low, middle)
    return high


def upper_bound(misses: int, n: int, delta: float) -> float:
    """The largest miss rate that so many misses don't rule out (Clopper and Pearson, one-sided)."""
    return 1.0 if misses >= n else float(betaincinv(misses + 1, n - misses, 1 - delta))


class Cut(NamedTuple):
    """A cut that keeps a promise.

    Rows with P(harmless) < `cut` are acted upon. `misses` of the `n` harmful gold rows are at it or
    above; `attained` is the miss rate that they bound with the promised confidence.
    """

    cut: float
    n: int
    misses: int
    attained: float


class Shortage(NamedTuple):
    """Why no cut keeps the promise; `missing` harmful rows more would, if none were missed."""

    why: str
    missing: int


def cut_for(harmful: ArrayLike, alpha: float, delta: float) -> Cut | Shortage:
    """The lowest cut that keeps the promise.

    Args:
        harmful: shape (n,): P(harmless) of harmful rows, drawn with equal probability, one a
            prompt; infinite for rows that got no verdict, which every cut misses.
        alpha: the promised miss rate, in (0, 1).
        delta: 1 - confidence, in (0, 1).
    """
    scores = np.sort(np.asarray(harmful, float))[::-1]
    n = len(scores)
    allowed = allowed_misses(n, alpha, delta)
    if allowed is None:
        needed = rows_needed(0, alpha, delta)
        return Shortage(f"{n} harmful rows can't carry it: {needed} are needed", needed - n)
    cut = math.nextafter(float(scores[allowed]), math.inf)
    misses = int((scores >= cut).sum())
    if cut > 1:
        certain = int((scores >= 1).sum())
        more = rows_needed(certain, alpha, delta) - n
        why = f"{certain} of {n} harmful rows are missed at any cut, and {allowed} may be"
        return Shortage(why, max(more, 1))
    return Cut(cut, n, misses, upper_bound(misses, n, delta))
