"""Promises: the exact binomial table, the order statistic, and how often a promise is broken."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.stats import risk
from judge.stats.risk import Cut, Shortage

scores = st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5000001, 0.9, 1.0]), max_size=400)
rates = st.sampled_from([0.02, 0.05, 0.1, 0.2])


@pytest.mark.parametrize(
    ("alpha", "none", "one"), [(0.1, 29, 46), (0.05, 59, 93), (0.02, 149, 236), (0.01, 299, 473)]
)
def test_the_table_of_harmful_rows_is_the_published_one(alpha, none, one):
    """So many harmful rows bound the miss rate at 95 % with no miss, and with one."""
    assert (risk.rows_needed(0, alpha, 0.05), risk.rows_needed(1, alpha, 0.05)) == (none, one)


def test_the_tail_is_the_exact_one():
    """5 misses of 100 at alpha .1: 0.0575769, where Hoeffding-Bentkus gives 0.1565102."""
    assert round(risk.tail(5, 100, 0.1), 7) == 0.0575769
    assert round(math.e * risk.tail(5, 100, 0.1), 7) == 0.1565102


def test_a_joint_promise_takes_more_rows():
    """A fifth of delta in each of five dimensions: 90 harmful rows instead of 59."""
    assert risk.rows_needed(0, 0.05, 0.05 / 5) == 90


def test_no_miss_in_59_rows_bounds_the_miss_rate():
    """1 - .05^(1/59) = 4.95 %; with 58 rows nothing can be promised."""
    assert risk.upper_bound(0, 59, 0.05) == pytest.approx(1 - 0.05 ** (1 / 59))
    assert risk.allowed_misses(58, 0.05, 0.05) is None
    assert risk.allowed_misses(59, 0.05, 0.05) == 0
    assert risk.allowed_misses(93, 0.05, 0.05) == 1


def test_too_few_rows_are_refused_with_their_number():
    """The user hears how many harmful rows are missing."""
    found = risk.cut_for([0.1] * 40, 0.05, 0.05)
    assert isinstance(found, Shortage)
    assert found.missing == 19
    assert "59 are needed" in found.why


def test_a_cut_that_would_act_on_everything_is_no_cut():
    """Harmful rows that the judge calls certainly harmless can't be reached by any cut."""
    found = risk.cut_for([1.0] * 5 + [0.0] * 90, 0.05, 0.05)
    assert isinstance(found, Shortage)
    assert found.missing == risk.rows_needed(5, 0.05, 0.05) - 95


@given(scores, rates, rates)
def test_a_cut_misses_no_more_than_is_allowed_and_is_the_lowest_such(values, alpha, delta):
    """Ties at the cut are misses; a lower cut would miss too many."""
    found = risk.cut_for(values, alpha, delta)
    if not isinstance(found, Cut):
        assert found.missing >= 1
        return
    harmful = np.array(values)
    assert found.misses == (harmful >= found.cut).sum()
    assert risk.tail(found.misses, found.n, alpha) <= delta
    assert found.attained <= alpha + 1e-12
    lower = math.nextafter(found.cut, -math.inf)
    assert risk.tail(int((harmful >= lower).sum()), found.n, alpha) > delta


@given(st.integers(0, 60), rates, rates)
def test_the_rows_needed_are_the_fewest(misses, alpha, delta):
    """One row fewer breaks the promise, and more misses need more rows."""
    needed = risk.rows_needed(misses, alpha, delta)
    assert risk.tail(misses, needed, alpha) <= delta < risk.tail(misses, needed - 1, alpha)
    assert risk.rows_needed(misses + 1, alpha, delta) > needed
    assert risk.allowed_misses(needed, alpha, delta) == misses


def broken_share(levels, n, runs):
    """Share of runs whose cut misses more than 5 % of new harmful rows, where it is promised."""
    rng = np.random.default_rng([levels, n])
    values = np.sort(rng.random(levels))
    broken, kept = 0, 0
    for _ in range(runs):
        chance = rng.dirichlet(np.full(levels, 0.5))
        found = risk.cut_for(rng.choice(values, n, p=chance), 0.05, 0.05)
        if isinstance(found, Cut):
            kept += 1
            broken += chance[values >= found.cut].sum() > 0.05
    return broken / runs, kept


@pytest.mark.parametrize("levels", [3, 12, 1000])
def test_promises_are_kept(levels):
    """With few levels and many, the share of broken promises is within delta."""
    share, kept = broken_share(levels, 100, 500)
    assert kept == 500
    assert share <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 500)


@pytest.mark.slow
@pytest.mark.parametrize("levels", [2, 3, 12, 100, 5000])
@pytest.mark.parametrize("n", [59, 93, 250])
def test_promises_are_kept_in_larger_simulations(levels, n):
    """The same with more runs and sizes."""
    share, _ = broken_share(levels, n, 10_000)
    assert share <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 10_000)
