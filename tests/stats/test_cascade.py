"""The doubt band of a cascade: what goes up, what is lost, and what is promised on new data."""

from __future__ import annotations

import numpy as np
import pytest

from judge.stats.cascade import Steps, gain, halves, last_to_pass, line_up, rows_needed


def steps(p, cheap_right, strong_right, weight=None, cost=1.0):
    """Rows on prompts of their own; the cheap judge costs nothing."""
    n = len(p)
    return Steps(
        np.asarray(p, float),
        np.asarray(cheap_right, bool),
        np.asarray(strong_right, bool),
        np.zeros(n),
        np.full(n, cost),
        np.ones(n) if weight is None else np.asarray(weight, float),
        np.arange(n, dtype=np.uint64),
    )


def judges(n, draws, sharp=2.0, strong=0.93):
    """A cheap judge whose P(harmless) is about right, and a strong one beside it."""
    harmless = draws.random(n) < 0.6
    z = draws.normal(np.where(harmless, sharp, -sharp), 2.0)
    p = 1 / (1 + np.exp(-z))
    easy = 1 / (1 + np.exp(1 - np.abs(z)))
    sure = np.clip(strong + 0.1 * (easy - 0.5), 0, 1)
    return steps(p, (p >= 0.5) == harmless, draws.random(n) < sure)


def tuned(given, margin, draws):
    """The band that is given, or None; and the rows that it was held on."""
    choosing = halves(given.cluster, draws)
    chosen_on, held = given.where(choosing), given.where(~choosing)
    line = line_up(chosen_on, margin, 1.0)
    return last_to_pass(held, [one.band for one in line], margin), held


def test_doubtful_and_unsaid_rows_go_up():
    """The band is open at both ends, and a row without a P always goes up."""
    given = steps([0.1, 0.2, 0.5, 0.8, 0.9, np.nan], [1] * 6, [1] * 6)
    assert given.going_up((0.2, 0.8)).tolist() == [False, False, True, False, False, True]
    assert given.going_up((0.5, 0.5)).tolist() == [False] * 5 + [True]


def test_the_gain_is_what_the_cascade_gets_right_beside_the_strong_judge():
    """Rows that stay below count by the cheap judge: one is better, two are worse, of eight."""
    given = steps(
        [0.9, 0.9, 0.9, 0.9, 0.5, 0.5, 0.1, 0.1],
        [1, 0, 0, 1, 0, 0, 1, 1],
        [0, 1, 1, 1, 1, 0, 1, 1],
    )
    found = gain(given, (0.2, 0.8))
    assert found.value == pytest.approx(-1 / 8)
    assert found.value == pytest.approx(given.right((0.2, 0.8)).mean() - given.strong_right.mean())
    assert -1 <= found.low < found.value < found.high <= 1
    assert given.spent((0.2, 0.8)).sum() == 2
    weighted = gain(given._replace(weight=np.array([5.0, 1, 1, 1, 1, 1, 1, 1])), (0.2, 0.8))
    assert weighted.value == pytest.approx(3 / 12)


@pytest.mark.parametrize(("margin", "needed"), [(0.02, 183), (0.05, 72), (0.1, 36)])
def test_rows_needed_are_those_with_which_no_difference_passes(margin, needed):
    """One row fewer can't carry the margin, whatever the judges say."""
    assert rows_needed(margin) == needed
    for n, passes in ((needed, True), (needed - 1, False)):
        same = steps([0.9] * n, [1] * n, [1] * n)
        assert (gain(same, (0.0, 0.0)).low >= -margin) is passes


def test_bands_are_lined_up_from_the_safest_to_the_one_that_saves_most():
    """None is beaten in both; a cheap judge that costs as much as the strong one saves nothing."""
    given = judges(300, np.random.default_rng(0))
    line = line_up(given, 0.05, 1.0)
    assert len(line) > 3
    assert all(a.saves < b.saves and a.chance >= b.chance for a, b in zip(line, line[1:]))  # noqa: B905, RUF007
    assert not line_up(given._replace(cheap_cost=given.strong_cost), 0.05, 1.0)
    assert not line_up(given._replace(strong_cost=np.zeros(300)), 0.05, 1.0)


def test_the_tests_stop_at_the_first_band_that_fails():
    """A later band that would pass by luck isn't looked at: that keeps the promise."""
    n = 200
    given = steps([0.9] * n, [0] * 40 + [1] * (n - 40), [1] * n)
    safe, bad = (0.0, 1.0), (0.0, 0.5)
    assert last_to_pass(given, [safe, bad, safe], 0.05) == safe
    assert last_to_pass(given, [bad, safe], 0.05) is None


def test_halves_keep_the_answers_to_a_prompt_together():
    """A prompt on both sides would let the choice see the rows of the tests."""
    cluster = np.repeat(np.arange(50, dtype=np.uint64), 4)
    found = halves(cluster, np.random.default_rng(0))
    assert found.sum() == 100
    assert (found.reshape(50, 4).sum(axis=1) % 4 == 0).all()


WORLDS = (  # labelled rows, margin, the cheap judge's sharpness, the strong judge's accuracy
    (300, 0.05, 2.0, 0.93),
    (200, 0.1, 0.8, 0.93),
    (400, 0.05, 0.8, 0.99),
    (300, 0.05, 0.3, 0.97),
)


def promises(world, runs):
    """Shares of runs that give a band, whose band breaks the margin, and whose interval holds."""
    n, margin, sharp, strong = world
    draws = np.random.default_rng([n, int(1000 * margin), int(10 * sharp)])
    new = judges(200_000, draws, sharp, strong)
    given = broken = held = 0
    for _ in range(runs):
        band, rows = tuned(judges(n, draws, sharp, strong), margin, draws)
        if band is None:
            continue
        truth = float(new.right(band).mean() - new.strong_right.mean())
        found = gain(rows, band)
        given += 1
        broken += truth < -margin
        held += found.low <= truth <= found.high
    return given / runs, broken / runs, held / given


def check_promises(world, runs):
    given, broken, held = promises(world, runs)
    assert given > 0.6
    assert broken <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / runs)
    assert held >= 0.93 - 3 * np.sqrt(0.07 * 0.93 / (given * runs))


@pytest.mark.parametrize("world", WORLDS[:2])
def test_the_margin_is_kept_on_new_rows(world):
    """Bands from a few hundred labels, tried on 200,000 new rows: at most 2.5 % lose more."""
    check_promises(world, 8)


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS)
def test_the_margin_is_kept_on_new_rows_over_many_draws(world):
    """The same over 300 draws, with poor cheap judges and near-perfect strong ones."""
    check_promises(world, 300)


def test_a_choice_on_the_rows_that_it_is_judged_by_would_break_the_margin():
    """Why the tests have rows of their own: the best of all bands on one set loses more on new."""
    draws = np.random.default_rng(3)
    new = judges(200_000, draws, 0.3, 0.97)
    broken = 0
    for _ in range(12):
        given = judges(150, draws, 0.3, 0.97)
        line = line_up(given, 0.05, 1.0)
        fits = [one for one in line if gain(given, one.band).value >= -0.05]
        band = max(fits, key=lambda one: one.saves).band
        broken += new.right(band).mean() - new.strong_right.mean() < -0.05
    assert broken / 12 > 0.3
