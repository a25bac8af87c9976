"""The alternative-annotator test: against its definition, its peers, and its promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_1samp
from statsmodels.stats.multitest import multipletests

from judge.stats.alt_test import (
    AltTestOptions,
    alt_test,
    benjamini_yekutieli,
    worse_p,
)
from judge.stats.estimate import Missing

NAMES = ("a", "b", "c")
GIVEN = AltTestOptions(epsilon=0.15)


def people(n, annotators=3, skill=0.8, seed=0):
    """A truth of two labels, and people who each see it with this chance."""
    rng = np.random.default_rng(seed)
    truth = rng.choice([1, 3], n)
    marks = np.where(rng.random((n, annotators)) < skill, truth[:, None], 4 - truth[:, None])
    return rng, truth.astype(float), marks.astype(float)


def test_the_shares_are_those_of_the_definition():
    """Row by row: who agrees with more of the others, ties counting for both."""
    _, truth, marks = people(60)
    marks[:7, 2] = math.nan
    found = alt_test(truth, marks, NAMES, GIVEN)
    for place, left in enumerate(found.annotators):
        others = [p for p in range(3) if p != place]
        judge, person = [], []
        for row, said in zip(marks, truth, strict=True):
            known = [row[p] for p in others if not math.isnan(row[p])]
            if math.isnan(row[place]) or not known:
                continue
            mine = np.mean([said == mark for mark in known])
            theirs = np.mean([row[place] == mark for mark in known])
            judge.append(mine >= theirs)
            person.append(theirs >= mine)
        assert left.judge_wins.value == pytest.approx(np.mean(judge))
        assert left.annotator_wins.value == pytest.approx(np.mean(person))
        differences = np.array(person, float) - np.array(judge, float)
        assert left.p == pytest.approx(ttest_1samp(differences, 0.15, alternative="less").pvalue)
    assert found.advantage == pytest.approx(
        np.mean([left.judge_wins.value for left in found.annotators])
    )
    assert [left.n for left in found.annotators] == [60, 60, 53]


def test_a_judge_that_knows_the_truth_may_stand_in_and_a_coin_may_not():
    """Against people who are right four times of five."""
    rng, truth, marks = people(200)
    good = alt_test(truth, marks, NAMES, GIVEN)
    coin = alt_test(rng.choice([1.0, 3.0], 200), marks, NAMES, GIVEN)
    assert (good.winning_rate, good.passed) == (1.0, True)
    assert (coin.winning_rate, coin.passed) == (0.0, False)
    assert good.advantage > 0.8 > coin.advantage
    assert good.epsilon == 0.15


def test_it_needs_three_annotators_with_thirty_rows_each():
    """What is missing is said; an annotator with fewer rows only counts among the others."""
    _, truth, marks = people(40, 4)
    marks[20:, 3] = math.nan
    found = alt_test(truth, marks, ("a", "b", "c", "d"), GIVEN)
    assert found.too_few == ("d",)
    assert [left.annotator for left in found.annotators] == ["a", "b", "c"]
    few = alt_test(truth[:29], marks[:29], ("a", "b", "c", "d"), GIVEN)
    two = alt_test(truth, marks[:, :2], ("a", "b"), GIVEN)
    for missing in (few, two):
        assert isinstance(missing, Missing)
        assert "30 rows" in missing.why


def test_rows_that_the_judge_left_open_do_not_count():
    """Its failures are reported elsewhere, and not taken for a label here."""
    _, truth, marks = people(60)
    truth[:10] = math.nan
    assert all(left.n == 50 for left in alt_test(truth, marks, NAMES, GIVEN).annotators)


def test_unanimous_people_and_judge_give_a_p_value_without_a_variance():
    """No difference in n rows: (1 - epsilon)^n, not a division by nought."""
    marks = np.tile([[3.0], [1.0]], (20, 3))
    found = alt_test(marks[:, 0], marks, NAMES, GIVEN)
    assert all(left.p == pytest.approx(0.85**40) for left in found.annotators)
    assert found.passed
    contrary = alt_test(4 - marks[:, 0], marks, NAMES, GIVEN)
    assert all(left.p == 1 for left in contrary.annotators)
    assert not contrary.passed


@given(st.integers(30, 200), st.floats(0.01, 0.3))
def test_the_p_value_without_a_variance_is_valid(n, epsilon):
    """All zeros are at most that likely where the mean is epsilon or more."""
    assert worse_p(np.zeros(n), epsilon) == pytest.approx((1 - epsilon) ** n)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.01, 0.3))
@settings(deadline=None)
def test_the_rejections_are_those_of_statsmodels(p_values, q):
    """Benjamini and Yekutieli's procedure."""
    assert benjamini_yekutieli(p_values, q) == multipletests(p_values, q, "fdr_by")[0].tolist()


def worst_case_passes(n, runs):
    """How often a judge passes who is just `epsilon` worse than each annotator."""
    passed = 0
    rng = np.random.default_rng(n)
    for _ in range(runs):
        # Two annotators always say 3; with the third 3 too, the judge loses a row with chance .15.
        marks = np.full((n, 3), 3.0)
        judge = np.where(rng.random(n) < 0.15, 1.0, 3.0)
        passed += alt_test(judge, marks, NAMES, GIVEN).passed
    return passed / runs


def test_a_judge_that_is_worse_by_epsilon_seldom_passes():
    """The three tests share all their rows, and yet few judges of that kind pass."""
    assert worst_case_passes(100, 300) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)
