"""Two models on the same prompts: paired differences, tests, and allowance for many pairs.

The unit is the prompt: a model's answers to it are averaged first, so that the difference is the
mean over prompts of what two bounded figures differ by. Its interval is that of `judge.stats.rates`
on `(1 + a - b) / 2`, which is in [0, 1]: no zero width where two models agree on every prompt.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtrc

from judge.stats.rates import Array, Mean, row_mean

DRAWS = 10_000


def paired_mean(a: ArrayLike, b: ArrayLike) -> Mean:
    """The mean of `(1 + a - b) / 2`, for `estimate` and `overall` with a `..._DIFFERENCE` scale.

    Args:
        a: shape (prompts,), in [0, 1]: the first model's mean on each prompt.
        b: the second model's, in the same order.
    """
    paired = row_mean((1 + np.asarray(a, float) - np.asarray(b, float)) / 2)
    return paired._replace(method="Wilson with effective n, paired by prompt")


def sign_flip_p(differences: ArrayLike, rng: np.random.Generator) -> float:
    """Two-sided p-value of "which model gave which answer makes no difference".

    Under it each prompt's difference may as well have the other sign. Where all differences are of
    one size this is the exact McNemar test; else the tail is drawn, 10,000 times.

    Args:
        differences: shape (prompts,).
        rng: for the draws.
    """
    differences = np.asarray(differences, float)
    sizes, counts = np.unique(np.round(np.abs(differences), 12), return_counts=True)
    sizes, counts = sizes[sizes > 0], counts[sizes > 0]
    if len(sizes) == 0:
        return 1.0
    if len(sizes) == 1:
        more = max(int((differences > 0).sum()), int((differences < 0).sum()))
        return min(1.0, 2 * float(bdtrc(more - 1, int(counts[0]), 0.5)))
    totals: Array = np.zeros(DRAWS)
    for size, count in zip(sizes, counts, strict=True):
        totals += size * (2.0 * rng.binomial(count, 0.5, DRAWS) - count)
    extreme = np.abs(totals) >= abs(differences.sum()) - 1e-9
    return (1 + int(extreme.sum())) / (1 + DRAWS)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's adjusted p-values (1979); null ones stay null and don't count."""
    order = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p))
        adjusted[place] = largest
    return adjusted
