"""The exact one-sided McNemar test of flips against the repeat's flips."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from judge.stats.flips import least_visible, more_often

PAIRS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(PAIRS)
def test_the_p_value_is_the_binomial_tail_of_the_discordant_rows(
    pairs: list[tuple[bool, bool]],
) -> None:
    """As scipy's binomial test has it; rows that moved under both or neither don't count."""
    changed, repeated = zip(*pairs, strict=True)
    found = more_often(changed, repeated)
    alone = sum(c and not r for c, r in pairs), sum(r and not c for c, r in pairs)
    assert (found.change_alone, found.repeat_alone, found.n) == (*alone, len(pairs))
    expected = binomtest(alone[0], sum(alone), alternative="greater").pvalue if sum(alone) else 1.0
    assert found.p == pytest.approx(expected)


@pytest.mark.parametrize("noise", [0.02, 0.2, 0.5])
def test_a_change_that_does_nothing_is_seldom_called_more(noise: float) -> None:
    """Rows differ in how noisy they are, and share prompts: still at most 5 % false alarms."""
    rng = np.random.default_rng(3)
    alarms = 0
    for _ in range(2000):
        own = np.repeat(rng.beta(noise, 1 - noise, 20), 3)
        changed, repeated = rng.random(60) < own, rng.random(60) < own
        alarms += more_often(changed, repeated).p <= 0.05
    assert alarms / 2000 <= 0.05 + 3 * (0.05 * 0.95 / 2000) ** 0.5


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 200), st.sampled_from([0.1, 0.05, 0.01]))
def test_the_least_visible_move_is_the_first_that_holm_lets_pass(tests: int, level: float) -> None:
    """One row fewer would not do."""
    d = least_visible(tests, level)
    p = more_often([True] * d, [False] * d).p
    assert p * tests <= level
    assert 2 * p * tests > level
