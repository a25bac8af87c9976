"""Means of money and time, and who is worth the price."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from judge.stats.amounts import mean_amount, weighted_median
from judge.stats.estimate import Missing


def test_with_a_row_a_prompt_the_interval_is_students():
    """The same as scipy's, cut off at 0 where a few rows cost nearly all."""
    values = np.random.default_rng(0).gamma(2, 0.5, 40)
    found = mean_amount(values, np.ones(40), np.arange(40))
    low, high = ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.value, found.low, found.high) == pytest.approx((values.mean(), low, high))
    assert mean_amount([0, 0, 9], np.ones(3), np.arange(3)).low == 0


def test_weights_are_rows_and_prompts_are_units():
    """A weight of three moves the mean as three rows do; rows of one prompt tell no more."""
    values, weights = np.array([1.0, 2.0, 5.0]), np.array([3.0, 1.0, 1.0])
    assert mean_amount(values, weights, np.arange(3)).value == pytest.approx(2.0)
    one = mean_amount(values, np.ones(3), np.arange(3))
    other = mean_amount(np.repeat(values, 4), np.ones(12), np.repeat(np.arange(3), 4))
    assert (other.low, other.high) == pytest.approx((one.low, one.high))
    assert isinstance(mean_amount([1.0, 2.0], np.ones(2), [7, 7]), Missing)


def test_the_median_halves_the_weight():
    """Half of the weight lies at it or below."""
    assert weighted_median([5, 1, 3], [1, 1, 1]) == 3
    assert weighted_median([5, 1, 3], [5, 1, 1]) == 5


def check_coverage(runs):
    draws, held = np.random.default_rng(1), 0
    for _ in range(runs):
        values = draws.gamma(1.0, 1.0, 100)
        found = mean_amount(values, np.ones(100), np.arange(100))
        held += found.low <= 1 <= found.high
    assert held / runs >= 0.92 - 3 * np.sqrt(0.08 * 0.92 / runs)


def test_the_interval_of_skewed_amounts_covers():
    """Exponential costs of a hundred rows: .92 and more."""
    check_coverage(400)
