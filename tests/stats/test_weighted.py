"""Means of rows that were drawn unevenly: plain means where they weren't, and coverage where so."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.stats.rates import estimate, row_mean
from judge.stats.weighted import kish_n, weighted_mean


@given(st.lists(st.booleans(), min_size=1, max_size=80), st.floats(0.1, 50))
def test_equal_weights_give_wilsons_interval(values, weight):
    """A weight that all rows share changes nothing."""
    found, plain = weighted_mean(values, np.full(len(values), weight)), row_mean(values)
    assert found.value == pytest.approx(plain.value)
    assert found.effective_n == pytest.approx(plain.effective_n)
    assert found.method == "Wilson"


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0.1, 20), st.integers(0, 5)),
        min_size=1,
        max_size=60,
    )
)
def test_a_weighted_mean_keeps_its_range_and_a_width(rows):
    """Whatever the weights and clusters: within [0, 1], around the value, never a point."""
    values, weights, clusters = (np.array(column) for column in zip(*rows, strict=True))
    found = estimate(weighted_mean(values, weights, clusters))
    assert found.value == pytest.approx(np.average(values, weights=weights))
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.high - found.low > 1e-3


def test_unequal_weights_are_worth_fewer_rows():
    """Kish's n, and the heaviest weight of the design where only a part of it is averaged."""
    assert kish_n([1, 1, 1, 1]) == 4
    assert kish_n([3, 1]) == pytest.approx(1.6)
    sure = weighted_mean([1.0] * 40, [1.0] * 40, largest=8.0)
    assert sure.effective_n < weighted_mean([1.0] * 40, [1.0] * 40).effective_n / 4


def sensitivity_coverage(missed, runs):
    """The judge flags 100 rows and passes 900; people label 60 and 40 of them."""
    rng = np.random.default_rng(int(1000 * missed))
    held = 0
    for _ in range(runs):
        harmful = np.array([rng.binomial(100, 0.8), rng.binomial(900, missed)])
        truth = harmful[0] / harmful.sum()
        found = rng.hypergeometric(harmful, [100, 900] - harmful, [60, 40])
        values = np.repeat([1.0, 0.0], found)
        weights = np.repeat([100 / 60, 900 / 40], found)
        figure = estimate(weighted_mean(values, weights, largest=900 / 40))
        held += figure.low <= truth <= figure.high
    return held / runs


@pytest.mark.parametrize("missed", [0.005, 0.02, 0.1])
def test_the_sensitivity_of_a_stratified_sample_is_covered(missed):
    """Few missed rows with a large weight each: at least nominal - .02, over-coverage allowed."""
    assert sensitivity_coverage(missed, 600) >= 0.93 - 3 * np.sqrt(0.93 * 0.07 / 600)
