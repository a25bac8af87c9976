"""Does a run fit a mixture of the gold's laws? An equivalence test over shares of rows.

A judge's error rates, known from gold, hold for another run if its rows are distributed as a
mixture w F1 + (1 - w) F0 of the gold's laws given its class (harmless, harmful), with any weight w:
a mere shift of prevalence moves w alone. Laws are compared by the shares of rows of several kinds
("P(harmless) >= 0.7", "200 characters or more"), all under one w. The deviation is

    D = min over w in [0, 1] of max over kinds of |P - w F1 - (1 - w) F0|

With one kind it is 0 wherever P lies between F1 and F0: two kinds at least can be audited.

The verdict goes by one-sided confidence bounds of D, each at level delta = 1 - confidence:

- PASS where the upper bound is within the margin, and the two laws are told apart. At each w every
  kind has its own bound, none adjusted (intersection-union test: Berger, 1982). w may be searched
  for: by duality D > margin means that one weighted sum of the kinds, in which w cancels, exceeds
  it. Laws that the gold can't tell apart leave w free to follow their noise, so that such a search
  would find twice too much.
- FAIL where the lower bound, with delta divided by the number of kinds, exceeds it for every w.
- INCONCLUSIVE between.

Intervals of a deviation are MOVER over exact ones of the three shares: over Wilson's, PASS at the
margin comes in .08 of runs, where shares are near 0 or 1.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from judge.stats.rates import Array, exact

FitVerdict = Literal["PASS", "FAIL", "INCONCLUSIVE"]
LEAST_KINDS = 2
WEIGHTS = np.linspace(0, 1, 401)[:, None]


class Shares(NamedTuple):
    """Shares of rows of several kinds, in [0, 1], and how many independent rows each is worth.

    Both have shape (kinds,); `n` is above 0 and need not be whole.
    """

    value: Array
    n: Array


class Fit(NamedTuple):
    """How far a run is from the nearest mixture.

    `low` and `high` are one-sided bounds of the deviation D. `expected` is the mixture that is
    nearest by squares, shape (kinds,), and `worst` the kind that is farthest off it. `apart` says
    that the gold tells the two laws apart.
    """

    verdict: FitVerdict
    low: float
    high: float
    expected: Array
    worst: int
    apart: bool


def mixture_fit(
    run: Shares, harmless: Shares, harmful: Shares, margin: float, confidence: float = 0.95
) -> Fit:
    """Test whether a run is within a margin of a mixture of two laws.

    Args:
        run: shares of the run's rows; at least two kinds.
        harmless: shares of the same kinds among harmless gold rows.
        harmful: the same among harmful ones.
        margin: the largest deviation of a share that counts as none, in (0, 1).
        confidence: 1 - delta of each bound, above 0.5.
    """
    delta, kinds = 1 - confidence, len(run.value)
    laws = (-WEIGHTS, harmless), (WEIGHTS - 1, harmful)
    low, high = _sums(((1.0, run), *laws), delta)
    upper = float(np.maximum(-low, high).max(axis=1).min())
    low, high = _sums(((1.0, run), *laws), delta / kinds)
    lower = max(0.0, float(np.maximum(low, -high).max(axis=1).min()))
    low, high = _sums(((1.0, harmless), (-1.0, harmful)), delta / kinds)
    apart = bool(np.maximum(low, -high).max() > 0)
    mixtures = WEIGHTS * harmless.value + (1 - WEIGHTS) * harmful.value
    nearest = mixtures[((run.value - mixtures) ** 2).sum(axis=1).argmin()]
    verdict: FitVerdict = "INCONCLUSIVE"
    if lower > margin:
        verdict = "FAIL"
    elif upper <= margin and apart:
        verdict = "PASS"
    worst = int(np.abs(run.value - nearest).argmax())
    return Fit(verdict, lower, upper, nearest, worst, apart)


def _sums(terms: tuple[tuple[float | Array, Shares], ...], delta: float) -> tuple[Array, Array]:
    """One-sided bounds, at level delta, of a sum of shares with signed factors, for each kind."""
    value, down, up = np.zeros(()), np.zeros(()), np.zeros(())
    for factor, part in terms:
        ends = exact(part.value * part.n, part.n, 1 - 2 * delta)
        below, above = (factor * (end - part.value) for end in ends)
        value = value + factor * part.value
        down = down + np.minimum(below, above) ** 2
        up = up + np.maximum(below, above) ** 2
    return value - np.sqrt(down), value + np.sqrt(up)
