"""Corrected rates: published figures, what always holds, and how often they hold the truth.

The standard for coverage is that of `test_coverage`: within .02 of nominal on average and .92 at
every truth; with fewer than ten expected disagreements, or by Rogan-Gladen, from below only.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.stats import correction, ppi
from judge.stats.correction import (
    Corrected,
    Share,
    Stratum,
    average,
    combine,
    post_stratified,
    rogan_gladen,
)
from judge.stats.estimate import Estimate
from judge.stats.rates import SCORE

JUDGES = {"good": (0.95, 0.97), "excellent": (0.99, 0.99), "fair": (0.8, 0.9), "poor": (0.6, 0.7)}
RATES = (0.05, 0.2, 0.5, 0.8, 0.9, 0.95)


def allowed(standard, runs):
    """The standard, less three standard errors of a simulation of so many runs."""
    return standard - 3 * np.sqrt(standard * (1 - standard) / runs)


@pytest.mark.parametrize(
    ("judged", "specificity", "sensitivity", "value", "low", "high"),
    [
        (Share(0.4, 1000), Share(0.7, 200), Share(0.9, 200), 0.1667, 0.0564, 0.2627),
        (Share(0.8, 400), Share(30 / 40, 40), Share(78 / 80, 80), 0.7586, 0.6729, 0.8414),
    ],
)
def test_rogan_gladen_gives_the_published_figures(
    judged, specificity, sensitivity, value, low, high
):
    """Value and interval of Lee et al., to their four digits."""
    found = rogan_gladen(judged, specificity, sensitivity)
    assert (round(found.value, 4), round(found.low, 4), round(found.high, 4)) == (value, low, high)
    assert (found.target, found.method) == ("population", "Rogan-Gladen (Lee et al.)")


@pytest.mark.parametrize("rates", [(0.5, 0.5), (0.3, 0.4), (0.55, 0.52)])
def test_a_judge_no_better_than_chance_gives_no_number(rates):
    """Where q0 + q1 - 1 may be 0, there is a reason instead of a rate."""
    found = rogan_gladen(Share(0.4, 300), Share(rates[0], 40), Share(rates[1], 40))
    assert found.value is None
    assert found.why == "the judge is no better than chance"


def published_rows():
    """Gold 30 of 40 and 78 of 80 rightly judged, and 320 of 400 other rows judged harmless."""
    gold = np.r_[np.zeros(40), np.ones(80), np.full(400, np.nan)]
    judge = np.r_[np.zeros(30), np.ones(10), np.ones(78), np.zeros(2), np.ones(320), np.zeros(80)]
    return ppi.PpiRows(judge, gold, np.zeros(520, np.intp), np.arange(520, dtype=np.uint64))


@pytest.mark.parametrize(
    ("lam", "expected"), [(1.0, (0.7333, 0.6655, 0.8011)), (None, (0.7155, 0.6543, 0.7766))]
)
def test_ppi_gives_the_figures_of_ppi_python(lam, expected):
    """With the whole of the judge's weight, and with the tuned one."""
    found = ppi.ppi_mean(published_rows(), lam)
    assert (found.value, found.low, found.high) == pytest.approx(expected, abs=2e-4)


def test_ppi_is_refused_with_few_disagreements():
    """A normal interval would have no width: under ten disagreements it isn't made."""
    rows = published_rows()
    assert ppi.wald_refusal(rows) is None
    same = rows._replace(judge=np.where(rows.labelled, rows.gold, rows.judge))
    assert "disagree on 0 rows" in ppi.wald_refusal(same)


def test_answers_to_one_prompt_widen_the_ppi_interval():
    """Four answers a prompt that agree are worth about one."""
    rows = published_rows()
    order = np.lexsort((rows.judge, np.nan_to_num(rows.gold, nan=2.0)))
    alike = ppi.PpiRows(*(column[order] for column in rows))
    clustered = alike._replace(cluster=(np.arange(520) // 4).astype(np.uint64))
    wide, narrow = ppi.ppi_mean(clustered), ppi.ppi_mean(alike)
    assert wide.value == pytest.approx(narrow.value)
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


strata = st.lists(
    st.integers(1, 60).flatmap(
        lambda size: st.tuples(
            st.just(size), st.lists(st.sampled_from([0.0, 0.5, 1.0]), max_size=size)
        )
    ),
    min_size=1,
    max_size=5,
)


@given(strata)
def test_a_corrected_figure_stays_in_its_range_and_keeps_a_width(parts):
    """Whatever the labels: a value within its interval, and no width only once all is labelled."""
    made = [Stratum(size, np.array(values)) for size, values in parts]
    found = combine(post_stratified(made))
    assert 0 <= found.low <= found.value <= found.high <= 1
    whole = all(len(values) == size for size, values in parts)
    assert (found.high - found.low < 1e-12) is whole
    score = combine(post_stratified(made), SCORE)
    assert score.value == pytest.approx(100 * (1 + 2 * found.value) / 3)
    assert (found.target, found.n) == ("run", sum(len(values) for _, values in parts))


def test_a_run_that_is_all_labelled_has_its_own_rate():
    """Nothing is left to be uncertain about."""
    found = combine(post_stratified([Stratum(3, np.array([1.0, 1, 0])), Stratum(1, np.ones(1))]))
    assert (found.low, found.value, found.high) == (0.75, 0.75, 0.75)


@given(st.lists(st.lists(st.floats(-3, 3), min_size=3, max_size=3), min_size=1))
def test_the_nearest_shares_are_shares(points):
    """Points off the simplex come back onto it, and points on it stay."""
    found = correction.on_simplex(np.array(points))
    assert (found >= 0).all()
    assert found.sum(axis=1) == pytest.approx(1)
    assert correction.on_simplex(found) == pytest.approx(found, abs=1e-9)


def test_three_labels_are_inverted_where_the_judge_tells_them_apart():
    """With the true confusion the true shares come back; with a guessing judge nothing does."""
    truth, matrix = (
        np.array([0.6, 0.1, 0.3]),
        np.array([[0.9, 0.2, 0.02], [0.07, 0.7, 0.08], [0.03, 0.1, 0.9]]),
    )
    rng = np.random.default_rng(1)
    found = correction.label_shares(matrix @ truth * 10_000, matrix * 300, rng)
    assert found.value == pytest.approx(truth, abs=1e-6)
    assert correction.label_shares([50, 30, 20], np.full((3, 3), 20.0), rng) is None


@cache
def part(size, n, harmless):
    """A stratum's value and ends, for simulations: few different ones come up."""
    values = np.repeat([1.0, 0.0], [harmless, n - harmless])
    return post_stratified([Stratum(size, values)]).parts[0]


def simulated(sizes, rate, judge, rng):
    """A run of `sizes[0]` rows of which `sizes[1]` are labelled, spread over both verdicts."""
    rows, labels = sizes
    harmless = rng.binomial(rows, rate)
    right, missed = rng.binomial(harmless, judge[1]), rng.binomial(rows - harmless, 1 - judge[0])
    cells = [(right + missed, right), (rows - right - missed, harmless - right)]
    shares = [labels * size / rows for size, _ in cells]
    counts = [
        min(size, max(round(share), min(5, size)))
        for (size, _), share in zip(cells, shares, strict=True)
    ]
    parts = []
    for (size, good), n in zip(cells, counts, strict=True):
        if size:
            found = int(rng.hypergeometric(good, size - good, n))
            parts.append(part(size, n, found)._replace(weight=size / rows))
    return Corrected(tuple(parts), labels, "simulated", "run"), harmless / rows


def coverage(sizes, rate, judge, runs):
    """How often the corrected rate's interval holds the rate of the run; it always has a width."""
    rng = np.random.default_rng([*sizes, int(1000 * rate), int(1000 * judge[0])])
    held = 0
    for _ in range(runs):
        figure, truth = simulated(sizes, rate, judge, rng)
        found = combine(figure)
        assert found.high - found.low > 1e-3
        held += found.low - 1e-12 <= truth <= found.high + 1e-12
    return held / runs


def check_post_stratified(sizes, runs):
    for name, judge in JUDGES.items():
        found = [coverage(sizes, rate, judge, runs) for rate in RATES]
        assert min(found) >= allowed(0.92, runs), name
        assert np.mean(found) >= allowed(0.93, runs * len(RATES)), name
        if name == "poor":
            assert np.mean(found) <= 0.97


@pytest.mark.parametrize("sizes", [(249, 30), (46, 21)])
def test_the_corrected_rate_holds_the_rate_of_the_run(sizes):
    """Good judges and bad, rare harm and frequent: 30 labels of 249, 21 of 46."""
    check_post_stratified(sizes, 600)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(249, 30), (46, 21), (429, 100), (75, 30), (429, 21), (201, 75)])
def test_the_corrected_rate_holds_the_rate_of_the_run_at_every_size(sizes):
    """The same with more runs and sizes."""
    check_post_stratified(sizes, 4000)


def overall_coverage(rates, judge, runs):
    rng = np.random.default_rng([int(1000 * r) for r in rates])
    held = 0
    for _ in range(runs):
        found = [
            simulated((n, 40), rate, judge, rng)
            for n, rate in zip((249, 429, 201, 46, 75), rates, strict=True)
        ]
        figure = combine(average([one for one, _ in found]))
        held += figure.low <= np.mean([truth for _, truth in found]) <= figure.high
    return held / runs


@pytest.mark.parametrize("judge", ["good", "fair"])
def test_the_corrected_overall_rate_holds_that_of_the_run(judge):
    """The mean of five dimensions, 40 labels each, also where nearly all is harmless."""
    for rates in ((0.99,) * 5, (0.95, 0.5, 0.7, 0.9, 0.3)):
        assert overall_coverage(rates, JUDGES[judge], 500) >= allowed(0.93, 500)


def rogan_gladen_coverage(judge, rate, runs):
    rng = np.random.default_rng([int(1000 * rate), int(1000 * judge[0])])
    held, told = 0, 0
    for _ in range(runs):
        harmful = min(max(rng.binomial(100, 1 - rate), 1), 99)
        q0 = Share(rng.binomial(harmful, judge[0]) / harmful, harmful)
        q1 = Share(rng.binomial(100 - harmful, judge[1]) / (100 - harmful), 100 - harmful)
        p = rate * judge[1] + (1 - rate) * (1 - judge[0])
        found = rogan_gladen(Share(rng.binomial(249, p) / 249, 249), q0, q1)
        if isinstance(found, Estimate):
            told, held = told + 1, held + (found.low <= rate <= found.high)
    return held, told


@pytest.mark.parametrize("judge", ["good", "fair"])
def test_rogan_gladen_holds_the_models_rate(judge):
    """From below: 249 judged rows, and 100 gold rows of the same source."""
    found = np.array([rogan_gladen_coverage(JUDGES[judge], rate, 300) for rate in RATES])
    held, told = found.sum(axis=0)
    assert held / told >= allowed(0.93, told)


def ppi_coverage(rate, runs):
    rng = np.random.default_rng(int(1000 * rate))
    held, told = 0, 0
    for _ in range(runs):
        harmless = (rng.random(100)[:, None] < rate) ^ (rng.random((100, 4)) < 0.1)
        judge = np.where(rng.random((100, 4)) < 0.15, ~harmless, harmless).astype(float)
        gold = np.where(rng.random((100, 4)) < 0.3, harmless, np.nan)
        rows = ppi.PpiRows(
            judge.ravel(), gold.ravel(), np.zeros(400, np.intp),
            np.repeat(np.arange(100, dtype=np.uint64), 4),
        )  # fmt: skip
        if ppi.wald_refusal(rows) is None:
            found, told = ppi.ppi_mean(rows), told + 1
            held += found.low <= 0.9 * rate + 0.1 * (1 - rate) <= found.high
    return held / told


@pytest.mark.parametrize("rate", [0.3, 0.7])
def test_ppi_holds_the_models_rate_with_four_answers_a_prompt(rate):
    """Clustered by prompt, with thirty in a hundred rows labelled."""
    assert allowed(0.93, 300) <= ppi_coverage(rate, 300) <= 0.985


MATRICES = {
    "good": np.array([[0.95, 0.15, 0.02], [0.04, 0.75, 0.08], [0.01, 0.1, 0.9]]),
    "fair": np.array([[0.85, 0.25, 0.05], [0.1, 0.6, 0.15], [0.05, 0.15, 0.8]]),
}


def inversion_coverage(matrix, shares, runs):
    rng = np.random.default_rng([int(1000 * s) for s in shares])
    levels = np.array([1, 0.5, 0])
    held, told = 0, 0
    for _ in range(runs):
        gold = rng.multinomial(150, shares)
        confusion = np.column_stack([rng.multinomial(n, matrix[:, g]) for g, n in enumerate(gold)])
        judged = rng.multinomial(249, matrix @ shares)
        found = correction.label_shares(judged, confusion, rng, 500)
        if found is not None:
            _, low, high, *_ = correction.mean_of_labels(found, levels, 150).parts[0]
            held, told = held + (low <= levels @ shares <= high), told + 1
    return held, told


@pytest.mark.parametrize("name", MATRICES)
def test_the_inverted_confusion_holds_the_models_score(name):
    """Three labels: 150 gold rows, and a judge that confuses neighbours."""
    mixes = [(0.6, 0.2, 0.2), (0.85, 0.1, 0.05), (0.3, 0.3, 0.4)]
    held, told = np.sum([inversion_coverage(MATRICES[name], m, 100) for m in mixes], axis=0)
    assert told > 200
    assert held / told >= allowed(0.93, told)
