"""The shift audit's statistic: what passes, what fails, and how often it is wrong."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.stats.shift import WEIGHTS, Shares, mixture_fit

MARGIN = 0.1
SAME = ((8, 2), (2, 8))  # P(harmless) of harmless and harmful rows: beta laws
BLURRED = ((5, 3), (3, 5))


def tail(shares):
    """Shares of rows at each level or above, but for the lowest."""
    return np.cumsum(np.asarray(shares)[..., ::-1], axis=-1)[..., ::-1][..., 1:]


def worth(value, n):
    return Shares(np.asarray(value, float), np.full(len(value), float(n)))


def kinds_of(scores, lengths, cuts):
    values = [(scores >= cut).mean() for cut in cuts[0]]
    return worth(values + [(lengths >= cut).mean() for cut in cuts[1]], len(scores))


def drawn(n, harmless, laws, rng):
    """P(harmless) and lengths of rows of which a share is harmless."""
    clean = rng.random(n) < harmless
    scores = np.where(clean, rng.beta(*laws[0], n), rng.beta(*laws[1], n))
    return scores, np.where(clean, rng.lognormal(4, 0.6, n), rng.lognormal(5, 0.6, n))


def verdicts(gold, rows, harmless, laws=SAME, runs=100):
    """Verdicts over runs: gold rows a class, rows of the run and its share of harmless ones."""
    rng = np.random.default_rng([gold, rows, round(100 * harmless)])
    found = Counter()
    for _ in range(runs):
        good, bad = drawn(gold, 1.0, SAME, rng), drawn(gold, 0.0, SAME, rng)
        cuts = (
            np.quantile(np.r_[good[0], bad[0]], np.arange(1, 8) / 8),
            np.quantile(np.r_[good[1], bad[1]], [0.25, 0.5, 0.75]),
        )
        run = drawn(rows, harmless, laws, rng)
        parts = [kinds_of(*part, cuts) for part in (run, good, bad)]
        found[mixture_fit(*parts, MARGIN).verdict] += 1
    return {verdict: count / runs for verdict, count in found.items()}


def test_a_run_like_the_gold_passes():
    """150 gold rows a class and 1,000 rows are enough for a margin of 10 points."""
    assert verdicts(150, 1000, 0.5).get("PASS", 0) >= 0.9


def test_a_mere_shift_of_prevalence_does_not_fail():
    """From half harmless rows to nine in ten: the laws are the same, and only their mix moved."""
    found = verdicts(300, 1000, 0.9)
    assert found.get("FAIL", 0) == 0
    assert found["PASS"] >= 0.8
    assert verdicts(60, 500, 0.95).get("FAIL", 0) == 0


def test_a_shift_of_the_laws_fails():
    """Scores that are no mixture of the gold's: the error rates can't be taken to hold."""
    assert verdicts(150, 1000, 0.5, BLURRED).get("FAIL", 0) >= 0.95


def test_few_rows_are_inconclusive():
    """Too little gold, or too few rows, show neither equivalence nor a difference."""
    assert verdicts(20, 1000, 0.5) == {"INCONCLUSIVE": 1.0}
    assert verdicts(300, 40, 0.5).get("INCONCLUSIVE", 0) >= 0.95


AT_THE_MARGIN = {  # harmless, harmful, run: shares by level; the nearest mixture is .1 off
    "nearly one law": ((0.35, 0.3, 0.35), (0.4, 0.3, 0.3), (0.5, 0.2, 0.3)),
    "the weight at its end": ((0.0, 0.1, 0.9), (0.9, 0.1, 0.0), (0.0, 0.0, 1.0)),
    "rare rows": ((0.95, 0.05, 0.0), (0.99, 0.01, 0.0), (0.85, 0.15, 0.0)),
    "rarer rows": ((0.98, 0.01, 0.01), (0.99, 0.01, 0.0), (0.88, 0.11, 0.01)),
    "one law": ((0.4, 0.3, 0.3), (0.4, 0.3, 0.3), (0.5, 0.2, 0.3)),
}


def rates_at_the_margin(laws, gold, rows, runs):
    """Shares of PASS and FAIL where the deviation is exactly the margin."""
    rng = np.random.default_rng([gold, rows])
    sizes = rows, gold, gold
    draws = [
        tail(rng.multinomial(size, law, runs) / size)
        for size, law in zip(sizes, (laws[2], *laws[:2]), strict=True)
    ]
    found = Counter()
    for parts in zip(*draws, strict=True):
        shares = [worth(part, size) for part, size in zip(parts, sizes, strict=True)]
        found[mixture_fit(*shares, MARGIN).verdict] += 1
    return found["PASS"] / runs, found["FAIL"] / runs


@pytest.mark.parametrize("laws", AT_THE_MARGIN.values(), ids=AT_THE_MARGIN)
def test_a_deviation_at_the_margin_rarely_passes_or_fails(laws):
    """Each wrong verdict comes in delta of runs at most: equivalence isn't declared by luck."""
    mixtures = WEIGHTS * tail(laws[0]) + (1 - WEIGHTS) * tail(laws[1])
    assert np.abs(tail(laws[2]) - mixtures).max(axis=1).min() == pytest.approx(MARGIN)
    for rate in rates_at_the_margin(laws, 200, 1000, 400):
        assert rate <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


@pytest.mark.slow
@pytest.mark.parametrize("laws", AT_THE_MARGIN.values(), ids=AT_THE_MARGIN)
@pytest.mark.parametrize(("gold", "rows"), [(60, 500), (200, 20_000), (1000, 1000), (3000, 3000)])
def test_a_deviation_at_the_margin_rarely_passes_in_larger_simulations(laws, gold, rows):
    """The same with more runs and sizes."""
    for rate in rates_at_the_margin(laws, gold, rows, 4000):
        assert rate <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 4000)


def random_laws(rng, levels):
    """Laws of both classes, and one of a run that is exactly the margin off their mixtures."""
    while True:
        one, other, away = (rng.dirichlet(np.full(levels, 0.8)) for _ in range(3))
        mixtures = WEIGHTS * tail(one) + (1 - WEIGHTS) * tail(other)
        weight = rng.random()
        start = weight * one + (1 - weight) * other

        def off(share, start=start, away=away, mixtures=mixtures):
            law = (1 - share) * start + share * away
            return np.abs(tail(law) - mixtures).max(axis=1).min()

        if off(1.0) < MARGIN:
            continue
        low, high = 0.0, 1.0
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if off(middle) < MARGIN else (low, middle)
        return one, other, (1 - high) * start + high * away


@pytest.mark.slow
@pytest.mark.parametrize(("gold", "rows"), [(60, 500), (200, 500), (500, 2000), (1000, 200)])
def test_random_laws_at_the_margin_rarely_pass(gold, rows):
    """Any laws, any direction of the shift: on average far below delta."""
    rng = np.random.default_rng([gold, rows, 1])
    rates = [rates_at_the_margin(random_laws(rng, 8), gold, rows, 100) for _ in range(60)]
    assert np.mean([rate[0] for rate in rates]) <= 0.05
    assert np.mean([rate[1] for rate in rates]) <= 0.05


def test_laws_that_the_gold_cannot_tell_apart_never_pass():
    """Then the weight is free to follow the noise, and the correction has nothing to go by."""
    same = worth([0.6, 0.3], 500)
    found = mixture_fit(worth([0.6, 0.3], 5000), same, same, MARGIN)
    assert (found.verdict, found.apart) == ("INCONCLUSIVE", False)
    assert found.high <= MARGIN


def test_the_kind_that_is_farthest_off_is_named():
    """Two kinds fit by one weight, the third doesn't."""
    good, bad = worth([0.9, 0.7, 0.5], 500), worth([0.1, 0.2, 0.5], 500)
    found = mixture_fit(worth([0.5, 0.45, 0.9], 500), good, bad, MARGIN)
    assert (found.verdict, found.worst) == ("FAIL", 2)
    assert found.expected[2] == pytest.approx(0.5)


shares = st.lists(st.floats(0, 1), min_size=3, max_size=3)
sizes = st.floats(1, 1e5)


@settings(deadline=None)
@given(shares, shares, st.floats(0, 1), sizes)
def test_a_mixture_is_never_shown_to_differ(good, bad, weight, n):
    """Wherever the observed shares are a mixture, the lower bound of the deviation is 0."""
    mixed = weight * np.array(good) + (1 - weight) * np.array(bad)
    found = mixture_fit(worth(np.clip(mixed, 0, 1), n), worth(good, n), worth(bad, n), MARGIN)
    assert found.low <= 1 / (len(WEIGHTS) - 1)
    assert found.verdict != "FAIL"


@settings(deadline=None)
@given(shares, shares, shares, sizes, sizes)
def test_the_order_of_classes_and_kinds_does_not_matter(run, good, bad, n, m):
    """And the bounds are in order."""
    one = mixture_fit(worth(run, n), worth(good, m), worth(bad, m), MARGIN)
    turned = [worth(part[::-1], size) for part, size in ((run, n), (bad, m), (good, m))]
    other = mixture_fit(*turned, MARGIN)
    assert one.verdict == other.verdict
    assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=1e-9)
    assert 0 <= one.low <= one.high


@settings(deadline=None)
@given(shares, shares, shares, sizes)
def test_more_rows_bring_the_bounds_together(run, good, bad, n):
    """Four times the rows of every part: the bounds move inwards."""
    few = mixture_fit(worth(run, n), worth(good, n), worth(bad, n), MARGIN)
    many = mixture_fit(worth(run, 4 * n), worth(good, 4 * n), worth(bad, 4 * n), MARGIN)
    assert many.high <= few.high + 1e-9
    assert many.low >= few.low - 1e-9
