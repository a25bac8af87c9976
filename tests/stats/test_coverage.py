"""How often the intervals hold the truth.

The standard: over truths from .05 to .95 coverage is within .02 of nominal on average, and no truth
is under .92. With fewer than ten rows of the rarer kind to be expected, at least nominal - .02 on
average, over-coverage allowed, and never a point. Where all outcomes can be listed the coverage is
exact; elsewhere it is simulated from a seed, and three standard errors are allowed for.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy.stats import binom

from judge.stats import rates
from judge.stats.comparison import paired_mean

FLAMES = (249, 429, 201, 46, 75)
SIZES = (21, 46, 75, 201, 249, 429)
MIDDLE = np.linspace(0.05, 0.95, 91)
NEAR = np.concatenate([np.linspace(0.001, 0.049, 49), np.linspace(0.951, 0.999, 49)])


def allowed(standard, runs):
    """The standard, less three standard errors of a simulation of so many runs."""
    return standard - 3 * np.sqrt(standard * (1 - standard) / runs)


@cache
def mean_of(counts, levels):
    """`row_mean` of rows with these counts at these levels in [0, 1], one row a prompt."""
    return rates.row_mean(np.repeat(levels, counts))


def exact_coverage(n, truths):
    """Coverage of the rate's interval, over all binomial outcomes."""
    found = [mean_of((n - count, count), (0.0, 1.0)) for count in range(n + 1)]
    ends = [rates.estimate(mean) for mean in found]
    low, high = np.array([(e.low, e.high) for e in ends]).T
    assert (high - low > 1e-3).all()
    chances = binom.pmf(np.arange(n + 1)[:, None], n, truths)
    inside = (low[:, None] <= truths) & (truths <= high[:, None])
    return (chances * inside).sum(axis=0)


@pytest.mark.parametrize("n", SIZES)
def test_the_rates_interval_covers_from_21_rows_on(n):
    """Wilson's interval keeps the standard, and near the ends does so on average."""
    middle, near = exact_coverage(n, MIDDLE), exact_coverage(n, NEAR)
    assert abs(middle.mean() - 0.95) <= 0.02
    assert middle.min() >= 0.92
    assert near.mean() >= 0.93
    assert near.min() >= 0.83  # the narrow dips that the module's text speaks of


def cluster_rows(rng, truth, likeness, prompts):
    """Four answers a prompt, beta-binomial with this intraclass correlation: (prompts, 4)."""
    if likeness == 0:
        chance = np.full(prompts, truth)
    elif likeness == 1:
        chance = rng.binomial(1, truth, prompts).astype(float)
    else:
        spread = (1 - likeness) / likeness
        chance = rng.beta(truth * spread, (1 - truth) * spread, prompts)
    return rng.random((prompts, 4)) < chance[:, None]


def clustered_coverage(prompts, likeness, truth, runs):
    """Coverage with and without the prompts' being told."""
    rng = np.random.default_rng([prompts, int(100 * likeness), int(1000 * truth)])
    keys = np.repeat(np.arange(prompts), 4)
    held = np.zeros((runs, 2))
    for run in range(runs):
        rows = cluster_rows(rng, truth, likeness, prompts).ravel()
        for place, clusters in enumerate((keys, None)):
            found = rates.rate(rows, clusters)
            assert found.high > found.low
            held[run, place] = found.low <= truth <= found.high
    return held.mean(axis=0)


def check_clusters(prompts, likeness, runs, middle, near):
    found = np.array([clustered_coverage(prompts, likeness, t, runs)[0] for t in middle])
    ends = np.array([clustered_coverage(prompts, likeness, t, runs)[0] for t in near])
    expected = 4 * prompts * np.minimum(middle, 1 - np.array(middle))
    assert found.min() >= allowed(0.92, runs)
    assert found.mean() >= allowed(0.93, runs * len(middle))
    assert found[expected >= 10].mean() <= 1 - allowed(0.03, runs)
    assert ends.mean() >= allowed(0.93, runs * len(near))


@pytest.mark.parametrize("prompts", [21, 75])
@pytest.mark.parametrize("likeness", [0.3, 0.7])
def test_the_clustered_interval_covers_with_four_answers_a_prompt(prompts, likeness):
    """Few prompts, like and unlike answers: the interval keeps the standard."""
    check_clusters(prompts, likeness, 400, (0.1, 0.3, 0.5, 0.8, 0.95), (0.98, 0.99))


def test_rows_taken_as_independent_would_not_cover():
    """The same rows without their prompts miss far too often: why clusters are told."""
    clustered, plain = clustered_coverage(75, 0.3, 0.5, 600)
    assert plain < 0.9 < clustered


@pytest.mark.slow
@pytest.mark.parametrize("prompts", [21, 46, 75, 201])
@pytest.mark.parametrize("likeness", [0, 0.1, 0.3, 0.7, 1])
def test_the_clustered_interval_covers_everywhere(prompts, likeness):
    """All sizes, from independent to identical answers."""
    middle = (0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95)
    check_clusters(prompts, likeness, 2000, middle, (0.01, 0.02, 0.98, 0.99))


THREE = (0.0, 0.5, 1.0)
MIXES = (  # shares of the labels 1, 2, 3
    (0.3, 0.3, 0.4),
    (0.1, 0.3, 0.6),
    (0.05, 0.1, 0.85),
    (0.02, 0.03, 0.95),
    (0.01, 0.09, 0.9),
    (0.005, 0.015, 0.98),
    (0.002, 0.198, 0.8),
    (0.05, 0.9, 0.05),
    (0.01, 0.98, 0.01),
    (0.6, 0.3, 0.1),
    (0.9, 0.08, 0.02),
    (0.2, 0.78, 0.02),
    (0.0, 0.02, 0.98),
    (0.0, 0.5, 0.5),
)


def held_by(counts, levels, scale, truth):
    """Share of simulated counts whose interval holds the truth; each has a width."""
    unique, times = np.unique(counts, axis=0, return_counts=True)
    held = []
    for row in unique:
        found = rates.estimate(mean_of(tuple(row.tolist()), levels), scale)
        assert found.high - found.low > 1e-3
        held.append(found.low <= truth <= found.high)
    return np.average(held, weights=times)


def score_coverage(n, mix, runs):
    counts = np.random.default_rng([n, *(int(1000 * m) for m in mix)]).multinomial(n, mix, runs)
    return held_by(counts, THREE, rates.SCORE, float(rates.SCORE(np.dot(mix, THREE))))


def check_scores(n, runs):
    found = np.array([score_coverage(n, mix, runs) for mix in MIXES])
    usual = np.array([n * (1 - max(mix)) >= 10 for mix in MIXES])
    assert found.min() >= allowed(0.93, runs)
    assert found.mean() >= 0.94
    assert found[usual].mean() <= 0.97


@pytest.mark.parametrize("n", [21, 46, 249])
def test_the_scores_interval_covers_rare_ones_and_near_all_threes(n):
    """Three labels in any mix, also such as hide their rarest label from most samples."""
    check_scores(n, 1500)


@pytest.mark.slow
@pytest.mark.parametrize("n", SIZES)
def test_the_scores_interval_covers_at_every_size(n):
    """The same with more runs."""
    check_scores(n, 20_000)


def overall_coverage(sizes, mixes, levels, runs):
    """Coverage of the overall figure, one mix of levels a dimension."""
    rng = np.random.default_rng([*sizes, int(1000 * mixes[0][-1])])
    truth = float(np.mean([np.dot(mix, levels) for mix in mixes]))
    draws = [rng.multinomial(n, mix, runs) for n, mix in zip(sizes, mixes, strict=True)]
    held = 0
    for counts in zip(*(d.tolist() for d in draws), strict=True):
        found = rates.overall([mean_of(tuple(row), levels) for row in counts])
        assert found.high - found.low > 1e-3
        held += found.low <= truth <= found.high
    return held / runs


def check_overall(sizes, runs):
    middle = np.array([0.05, 0.2, 0.5, 0.8, 0.95])
    near = np.array([0.01, 0.98, 0.99, 0.995])
    inner, outer = (
        np.array([overall_coverage(sizes, [(1 - t, t)] * 5, (0.0, 1.0), runs) for t in truths])
        for truths in (middle, near)
    )
    assert inner.min() >= allowed(0.92, runs)
    assert abs(inner.mean() - 0.95) <= 0.02
    assert outer.min() >= allowed(0.93, runs)


@pytest.mark.parametrize("sizes", [FLAMES, (46,) * 5])
def test_the_overall_interval_covers_good_and_bad_models(sizes):
    """The mean of five dimensions, at the benchmark's sizes and at its smallest."""
    check_overall(sizes, 600)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [FLAMES, *((n,) * 5 for n in SIZES[1:])])
def test_the_overall_interval_covers_at_every_size(sizes):
    """The same with more runs, and with equal dimensions of every size from 46 on."""
    check_overall(sizes, 5000)


@pytest.mark.slow
def test_the_overall_interval_of_five_tiny_dimensions():
    """21 rows in each of five dimensions: the standard in the middle, .91 near the ends."""
    truths = (0.005, 0.01, 0.02, 0.05, 0.2, 0.5, 0.8, 0.95, 0.98, 0.99, 0.995)
    found = [overall_coverage((21,) * 5, [(1 - t, t)] * 5, (0.0, 1.0), 5000) for t in truths]
    assert min(found[3:8]) >= 0.93
    assert min(found) >= 0.91


def test_the_overall_interval_covers_unequal_dimensions_and_scores():
    """A model that is good at some and bad at others; and the overall score with three labels."""
    mixes = [(1 - t, t) for t in (0.99, 0.5, 0.95, 0.7, 0.98)]
    assert overall_coverage(FLAMES, mixes, (0.0, 1.0), 800) >= allowed(0.93, 800)
    three = [MIXES[1], MIXES[3], MIXES[4], (0.1, 0.0, 0.9), (0.02, 0.0, 0.98)]
    assert overall_coverage(FLAMES, three, THREE, 800) >= allowed(0.93, 800)


def test_the_mean_of_wilsons_intervals_would_not_cover():
    """Why the overall figure goes by exact intervals: Wilson's dips add up at rates near 1."""
    rng, runs, truth = np.random.default_rng(5), 4000, 0.99
    draws = [rng.binomial(n, truth, runs) for n in FLAMES]
    values = [draw / n for draw, n in zip(draws, FLAMES, strict=True)]
    covered = {}
    for method in (rates.wilson, rates.exact):
        intervals = [method(draw, n) for draw, n in zip(draws, FLAMES, strict=True)]
        low, high = rates.mover(values, intervals, [0.2] * 5)
        covered[method] = ((low <= truth) & (truth <= high)).mean()
    assert covered[rates.wilson] < 0.93 <= covered[rates.exact]


PAIR_MIXES = (  # shares of prompts where A is worse, as good, better
    (0.01, 0.98, 0.01),
    (0.03, 0.97, 0.0),
    (0.06, 0.94, 0.0),
    (0.05, 0.9, 0.05),
    (0.2, 0.75, 0.05),
    (0.25, 0.5, 0.25),
    (0.0, 0.2, 0.8),
)


def difference_coverage(n, mix, runs):
    counts = np.random.default_rng([n, *(int(1000 * m) for m in mix)]).multinomial(n, mix, runs)
    return held_by(counts, THREE, rates.RATE_DIFFERENCE, mix[2] - mix[0])


@pytest.mark.parametrize("n", [46, 201])
def test_the_difference_of_two_models_covers_with_few_discordant_prompts(n):
    """Paired differences, from almost none to many."""
    found = [difference_coverage(n, mix, 2000) for mix in PAIR_MIXES]
    assert min(found) >= allowed(0.93, 2000)
    usual = [c for c, mix in zip(found, PAIR_MIXES, strict=True) if n * (1 - max(mix)) >= 10]
    assert np.mean(usual) <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("n", SIZES)
def test_the_difference_of_two_models_covers_at_every_size(n):
    """The same with more runs."""
    found = [difference_coverage(n, mix, 20_000) for mix in PAIR_MIXES]
    assert min(found) >= allowed(0.93, 20_000)


def test_the_overall_difference_of_two_models_covers():
    """The mean of five paired differences at the benchmark's sizes."""
    rng, runs = np.random.default_rng(11), 400
    mixes = [PAIR_MIXES[place] for place in (0, 2, 3, 4, 2)]
    truth = float(np.mean([mix[2] - mix[0] for mix in mixes]))
    held = 0
    for _ in range(runs):
        means = []
        for n, mix in zip(FLAMES, mixes, strict=True):
            differences = rng.choice([-1.0, 0.0, 1.0], n, p=mix)
            means.append(paired_mean(np.maximum(differences, 0), np.maximum(-differences, 0)))
        found = rates.overall(means, rates.RATE_DIFFERENCE)
        held += found.low <= truth <= found.high
    assert held / runs >= allowed(0.93, runs)
