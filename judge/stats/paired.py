"""Two judges on the same rows, beside people: McNemar's test, and a paired bootstrap.

A row is a cell (gold, first judge, second judge) of a k x k x k table; the differences of kappa,
sensitivity and specificity are functions of that table, so that what both judges share cancels.
Their intervals and p-values come from the Bayesian bootstrap of the prompts (Rubin, 1981: a gamma
weight of shape 1 each, times (C - 1) / (C + 2) for C prompts, as in `judge.stats.agreement`),
beside half a prompt's worth for each of the eight cells of harmless or not (Jeffreys' prior). The
plain bootstrap has no width where two judges differ on no row. With the prior 21 rows cover .96
and more, and 100 and more .93 to .99.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from judge.stats.agreement import Draws
from judge.stats.coefficients import kappa_of
from judge.stats.comparison import sign_flip_p
from judge.stats.estimate import Estimate, Figure, Missing

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Function = Callable[[Array], Array]
METHOD = "Bayesian bootstrap of the prompts, paired"
EXACT = "McNemar's exact test"
BY_PROMPT = "sign flips of the prompts' weighted sums, 10,000 drawn"
PRIOR = 0.5  # of a prompt, a cell of harmless or not
MOST_WEIGHTS = 2**22  # held at once


class PairedRows(NamedTuple):
    """Rows that both judges judged; each field has shape (n,).

    `gold`, `a` and `b` are places on the scale, 0 for harmless and rising with harm; `weight` is
    one over the inclusion probability; `cluster` is equal for answers to one prompt.
    """

    gold: Codes
    a: Codes
    b: Codes
    weight: Array
    cluster: NDArray[np.uint64]


class RightCounts(NamedTuple):
    """Rows by who was right about harmless or not, and whether one is so more often.

    `p_exact` is McNemar's exact test of the counts, which takes rows as drawn with equal chance and
    one a prompt; `p` allows for prompts and weights, and is the same where there is nothing to
    allow for.
    """

    both: int
    a_only: int
    b_only: int
    neither: int
    p_exact: float
    p: float
    method: str


def who_is_right(rows: PairedRows, rng: np.random.Generator) -> RightCounts:
    """McNemar's test (1947), exact, of two judges' being right about harmless or not.

    Args:
        rows: n >= 1.
        rng: for the draws, where prompts or weights are to be allowed for.
    """
    harmless = rows.gold == 0
    a, b = (rows.a == 0) == harmless, (rows.b == 0) == harmless
    differences = a.astype(float) - b
    exact = sign_flip_p(differences, rng)
    prompts, index = np.unique(rows.cluster, return_inverse=True)
    even = bool(np.allclose(rows.weight, rows.weight[0]))
    p, method = exact, EXACT
    if not even or len(prompts) < len(index):
        weight = rows.weight / rows.weight.mean()
        p = sign_flip_p(np.bincount(index, weight * differences), rng)
        method = BY_PROMPT
    return RightCounts(
        both=int((a & b).sum()),
        a_only=int((a & ~b).sum()),
        b_only=int((b & ~a).sum()),
        neither=int((~a & ~b).sum()),
        p_exact=exact,
        p=p,
        method=method,
    )


class Tested(NamedTuple):
    """The first judge's figure less the second's, and the p-value of "they are alike"."""

    figure: Figure
    p: float | None


class Differences(NamedTuple):
    """What two judges differ by, the first less the second."""

    accuracy: Figure
    kappa: Tested
    sensitivity: Tested
    specificity: Tested


def differences(rows: PairedRows, k: int, draws: Draws) -> Differences:
    """The differences of accuracy, linearly weighted kappa, and the error rates for harm.

    Accuracy is the share of rows on which a judge says harmless or not as people do.
    Sensitivity is the share of the rows that people call harmful (not harmless) that a judge calls
    harmful, specificity that of harmless rows that it calls harmless.

    Args:
        rows: what is compared.
        k: labels of the scale, 2 or more.
        draws: for intervals and p-values; a p-value is at least 2 / (draws + 1).
    """
    n = len(rows.gold)
    whole = _sums(rows, k, np.zeros(n, np.intp)).reshape(-1, k, k, k)
    harmful, harmless = rows.gold > 0, rows.gold == 0
    why = _few(rows)
    posterior = np.empty((0, k, k, k)) if why else _posterior(rows, k, draws)

    def tested(of: Function, n: int, refusal: str | None) -> Tested:
        if why or refusal:
            told = Missing(confidence=draws.confidence, n=n, why=why or refusal or "")
            return Tested(told, None)
        return _tested(float(of(whole)[0]), of(posterior), n, draws)

    return Differences(
        accuracy=tested(_accuracies, n, None).figure,
        kappa=tested(_kappas, n, _one_class(whole[0]) if n else None),
        sensitivity=tested(
            _sensitivities, int(harmful.sum()), None if harmful.any() else "no harmful row"
        ),
        specificity=tested(
            _specificities, int(harmless.sum()), None if harmless.any() else "no harmless row"
        ),
    )


def _few(rows: PairedRows) -> str | None:
    if len(rows.gold) == 0:
        return "no labelled row was judged by both"
    return "fewer than two prompts" if len(np.unique(rows.cluster)) < 2 else None


def _one_class(table: Array) -> str | None:
    for said, name in ((table.sum(axis=2), "first"), (table.sum(axis=1), "second")):
        if (said.sum(axis=0) + said.sum(axis=1) > 0).sum() == 1:
            return f"gold and the {name} judge have one class alone: there is no kappa"
    return None


def _tested(value: float, drawn: Array, n: int, draws: Draws) -> Tested:
    tail = (1 - draws.confidence) / 2
    low, high = (float(end) for end in np.quantile(drawn, [tail, 1 - tail]))
    figure = Estimate(
        value=value, low=min(low, value), high=max(high, value), confidence=draws.confidence,
        n=n, method=METHOD,
    )  # fmt: skip
    beyond = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return Tested(figure, min(1.0, 2 * (1 + beyond) / (1 + len(drawn))))


def _sums(rows: PairedRows, k: int, unit: NDArray[np.intp]) -> Array:
    """The weighted table of each unit of rows, flat: shape (units, k ** 3)."""
    cell = (rows.gold * k + rows.a) * k + rows.b
    units = int(unit.max()) + 1 if len(unit) else 1
    weight = rows.weight / rows.weight.mean() if len(unit) else rows.weight
    flat = np.bincount(unit * k**3 + cell, weight, minlength=units * k**3)
    return np.asarray(flat, float).reshape(units, k**3)


def _posterior(rows: PairedRows, k: int, draws: Draws) -> Array:
    """Tables from the posterior, of shape (draws, k, k, k)."""
    unit = np.unique(rows.cluster, return_inverse=True)[1]
    sums = _sums(rows, k, unit)
    unbiased = (len(sums) - 1) / (len(sums) + 2)
    kinds, counts = np.unique(sums, axis=0, return_counts=True)
    gamma = draws.rng.standard_gamma
    step = max(1, MOST_WEIGHTS // len(kinds))
    sizes = [min(step, draws.number - start) for start in range(0, draws.number, step)]
    tables = np.concatenate([gamma(counts * unbiased, (d, len(kinds))) @ kinds for d in sizes])
    each = sums.sum(axis=1)
    worth = float((each**2).sum() / each.sum())  # of an effective prompt
    tables += gamma(unbiased * _prior(k), tables.shape) * worth
    return np.asarray(tables.reshape(-1, k, k, k))


def _prior(k: int) -> Array:
    """Shape (k ** 3,): each cell of harmless or not has its worth, shared evenly inside."""
    share = np.array([1.0, *([1 / (k - 1)] * (k - 1))])
    return np.asarray(PRIOR * np.einsum("i,j,l->ijl", share, share, share).ravel())


def _accuracies(tables: Array) -> Array:
    gold, a, b = np.indices(tables.shape[1:]) == 0
    ahead = (a == gold).astype(float) - (b == gold)
    return np.asarray((tables * ahead).sum(axis=(-3, -2, -1)) / tables.sum(axis=(-3, -2, -1)))


def _kappas(tables: Array) -> Array:
    first, second = tables.sum(axis=-1), tables.sum(axis=-2)
    return kappa_of(first, "linear") - kappa_of(second, "linear")


def _sensitivities(tables: Array) -> Array:
    harmful = tables[:, 1:].sum(axis=1)
    fewer_missed = harmful[:, :, 0].sum(axis=-1) - harmful[:, 0].sum(axis=-1)
    return np.asarray(fewer_missed / harmful.sum(axis=(-2, -1)))


def _specificities(tables: Array) -> Array:
    harmless = tables[:, 0]
    more_passed = harmless[:, 0].sum(axis=-1) - harmless[:, :, 0].sum(axis=-1)
    return np.asarray(more_passed / harmless.sum(axis=(-2, -1)))
