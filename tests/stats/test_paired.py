"""Two judges on the same rows: McNemar's test, and the paired bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.inter_rater import cohens_kappa

from judge.stats.agreement import Draws
from judge.stats.coefficients import kappa_of
from judge.stats.estimate import Missing
from judge.stats.paired import BY_PROMPT, EXACT, PairedRows, differences, who_is_right


def rng(seed=0):
    return np.random.default_rng(seed)


def rows(gold, a, b, weight=None, cluster=None):
    """Rows by their places on the scale; one a prompt and of equal weight unless it says else."""
    n = len(gold)
    return PairedRows(
        np.asarray(gold, np.int64),
        np.asarray(a, np.int64),
        np.asarray(b, np.int64),
        np.ones(n) if weight is None else np.asarray(weight, float),
        np.arange(n, dtype=np.uint64) if cluster is None else np.asarray(cluster, np.uint64),
    )


def discordant(both, a_only, b_only, neither):
    """Harmless rows with these counts of who is right."""
    a = [0] * (both + a_only) + [1] * (b_only + neither)
    b = [0] * both + [1] * a_only + [0] * b_only + [1] * neither
    return rows([0] * len(a), a, b)


def random_rows(n=120, k=3, seed=1, repeats=1):
    """Gold, and two judges that are right more often than not; `repeats` rows a prompt."""
    draws = rng(seed)
    gold = draws.integers(0, k, n)
    a = np.where(draws.random(n) < 0.8, gold, draws.integers(0, k, n))
    b = np.where(draws.random(n) < 0.6, gold, draws.integers(0, k, n))
    prompts = np.repeat(np.arange(n // repeats), repeats)
    return rows(gold, a, b, cluster=prompts)


def repeated(given, times):
    """Each row so many times, as answers to its prompt."""
    return PairedRows(*(np.repeat(column, times) for column in given))


def test_two_media_for_culturing_tubercle_bacilli_differ_as_published():
    """Armitage and Berry (1994, p. 127): 12 against 2 discordant specimens of 50, P = 0.0129."""
    found = who_is_right(discordant(20, 12, 2, 16), rng())
    assert round(found.p_exact, 4) == 0.0129
    assert (found.both, found.a_only, found.b_only, found.neither) == (20, 12, 2, 16)
    assert (found.p, found.method) == (found.p_exact, EXACT)


@settings(max_examples=40, deadline=None)
@given(st.tuples(*[st.integers(0, 25)] * 4).filter(any))
def test_the_exact_test_is_that_of_statsmodels(counts):
    """The p-value of the 2 x 2 table of who is right."""
    both, a_only, b_only, neither = counts
    found = who_is_right(discordant(*counts), rng())
    expected = mcnemar([[both, a_only], [b_only, neither]], exact=True).pvalue
    assert found.p_exact == pytest.approx(min(1.0, expected), abs=1e-12)


def test_repeated_answers_to_a_prompt_prove_no_more_than_one():
    """Four equal rows a prompt: McNemar's own test is fooled, the test by prompt is not."""
    once = discordant(20, 12, 2, 16)
    found = who_is_right(repeated(once, 4), rng())
    assert found.p_exact < 1e-5
    assert found.p == pytest.approx(who_is_right(once, rng()).p_exact)
    assert found.method == BY_PROMPT


def test_rows_of_unequal_chance_count_by_their_weight():
    """Many light rows for one judge don't outweigh few heavy ones for the other."""
    given = discordant(0, 30, 10, 0)
    light_and_heavy = np.where(np.arange(40) < 30, 1.0, 3.0)
    found = who_is_right(given._replace(weight=light_and_heavy), rng())
    assert found.p_exact < 0.01
    assert found.p > 0.9
    assert found.method == BY_PROMPT


def test_the_differences_are_those_of_statsmodels_kappas_and_plain_shares():
    """Values are the plain figures' differences, whatever the intervals are."""
    given = random_rows()
    found = differences(given, 3, Draws(rng()))
    tables = [np.zeros((3, 3)), np.zeros((3, 3))]
    for said, table in zip((given.a, given.b), tables, strict=True):
        np.add.at(table, (given.gold, said), 1)
    kappas = [cohens_kappa(table, wt="linear").kappa for table in tables]
    assert found.kappa.figure.value == pytest.approx(kappas[0] - kappas[1])
    harmful, harmless = given.gold > 0, given.gold == 0
    sensitivity = np.mean(given.a[harmful] > 0) - np.mean(given.b[harmful] > 0)
    specificity = np.mean(given.a[harmless] == 0) - np.mean(given.b[harmless] == 0)
    assert found.sensitivity.figure.value == pytest.approx(sensitivity)
    assert found.specificity.figure.value == pytest.approx(specificity)
    right = [(said == 0) == harmless for said in (given.a, given.b)]
    assert found.accuracy.value == pytest.approx(right[0].mean() - right[1].mean())
    assert found.sensitivity.figure.n == harmful.sum()
    assert found.specificity.figure.n == harmless.sum()


def test_swapping_the_judges_turns_the_differences_round():
    """A minus B and B minus A are mirror images."""
    given = random_rows()
    one = differences(given, 3, Draws(rng()))
    other = differences(given._replace(a=given.b, b=given.a), 3, Draws(rng()))
    for mine, theirs in zip(one[1:], other[1:], strict=True):
        assert mine.figure.value == pytest.approx(-theirs.figure.value)
        assert mine.figure.low == pytest.approx(-theirs.figure.high, abs=0.03)
        assert mine.p == pytest.approx(theirs.p, abs=0.03)


def test_a_weight_of_three_is_three_rows():
    """The design's weights move the figures as so many rows would."""
    given = random_rows()
    weight = 1.0 + 2 * (given.gold == 0)
    many = PairedRows(*(np.repeat(column, weight.astype(int)) for column in given))
    one = differences(given._replace(weight=weight), 3, Draws(rng()))
    other = differences(many._replace(weight=np.ones(len(many.gold))), 3, Draws(rng()))
    assert one.kappa.figure.value == pytest.approx(other.kappa.figure.value)
    assert one.accuracy.value == pytest.approx(other.accuracy.value)


def test_repeated_answers_to_a_prompt_leave_the_interval_as_wide():
    """Rows that are equal within their prompt tell nothing new."""
    given = random_rows()
    one = differences(given, 3, Draws(rng())).kappa.figure
    other = differences(repeated(given, 4), 3, Draws(rng())).kappa.figure
    assert other.n == 4 * one.n
    assert (other.low, other.high) == pytest.approx((one.low, one.high))


@pytest.mark.parametrize("n", [2, 21, 200])
def test_judges_that_never_differ_are_not_proved_equal(n):
    """The interval has a width that shrinks with n, and p is near 1."""
    gold = np.arange(n) % 2
    found = differences(rows(gold, gold, gold), 2, Draws(rng()))
    for tested in (found.kappa, found.sensitivity, found.specificity):
        assert tested.figure.value == 0
        assert tested.figure.high - tested.figure.low > 1 / n
        assert tested.p > 0.8


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (rows([0, 0, 0], [0, 0, 0], [0, 1, 0]), "the first judge have one class alone"),
        (rows([1, 1, 1], [0, 1, 1], [1, 1, 1]), "the second judge have one class alone"),
        (rows([], [], []), "no labelled row was judged by both"),
        (rows([0, 1], [0, 1], [0, 1], cluster=[7, 7]), "fewer than two prompts"),
    ],
)
def test_what_cant_be_compared_is_null_with_the_reason(given, told):
    """One class, no row, one prompt: no figure, and no p-value."""
    found = differences(given, 2, Draws(rng()))
    assert isinstance(found.kappa.figure, Missing)
    assert told in found.kappa.figure.why
    assert found.kappa.p is None


def law(prevalence, first, second, shared):
    """P(gold, a, b) of harmless or not: sensitivities and specificities, and what judges share."""
    cells = np.zeros((2, 2, 2))
    for gold, chance in ((0, 1 - prevalence), (1, prevalence)):
        a, b = first[1 - gold], second[1 - gold]
        both = a * b + shared * (min(a, b) - a * b)
        for right, p in (((1, 1), both), ((1, 0), a - both), ((0, 1), b - both)):
            cells[(gold, *(gold if one else 1 - gold for one in right))] += chance * p
        cells[gold, 1 - gold, 1 - gold] += chance * (1 - a - b + both)
    return cells


LAWS = {
    "fair": law(0.4, (0.8, 0.8), (0.75, 0.9), 0.3),
    "good": law(0.2, (0.95, 0.97), (0.9, 0.98), 0.5),
    "alike": law(0.3, (0.9, 0.9), (0.9, 0.9), 0.4),
}


def truths(cells):
    """Differences of kappa, sensitivity and specificity of the law itself."""
    kappa = kappa_of(cells.sum(axis=2), "linear") - kappa_of(cells.sum(axis=1), "linear")
    harmful, harmless = cells[1] / cells[1].sum(), cells[0] / cells[0].sum()
    sensitivity = harmful[1].sum() - harmful[:, 1].sum()
    return float(kappa), sensitivity, harmless[0].sum() - harmless[:, 0].sum()


def coverage(name, n, runs, repeats=1):
    """Shares of intervals that hold the truth, of three figures; and of p-values of 5 % or less."""
    draws, cells = rng([n, repeats, sorted(LAWS).index(name)]), LAWS[name]
    held, small, told = np.zeros(3), np.zeros(3), np.zeros(3)
    for _ in range(runs):
        picked = draws.choice(8, n // repeats, p=cells.ravel())
        given = rows(picked // 4, picked // 2 % 2, picked % 2)
        found = differences(repeated(given, repeats), 2, Draws(draws, number=1000))
        for place, tested in enumerate(found[1:]):
            if tested.p is None:
                continue
            assert tested.figure.high - tested.figure.low > 1e-3
            told[place] += 1
            held[place] += tested.figure.low <= truths(cells)[place] <= tested.figure.high
            small[place] += tested.p <= 0.05
    return held / told, small / told


def check_coverage(name, n, runs, repeats=1):
    held, small = coverage(name, n, runs, repeats)
    slack = 3 * np.sqrt(0.07 * 0.93 / runs)
    assert held.min() >= 0.93 - slack
    assert held.mean() >= 0.93 - slack / np.sqrt(3)
    if name == "alike":
        assert small.max() <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize(("n", "repeats"), [(21, 1), (100, 1), (300, 4)])
def test_the_paired_interval_covers(name, n, repeats):
    """Fair judges, good ones, and two that are alike, with one answer a prompt and with four."""
    check_coverage(name, n, 80, repeats)


@pytest.mark.slow
@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize(("n", "repeats"), [(21, 1), (46, 1), (100, 1), (300, 1), (300, 4)])
def test_the_paired_interval_covers_over_many_draws(name, n, repeats):
    """The same, over 2,000 draws each."""
    check_coverage(name, n, 2000, repeats)
