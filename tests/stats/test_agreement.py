"""Agreement of annotators: published figures, peers, and what always holds."""

from __future__ import annotations

import math

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import cohens_kappa as peer_kappa
from statsmodels.stats.inter_rater import fleiss_kappa as peer_fleiss

from judge.stats.agreement import (
    Draws,
    cohens_kappa,
    cohens_kappas,
    confusion,
    fleiss_kappa,
    krippendorff_alpha,
    observed_agreement,
)
from judge.stats.coefficients import WEIGHTINGS, alpha_of, kappa_of
from judge.stats.estimate import Missing

NAN = math.nan
# SAS/STAT, PROC FREQ, "Cohen's kappa" (SkinCondition): two dermatologists on 88 patients.
SKIN = np.array([[10, 4, 1, 0], [5, 10, 12, 2], [2, 4, 12, 5], [0, 2, 6, 13]])
SAS = {
    "unweighted": (0.3449, 0.0724),
    "linear": (0.5082, 0.0655),
    "quadratic": (0.6607, 0.0616),
}
# Krippendorff's data "C", as R's irr has it: 4 annotators, 12 units.
IRR = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
).T
# The example of the krippendorff package: 3 annotators, 15 units.
README = np.array(
    [
        [NAN] * 5 + [3, 4, 1, 2, 1, 1, 3, 3, NAN, 3],
        [1, NAN, 2, 1, 3, 3, 4, 3, *[NAN] * 7],
        [NAN, NAN, 2, 1, 3, 4, 4, NAN, 2, 1, 1, 3, 3, NAN, 4],
    ]
).T
# Fleiss' kappa's textbook example: 14 marks on each of ten rows.
FLEISS = np.array(
    [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]
)  # fmt: skip


def draws(seed=0, **options):
    return Draws(np.random.default_rng(seed), **options)


def marks_of(table):
    """Two annotators' marks with these counts; labels from 1."""
    table = np.asarray(table)
    first, second = np.indices(table.shape) + 1
    return np.repeat(np.stack([first, second], -1).reshape(-1, 2), table.ravel(), axis=0)


def scale_of(table):
    return range(1, len(table) + 1)


@pytest.mark.parametrize("weighting", SAS)
def test_kappa_is_that_of_sas(weighting):
    """The SkinCondition example of PROC FREQ, as wide as its standard error says."""
    value, error = SAS[weighting]
    found = cohens_kappa(marks_of(SKIN), range(1, 5), weighting, draws())
    assert round(found.value, 4) == value
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(error, rel=0.05)
    assert (found.n, found.confidence) == (88, 0.95)


def test_kappa_of_three_classes_is_the_published_one():
    """0.9315 unweighted, 0.9412 linear, 0.9541 quadratic."""
    first, second = [1] * 46 + [2] * 44 + [3] * 10, [1] * 50 + [2] * 40 + [3] * 10
    found = cohens_kappas(np.column_stack([first, second]), (1, 2, 3), draws())
    values = [round(found[weighting].value, 4) for weighting in WEIGHTINGS]
    assert values == [0.9315, 0.9412, 0.9541]


@pytest.mark.parametrize(
    ("data", "metric", "value"),
    [
        (IRR, "nominal", 0.7434),
        (IRR, "ordinal", 0.8154),
        (IRR, "interval", 0.8491),
        (IRR, "ratio", 0.7974),
        (README, "nominal", 0.6914),
        (README, "ordinal", 0.8067),
        (README, "interval", 0.8108),
    ],
)
def test_alpha_is_that_of_r_and_of_the_krippendorff_package(data, metric, value):
    """Both examples, with their missing marks."""
    found = krippendorff_alpha(data, range(1, 6), metric, draws())
    assert round(found.value, 4) == value
    assert found.low < value < found.high


def test_fleiss_kappa_is_the_textbooks_and_that_of_statsmodels():
    """Fourteen marks on each of ten rows: 0.2099."""
    marks = np.array([np.repeat(np.arange(1, 6), row) for row in FLEISS])
    found = fleiss_kappa(marks, range(1, 6), draws())
    assert round(found.value, 4) == 0.2099
    assert found.value == pytest.approx(peer_fleiss(FLEISS))
    marks = marks.astype(float)
    marks[0, 0] = NAN
    assert "same number" in fleiss_kappa(marks, range(1, 6), draws()).why


tables = st.integers(2, 4).flatmap(
    lambda k: st.lists(st.lists(st.integers(0, 9), min_size=k, max_size=k), min_size=k, max_size=k)
)


def of_two_classes(table):
    table = np.asarray(table)
    return ((table.sum(0) + table.sum(1)) > 0).sum() > 1 and table.sum() > 1


@given(tables.filter(of_two_classes))
@settings(max_examples=60, deadline=None)
def test_kappa_is_that_of_statsmodels(table):
    """Any table of two classes or more, all three weightings."""
    found = cohens_kappas(marks_of(table), scale_of(table), draws(number=50))
    for weighting, wt in (("unweighted", None), ("linear", "linear"), ("quadratic", "quadratic")):
        peer = peer_kappa(np.asarray(table, float), wt=wt, return_results=False)
        assert found[weighting].value == pytest.approx(peer, abs=1e-9)


marked = st.lists(
    st.lists(st.sampled_from([1.0, 2.0, 3.0, NAN]), min_size=3, max_size=3), min_size=2, max_size=30
).map(np.array)


def of_pairs(marks):
    paired = marks[(~np.isnan(marks)).sum(1) >= 2]
    return len(paired) > 1 and len(set(paired[~np.isnan(paired)].tolist())) > 1


@given(marked.filter(of_pairs), st.sampled_from(["nominal", "ordinal", "interval", "ratio"]))
@settings(max_examples=60, deadline=None)
def test_alpha_is_that_of_the_krippendorff_package(marks, metric):
    """Any marks of three annotators, with gaps anywhere."""
    found = krippendorff_alpha(marks, (1, 2, 3), metric, draws(number=50))
    peer = krippendorff.alpha(reliability_data=marks.T, level_of_measurement=metric)
    assert found.value == pytest.approx(peer, abs=1e-9)


@given(marked.filter(of_pairs))
@settings(max_examples=40, deadline=None)
def test_who_is_first_and_in_what_order_rows_stand_changes_nothing(marks):
    """Alpha knows neither names nor places; equal weights are none."""
    found = krippendorff_alpha(marks, (1, 2, 3), "ordinal", draws(number=50))
    turned = krippendorff_alpha(marks[::-1, ::-1], (3, 2, 1), "ordinal", draws(number=50))
    weighed = krippendorff_alpha(marks, (1, 2, 3), "ordinal", draws(number=50), [7.0] * len(marks))
    assert found.value == pytest.approx(turned.value)
    assert found.value == pytest.approx(weighed.value)
    assert found.low <= found.value <= found.high <= 1


@given(tables.filter(of_two_classes))
@settings(max_examples=20, deadline=None)
def test_a_row_of_weight_three_counts_as_three_rows(table):
    """Weights are numbers of rows that a row stands for."""
    marks = marks_of(table)
    weights = 1.0 + np.arange(len(marks)) % 3
    whole = np.repeat(marks, weights.astype(int), axis=0)
    for weighting in WEIGHTINGS:
        found = cohens_kappa(marks, scale_of(table), weighting, draws(number=50), weights)
        expected = cohens_kappa(whole, scale_of(table), weighting, draws(number=50))
        assert found.value == pytest.approx(expected.value)
        assert found.n == len(marks)
    assert "weighted by the design" in found.method


@pytest.mark.parametrize("n", [2, 21, 429])
def test_perfect_agreement_is_no_proof_of_itself(n):
    """The value is 1 and the interval isn't [1, 1]; the fewer the rows, the wider."""
    marks = np.array([[1, 1], [3, 3]] * (n // 2) + [[3, 3]] * (n % 2))
    for found in (
        cohens_kappa(marks, (1, 3), "unweighted", draws()),
        krippendorff_alpha(marks, (1, 3), "nominal", draws()),
        observed_agreement(marks),
    ):
        assert found.value == found.high == 1
        assert found.low < 1 - 1 / (2 * n)


def test_one_class_gives_no_kappa_and_says_why():
    """Where nobody ever said anything else, agreement by chance is certain."""
    marks = [[3, 3]] * 40
    for found in (
        cohens_kappa(marks, (1, 2, 3), "linear", draws()),
        krippendorff_alpha(marks, (1, 2, 3), "ordinal", draws()),
    ):
        assert isinstance(found, Missing)
        assert "one class" in found.why
        assert found.n == 40
    assert observed_agreement(marks).value == 1


@pytest.mark.parametrize("marks", [[[3, NAN]] * 9, [[3, 1], [NAN, 1]], np.zeros((0, 2))])
def test_without_two_rows_of_two_marks_there_is_no_figure(marks):
    """One annotator, or one row, tells nothing."""
    assert "fewer than two rows" in cohens_kappa(marks, (1, 3), "linear", draws()).why
    assert "fewer than two rows" in krippendorff_alpha(marks, (1, 3), "nominal", draws()).why


def test_observed_agreement_is_the_mean_share_of_equal_pairs():
    """Three marks of which two are equal agree in one pair of three; one mark has no pair."""
    found = observed_agreement([[3, 3, 1], [1, 1, NAN], [3, NAN, NAN], [3, 1, NAN]])
    assert found.value == pytest.approx((1 / 3 + 1 + 0) / 3)
    assert found.n == 3
    assert isinstance(observed_agreement([[3], [1]]), Missing)


def test_observed_agreement_is_weighted_by_the_design():
    """A row that stands for four counts four times, and is worth less than four rows."""
    marks = [[3, 3]] * 30 + [[3, 1]] * 10
    found = observed_agreement(marks, [1.0] * 30 + [4.0] * 10)
    assert found.value == pytest.approx(30 / 70)
    plain = observed_agreement([[3, 3]] * 30 + [[3, 1]] * 40)
    assert found.high - found.low > plain.high - plain.low


def test_confusion_counts_the_rows_that_both_marked():
    """The first annotator's label by the second's, in the order of the scale."""
    table = confusion([[3, 3], [3, 1], [1, 3], [1, 3], [2, NAN]], (3, 2, 1))
    assert table.tolist() == [[1, 0, 1], [0, 0, 0], [2, 0, 0]]


def test_a_mark_off_the_scale_is_refused():
    """It would otherwise be taken for a missing one."""
    with pytest.raises(ValueError, match="none of"):
        confusion([[3, 2]], (3, 1))


def test_the_same_generator_gives_the_same_interval():
    """Figures can be repeated."""
    marks = marks_of(SKIN)
    one, other = (cohens_kappa(marks, range(1, 5), "linear", draws(5)) for _ in range(2))
    assert one == other
    assert one.low != cohens_kappa(marks, range(1, 5), "linear", draws(6)).low


# How often the intervals hold the truth. The standard is that of test_coverage.py.

MARGINS = {2: ((0.5, 0.5), (0.1, 0.9)), 3: ((1 / 3,) * 3, (0.1, 0.2, 0.7))}
KAPPAS = (0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95)


def allowed(standard, runs):
    return standard - 3 * np.sqrt(standard * (1 - standard) / runs)


def kappa_coverage(n, margin, kappa, runs, number=500):
    """Coverage of the quadratic kappa where two annotators share a truth with chance `kappa`."""
    k, shares = len(margin), np.array(margin)
    rng = np.random.default_rng([n, k, int(1000 * kappa), int(1000 * margin[0])])
    cells = kappa * np.diag(shares) + (1 - kappa) * np.outer(shares, shares)
    truth, held, all_ = float(kappa_of(cells, "quadratic")), 0, 0
    found, times = np.unique(rng.multinomial(n, cells.ravel(), runs), axis=0, return_counts=True)
    for counts, count in zip(found.reshape(-1, k, k), times, strict=True):
        figure = cohens_kappa(
            marks_of(counts), range(1, k + 1), "quadratic", Draws(rng, number=number)
        )
        if not isinstance(figure, Missing):
            assert figure.high - figure.low > 1e-3
            held, all_ = held + count * (figure.low <= truth <= figure.high), all_ + count
    return held / all_


def check_kappa(n, margin, runs, kappas=KAPPAS):
    found = np.array([kappa_coverage(n, margin, kappa, runs) for kappa in kappas])
    assert found.mean() >= allowed(0.94, runs * len(kappas))
    assert found.mean() <= 1 - allowed(0.03, runs * len(kappas))
    assert found.min() >= allowed(0.92, runs)


@pytest.mark.parametrize("k", MARGINS)
def test_kappas_interval_covers_with_few_rows_and_a_rare_class(k):
    """21 rows, from no agreement to near all: the standard of the rates."""
    check_kappa(21, MARGINS[k][1], 250, KAPPAS[1::2])


@pytest.mark.slow
@pytest.mark.parametrize("n", [21, 46, 75, 249, 429])
@pytest.mark.parametrize("k", MARGINS)
def test_kappas_interval_covers_at_every_size(n, k):
    """The same with more runs."""
    for margin in MARGINS[k]:
        check_kappa(n, margin, 1000)


def test_kappas_interval_covers_good_judges():
    """Kappa .98 in 50 rows, mostly without one disagreement, where Wald's interval is a point."""
    runs = 1500
    found = [kappa_coverage(50, margin, 0.98, runs) for k in MARGINS for margin in MARGINS[k]]
    assert min(found) >= allowed(0.93, runs)
    rng = np.random.default_rng(1)
    cells = 0.98 * np.diag([0.5, 0.5]) + 0.02 * np.full((2, 2), 0.25)
    held = 0
    for counts in rng.multinomial(50, cells.ravel(), 300).reshape(-1, 2, 2):
        peer = peer_kappa(counts.astype(float))
        held += peer.kappa_low <= 0.98 <= peer.kappa_upp
    assert held / 300 < 0.6


def alpha_coverage(n, annotators, missing, kappa, runs, number=400):
    """Coverage of ordinal alpha where each annotator sees the truth with chance sqrt(kappa)."""
    margin = np.array([0.15, 0.25, 0.6])
    rng = np.random.default_rng([n, annotators, int(100 * missing), int(1000 * kappa)])
    cells = kappa * np.diag(margin) + (1 - kappa) * np.outer(margin, margin)
    truth, held = float(alpha_of(cells, [1, 2, 3], "ordinal")), []
    for _ in range(runs):
        sees = rng.random((n, annotators)) < np.sqrt(kappa)
        marks = np.where(
            sees, rng.choice(3, (n, 1), p=margin), rng.choice(3, (n, annotators), p=margin)
        )
        marks = np.where(rng.random(marks.shape) < missing, NAN, marks + 1.0)
        found = krippendorff_alpha(marks, (1, 2, 3), "ordinal", Draws(rng, number=number))
        if not isinstance(found, Missing):
            held.append(found.low <= truth <= found.high)
    return np.mean(held)


def check_alpha(n, annotators, missing, runs):
    kappas = (0.05, 0.35, 0.65, 0.9, 0.96)
    found = [alpha_coverage(n, annotators, missing, kappa, runs) for kappa in kappas]
    assert np.mean(found) >= allowed(0.94, runs * len(kappas))
    assert min(found) >= allowed(0.92, runs)


@pytest.mark.parametrize(("annotators", "missing"), [(2, 0.0), (3, 0.0), (5, 0.4)])
def test_alphas_interval_covers_any_number_of_annotators(annotators, missing):
    """Two, three and five annotators, the last with two marks of five missing."""
    check_alpha(21, annotators, missing, 200)


@pytest.mark.slow
@pytest.mark.parametrize("n", [21, 75, 249])
@pytest.mark.parametrize(("annotators", "missing"), [(2, 0.0), (3, 0.2), (5, 0.4), (12, 0.7)])
def test_alphas_interval_covers_at_every_size(n, annotators, missing):
    """The same with more runs, and with a crowd of which each marks a part."""
    check_alpha(n, annotators, missing, 500)


def clustered_kappa(marks, repeats):
    """Kappa of marks that are repeated within their prompt."""
    prompts = np.repeat(np.arange(len(marks)), repeats)
    many = np.repeat(marks, repeats, axis=0)
    return cohens_kappa(many, (0, 1), "linear", Draws(np.random.default_rng(0)), None, prompts)


def test_repeated_answers_to_a_prompt_leave_kappas_interval_as_wide():
    """Four equal rows a prompt tell no more than one; taken as independent they would."""
    draws = np.random.default_rng(5)
    gold = draws.integers(0, 2, 80)
    marks = np.column_stack([gold, np.where(draws.random(80) < 0.8, gold, 1 - gold)])
    one, four = clustered_kappa(marks, 1), clustered_kappa(marks, 4)
    assert (four.low, four.high) == pytest.approx((one.low, one.high))
    assert four.method == f"{one.method}, clustered by prompt"
    alone = cohens_kappa(
        np.repeat(marks, 4, axis=0), (0, 1), "linear", Draws(np.random.default_rng(0))
    )
    assert alone.high - alone.low < 0.7 * (four.high - four.low)


def test_answers_to_one_prompt_alone_have_no_kappa():
    """One prompt says nothing about others."""
    marks = np.array([[0, 0], [1, 1], [0, 1]])
    found = cohens_kappa(
        marks, (0, 1), "linear", Draws(np.random.default_rng(0)), None, np.zeros(3)
    )
    assert found.why == "all rows answer one prompt"
