"""Streams: ten looks at a one-look cut, the cut of the least, and what is promised about it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.calibration import Looks, Promise, Threshold
from judge.stats.risk import Cut, Shortage, cut_for
from judge.stats.streams import false_blocks, least, stream_cut
from judge.stream_promises import LookedAt, stream_threshold

MISS, DELTA, LOOKS = 0.05, 0.05, 10
HARMFUL, HARMLESS = (
    -1.6449,
    2.3263,
)  # at one look: 5 % of harmful rows miss a cut at 1/2, 1 % hit it
WINDOWS = Looks(window=80, overlap=40)

p = st.none() | st.floats(0, 1)
looks = st.lists(p, max_size=6)


def looks_of(mean, n, rng, correlation=0.7):
    """P(harmless) at ten looks at n texts, shape (n, 10).

    Log-odds are normal, with the same law at each look, and correlated by .7 with the last.
    """
    steps = [rng.standard_normal(n)]
    for _ in range(LOOKS - 1):
        new = math.sqrt(1 - correlation**2) * rng.standard_normal(n)
        steps.append(correlation * steps[-1] + new)
    return 1 / (1 + np.exp(-(mean + np.column_stack(steps))))


def test_ten_looks_at_a_one_look_cut_block_6_9_percent_instead_of_1():
    """A cut that blocks 1 % of harmless texts at one look is not the cut of ten."""
    harmless = looks_of(HARMLESS, 400_000, np.random.default_rng(1))
    once = (harmless[:, -1] < 0.5).mean()
    ten_times = (harmless.min(axis=1) < 0.5).mean()
    assert once == pytest.approx(0.01, abs=0.001)
    assert ten_times == pytest.approx(0.069, abs=0.0015)


def promised(runs, n, seed=2):
    """The share of broken promises, and mean rates of false blocks: of one-look cuts and of ours.

    Each run draws n harmful rows of gold and sets both cuts for a miss rate of 5 %.
    """
    rng = np.random.default_rng(seed)
    new = looks_of(HARMFUL, 100_000, rng).min(axis=1)
    clean = looks_of(HARMLESS, 100_000, rng)
    broken, rates = 0, []
    for _ in range(runs):
        gold = looks_of(HARMFUL, n, rng)
        once, ours = cut_for(gold[:, -1], MISS, DELTA), stream_cut(gold.tolist(), MISS, DELTA)
        assert isinstance(once, Cut)
        assert isinstance(ours, Cut)
        broken += (new >= ours.cut).mean() > MISS
        lowest = clean.min(axis=1)
        rates.append(
            (
                (clean[:, -1] < once.cut).mean(),
                (lowest < once.cut).mean(),
                (lowest < ours.cut).mean(),
            )
        )
    return broken / runs, np.mean(rates, axis=0)


def test_the_cut_of_the_least_keeps_the_promise_and_blocks_fewer():
    """Of ten looks: the promised 5 % of misses, with a seventh of the false blocks or less."""
    broken, (once, ten_times, ours) = promised(120, 200)
    assert broken <= DELTA + 3 * math.sqrt(DELTA * (1 - DELTA) / 120)
    assert ten_times > 4 * once
    assert ours < ten_times / 7
    assert ours < once


@pytest.mark.slow
@pytest.mark.parametrize("n", [59, 200, 1000])
def test_promises_about_streams_are_kept_in_larger_simulations(n):
    """The same with more runs, and with the least gold that carries the promise."""
    broken, (_, ten_times, ours) = promised(600, n)
    assert broken <= DELTA + 3 * math.sqrt(DELTA * (1 - DELTA) / 600)
    assert ours < ten_times


@settings(deadline=None)
@given(st.lists(looks, max_size=80))
def test_a_stream_is_missed_only_if_no_look_is_below_the_cut(rows):
    """The cut of the least is the cut of "stop at the first look below it"."""
    found = stream_cut(rows, 0.1, 0.1)
    if isinstance(found, Shortage):
        assert found.missing >= 1
        return
    stopped = [any(look is not None and look < found.cut for look in row) for row in rows]
    assert len(rows) - sum(stopped) == found.misses
    assert stopped == [least(row) < found.cut for row in rows]


@settings(deadline=None)
@given(looks, looks)
def test_more_looks_never_raise_the_least(first, more):
    """So a cut of many looks is never above that of some of them."""
    assert least(first + more) == min(least(first), least(more))


def test_a_text_whose_looks_all_fail_is_missed_at_every_cut():
    """A judge that gave nothing on a harmful row promises nothing about it."""
    assert least([None, None]) == least([]) == math.inf
    assert least([None, 0.3]) == 0.3
    found = stream_cut([[None]] * 5 + [[0.1, 0.2]] * 90, 0.05, 0.05)
    assert isinstance(found, Shortage)
    assert "5 of 95 harmful rows are missed at any cut" in found.why


def test_false_blocks_have_an_interval():
    """2 of 100 harmless streams, one of them at its last look alone."""
    rows = [[0.9, 0.1], [0.1], *[[0.8, 0.9, None]] * 98]
    found = false_blocks(rows, 0.2)
    assert (found.value, found.n, found.method) == (0.02, 100, "Wilson")
    assert 0 < found.low < 0.02 < found.high
    assert false_blocks([], 0.2).why == "no harmless row was labelled"


def replayed(harmful, harmless, seed=3):
    """Gold rows with their looks."""
    rng = np.random.default_rng(seed)
    both = looks_of(HARMFUL, harmful, rng).tolist() + looks_of(HARMLESS, harmless, rng).tolist()
    return [LookedAt(row, n < harmful, n) for n, row in enumerate(both)]


def test_a_guard_gets_a_threshold_that_names_its_looks():
    """Pure lists in, a threshold out: it holds for streams that are looked at like the gold."""
    rows = replayed(200, 300)
    found = stream_threshold(rows, Promise(miss_rate=0.05), WINDOWS)
    assert isinstance(found, Threshold)
    assert (found.looks, found.n, found.alpha) == (WINDOWS, 200, 0.05)
    assert found.attained <= 0.05
    assert found.misses == sum(not found.acts(least(row.looks)) for row in rows[:200])
    blocked = sum(found.acts(least(row.looks)) for row in rows[200:])
    assert found.false_alarm.value == pytest.approx(blocked / 300)
    assert found.method == "exact binomial order statistic of the least P(harmless) over looks"
    assert Threshold.model_validate_json(found.model_dump_json()) == found
    joint = stream_threshold(rows, Promise(miss_rate=0.05), WINDOWS, joint=True)
    assert (joint.delta, joint.joint) == (pytest.approx(0.01), True)
    assert joint.cut >= found.cut


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (replayed(40, 60), "19 harmful rows are missing, about 48 labels"),
        ([row._replace(cluster=1) for row in replayed(100, 10)], "answer one prompt"),
        ([LookedAt([0.5], harmful=n < 80, cluster=n) for n in range(90)], "stops every stream"),
        ([], "59 are needed"),
    ],
    ids=["few", "one prompt", "no cut", "nothing"],
)
def test_a_promise_that_cant_be_kept_says_why(rows, why):
    """Too few harmful rows, several of one prompt, or nothing but stopping everything."""
    assert why in stream_threshold(rows, Promise(miss_rate=0.05), WINDOWS)
