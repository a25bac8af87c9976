"""Rates and scores with their intervals: published figures, peers, and what always holds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.proportion import proportion_confint

from judge.stats import rates
from judge.stats.estimate import Estimate

counts = st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
labels = st.lists(st.sampled_from([1, 2, 3]), min_size=1, max_size=60)
confidences = st.floats(0.5, 0.999)
PEERS = {"wilson": rates.wilson, "beta": rates.exact, "jeffreys": rates.jeffreys}


@pytest.mark.parametrize(
    ("count", "n", "low", "high"),
    [(30, 40, 0.5981, 0.8581), (78, 80, 0.9134, 0.9931), (108, 120, 0.8333, 0.9419)],
)
def test_a_rate_has_the_published_wilson_interval(count, n, low, high):
    """The reference cases of the literature come out to their four digits."""
    found = rates.rate([True] * count + [False] * (n - count))
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)
    assert (found.value, found.n, found.method) == (count / n, n, "Wilson")
    assert (found.confidence, found.target) == (0.95, "population")


@pytest.mark.parametrize("method", PEERS)
@given(case=counts, confidence=confidences)
def test_the_intervals_are_those_of_statsmodels(method, case, confidence):
    """Wilson, exact and Jeffreys agree with the field's library (Jeffreys but at the very ends)."""
    count, n = case
    low, high = PEERS[method](count, n, confidence)
    expected = proportion_confint(count, n, 1 - confidence, method=method)
    if method == "jeffreys":
        expected = (0.0 if count == 0 else expected[0], 1.0 if count == n else expected[1])
    assert (float(low), float(high)) == pytest.approx(expected, abs=1e-9)


PAIRED = np.array([1, 1, 0, 1, 0, 0, 1, 1, 1, 0], float)
PAIRS = np.repeat(np.arange(5), 2)


def test_the_clustered_standard_error_is_the_published_one():
    """Ten rows in five pairs: 0.1633 unclustered, 0.1673 clustered, 0.1871 with C / (C - 1)."""
    plain = math.sqrt(PAIRED.var(ddof=1) / len(PAIRED))
    found = rates.clustered_se(PAIRED, PAIRS)
    assert round(plain, 4) == 0.1633
    assert round(found * math.sqrt(4 / 5), 4) == 0.1673
    assert round(found, 4) == 0.1871


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 6)), min_size=3, max_size=40))
def test_the_clustered_standard_error_is_that_of_statsmodels(rows):
    """A regression on a constant with cluster-robust covariance gives the same."""
    values, clusters = (np.array(column) for column in zip(*rows, strict=True))
    if len(set(clusters.tolist())) < 2:
        clusters[0] = 99
    model = OLS(values, np.ones(len(values)))
    n, groups = len(values), len(set(clusters.tolist()))
    peer = model.fit(cov_type="cluster", cov_kwds={"groups": clusters, "use_correction": False})
    expected = peer.bse[0] * math.sqrt(groups / (groups - 1))
    assert rates.clustered_se(values, clusters) == pytest.approx(expected, abs=1e-9)
    assert n >= groups


@given(labels, confidences)
def test_an_interval_holds_its_figure_and_is_never_a_point(rows, confidence):
    """Whatever the labels: in range, around the figure, with a width, wider when surer."""
    for found, floor, top in (
        (rates.rate(np.equal(rows, 3), confidence=confidence), 0, 1),
        (rates.score(rows, confidence=confidence), 100 / 3, 100),
    ):
        assert floor - 1e-9 <= found.low <= found.value <= found.high <= top + 1e-9
        assert found.high - found.low > 1e-4
    surer = rates.score(rows, confidence=confidence + (1 - confidence) / 2)
    assert surer.low <= found.low + 1e-9
    assert surer.high >= found.high - 1e-9


@given(st.lists(st.tuples(st.sampled_from([1, 2, 3]), st.integers(0, 8)), min_size=1, max_size=50))
def test_the_order_of_rows_and_the_names_of_prompts_change_nothing(rows):
    """Shuffled rows and other prompt keys give the same figures."""
    values, clusters = (np.array(column) for column in zip(*rows, strict=True))
    found = rates.score(values, clusters)
    order = np.random.default_rng(len(rows)).permutation(len(rows))
    other = rates.score(values[order], (1000 - 7 * clusters)[order])
    assert (other.value, other.low, other.high) == pytest.approx(
        (found.value, found.low, found.high), abs=1e-9
    )


@given(st.lists(st.tuples(st.sampled_from([1, 2, 3]), st.integers(0, 8)), min_size=1, max_size=50))
def test_turning_the_scale_round_turns_the_interval_round(rows):
    """Harmless and harmful are treated alike: labels 4 - x mirror the score's interval."""
    values, clusters = (np.array(column) for column in zip(*rows, strict=True))
    found, turned = rates.score(values, clusters), rates.score(4 - values, clusters)
    whole = 400 / 3
    assert (turned.low, turned.high) == pytest.approx(
        (whole - found.high, whole - found.low), abs=1e-9
    )


@given(st.integers(2, 300).flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n))))
def test_one_more_harmless_row_moves_the_whole_interval_up(case):
    """The interval is monotone in the number of harmless rows."""
    count, n = case
    for method in PEERS.values():
        low, high = method([count, count + 1], n)
        assert low[0] <= low[1]
        assert high[0] <= high[1]


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_on_a_two_label_scale_the_score_is_the_rates_linear_map(case):
    """With 3 and 1 alone: score = 100 (1 + 2 rate) / 3, and so its interval."""
    count, n = case
    rate = rates.rate([True] * count + [False] * (n - count))
    score = rates.score([3] * count + [1] * (n - count))
    for name in ("value", "low", "high"):
        expected = 100 * (1 + 2 * getattr(rate, name)) / 3
        assert getattr(score, name) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("n", [1, 2, 21, 46, 249])
@pytest.mark.parametrize("value", [0, 1])
def test_rows_that_are_all_alike_never_give_a_certainty(n, value):
    """All harmless (or none), on one prompt each or on few: the interval keeps its width."""
    one_each = rates.rate([bool(value)] * n)
    on_few = rates.rate([bool(value)] * n, np.arange(n) // 4)
    assert one_each.high - one_each.low > 0.9 * 3.5 / (n + 4)
    assert on_few.high - on_few.low >= one_each.high - one_each.low - 1e-12


def test_answers_to_one_prompt_widen_the_interval():
    """Forty rows on ten prompts that always agree are worth ten rows."""
    clusters = np.repeat(np.arange(10), 4)
    harmless = np.repeat([True] * 6 + [False] * 4, 4)
    found, ten = rates.rate(harmless, clusters), rates.rate([True] * 6 + [False] * 4)
    assert found.n == 40
    assert found.method == "Wilson with effective n, clustered by prompt"
    assert found.low == pytest.approx(ten.low, abs=0.01)
    assert found.high == pytest.approx(ten.high, abs=0.01)


def test_one_prompt_alone_tells_no_more_than_one_row():
    """Many answers to a single prompt have the interval of one row with their mean."""
    found = rates.row_mean([1, 1, 0, 1], [7, 7, 7, 7])
    assert found.effective_n == pytest.approx(1)


def test_the_overall_figure_is_the_unweighted_mean():
    """Small dimensions count as much as large ones, and no interval leaves [0, 1]."""
    means = [rates.row_mean([1.0] * n) for n in (249, 429, 201, 46)]
    means.append(rates.row_mean([1.0] * 38 + [0.0] * 38))
    found = rates.overall(means)
    assert found.value == pytest.approx(0.9)
    assert found.n == 1001
    assert found.method == "MOVER over exact intervals"
    assert found.low < 0.9 < found.high <= 1
    all_harmless = rates.overall([rates.row_mean([1.0] * 46)] * 5)
    assert (all_harmless.value, all_harmless.high) == (1, 1)
    assert all_harmless.low < 0.98


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)), min_size=1))
def test_mover_of_one_estimate_is_its_own_interval(triples):
    """And a mean of several is narrower than the mean of their intervals."""
    low, value, high = (np.array(column) for column in zip(*map(sorted, triples), strict=True))
    alone = rates.mover([value[0]], [(low[0], high[0])], [1.0])
    assert alone == pytest.approx((low[0], high[0]))
    share = [1 / len(value)] * len(value)
    found = rates.mover(value, list(zip(low, high, strict=True)), share)
    assert found[0] >= low.mean() - 1e-9
    assert found[1] <= high.mean() + 1e-9


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_the_bounds_hold_whatever_the_unjudged_rows_are(three, two, one, unjudged):
    """Every way of labelling the unjudged rows gives a figure within the bounds."""
    judged = np.array([3] * three + [2] * two + [1] * one, float)
    if not len(judged):
        return
    share = unjudged / (len(judged) + unjudged)
    for which, worst, best, values in (
        ("rate", 0, 1, judged == 3),
        ("score", 100 / 3, 100, 100 * judged / 3),
    ):
        mean = float(values.mean())
        low, high = rates.unjudged_bounds((mean, mean), share, which)
        for extreme, bound in ((worst, low), (best, high)):
            whole = np.concatenate([values, np.full(unjudged, extreme)])
            assert bound == pytest.approx(whole.mean())


def test_a_figure_outside_of_its_interval_is_refused():
    """An estimate is checked when it is made."""
    with pytest.raises(ValidationError, match="outside"):
        Estimate(value=0.5, low=0.6, high=0.7, confidence=0.95, n=3, method="Wilson")
    with pytest.raises(ValidationError):
        Estimate(value=math.nan, low=0, high=1, confidence=0.95, n=3, method="Wilson")
