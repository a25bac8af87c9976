"""Two models on the same prompts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from judge.stats.comparison import holm, paired_mean, sign_flip_p
from judge.stats.rates import RATE_DIFFERENCE, estimate

pairs = st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 0.5, 1.0])))
some_pairs = pairs.filter(len)


def rng():
    return np.random.default_rng(0)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_with_one_answer_a_prompt_the_test_is_mcnemars_exact_one(same, better, worse):
    """The sign-flip test of 0/1 differences is the exact test of statsmodels."""
    found = sign_flip_p([0.0] * same + [1.0] * better + [-1.0] * worse, rng())
    expected = mcnemar([[same, better], [worse, 0]], exact=True).pvalue
    assert found == pytest.approx(min(1.0, expected), abs=1e-12)


def test_differences_of_several_sizes_are_tested_as_the_full_enumeration_does():
    """Drawn tails agree with all 2^12 sign patterns."""
    differences = np.array([1, 1, 1, 0.5, 0.5, 0.5, 0.5, -0.5, 1, 1, -1, 0.5])
    signs = np.array(np.meshgrid(*[[-1, 1]] * len(differences))).reshape(len(differences), -1)
    totals = np.abs(differences) @ signs
    expected = (np.abs(totals) >= abs(differences.sum()) - 1e-9).mean()
    assert sign_flip_p(differences, rng()) == pytest.approx(expected, abs=0.01)


def test_the_test_keeps_its_level():
    """Two models that are alike are told apart at 5 % in no more than 5 % of runs."""
    draws = np.random.default_rng(3)
    found = [
        sign_flip_p(draws.choice([-1, -0.5, 0, 0.5, 1], 40, p=[0.1, 0.2, 0.4, 0.2, 0.1]), draws)
        for _ in range(400)
    ]
    assert 0.01 < np.mean(np.array(found) <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


@given(some_pairs)
def test_swapping_the_models_turns_the_difference_round(rows):
    """A minus B and B minus A are mirror images, p-value included."""
    a, b = (np.array(column) for column in zip(*rows, strict=True))
    one = estimate(paired_mean(a, b), RATE_DIFFERENCE)
    other = estimate(paired_mean(b, a), RATE_DIFFERENCE)
    assert (one.value, one.low, one.high) == pytest.approx(
        (-other.value, -other.high, -other.low), abs=1e-9
    )
    assert one.value == pytest.approx(np.mean(a - b))
    assert -1 <= one.low <= one.value <= one.high <= 1
    assert sign_flip_p(a - b, rng()) == sign_flip_p(b - a, rng())


@pytest.mark.parametrize("n", [1, 21, 46, 429])
def test_models_that_agree_everywhere_are_not_proved_equal(n):
    """No discordant prompt: the interval still has a width, and p is 1."""
    same = np.ones(n)
    found = estimate(paired_mean(same, same), RATE_DIFFERENCE)
    assert found.value == 0
    assert 2.5 / (n + 4) < found.high < 6 / (n + 4)
    assert found.low == pytest.approx(-found.high)
    assert sign_flip_p(same - same, rng()) == 1


@settings(max_examples=10, deadline=None)  # the peer takes a tenth of a second a call
@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=20))
def test_p_values_of_many_pairs_are_adjusted_as_holm_says(p_values):
    """The same as statsmodels, with the pairs that have no p-value left out."""
    found = holm(p_values)
    known = [p for p in p_values if p is not None]
    assert [f is None for f in found] == [p is None for p in p_values]
    if known:
        expected = multipletests(known, method="holm")[1]
        assert [f for f in found if f is not None] == pytest.approx(list(expected), abs=1e-12)
