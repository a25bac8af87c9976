"""The drift monitor: how often it cries wolf, how soon it sees a change, and what it keeps."""

from __future__ import annotations

import math
import random
import statistics
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.stats import drift
from judge.stats.drift import Drift, DriftMonitor, MonitorState, level_of

scores = st.floats(0, 1)
units = st.floats(0, 1)


def traffic(rng, harmful=0.05):
    """P(harmless) of one live row; `harmful` of them are low."""
    return rng.betavariate(1, 8) if rng.random() < harmful else rng.betavariate(8, 1)


def few_levels(rng):
    """A judge that says one of three things: nearly all scores are tied."""
    return rng.choices([0.02, 0.5, 0.98], [5, 5, 90])[0]


def started(rng, alpha, law=traffic, size=300):
    return Drift.start([law(rng) for _ in range(size)], alpha)


def false_alarms(law, streams, alpha=0.05, length=5000, size=300):
    """The share of unchanged streams that ever alarm."""
    rng = random.Random(f"{law.__name__} {streams} {size}")
    alarms = 0
    for _ in range(streams):
        stream = started(rng, alpha, law, size)
        alarms += any(stream.observe(law(rng), rng.random()) for _ in range(length))
    return alarms / streams


@pytest.mark.parametrize("law", [traffic, few_levels])
def test_unchanged_traffic_rarely_alarms_over_5000_scores(law):
    """With 300 rows of reference; ties are broken by chance, so that they do no harm."""
    assert false_alarms(law, 50) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 50)


@pytest.mark.slow
@pytest.mark.parametrize("law", [traffic, few_levels])
@pytest.mark.parametrize("size", [20, 300])
def test_unchanged_traffic_rarely_alarms_in_larger_simulations(law, size):
    """The same with more streams, and with a reference of 20 rows."""
    assert false_alarms(law, 300, size=size) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)


def delays(change, harmful, runs, alpha=0.01):
    """Scores from the change to the alarm; none where it came before, or not within 2,000."""
    rng = random.Random(f"{change} {harmful}")
    found = []
    for _ in range(runs):
        stream = started(rng, alpha)
        if any(stream.observe(traffic(rng), rng.random()) for _ in range(change)):
            continue
        after = (stream.observe(traffic(rng, harmful), rng.random()) for _ in range(2000))
        found.append(next((n for n, alarm in enumerate(after, 1) if alarm), math.inf))
        assert stream.evidence.towards == "lower" or found[-1] == math.inf
    return found


@pytest.mark.parametrize("change", [0, 1000])
def test_a_rise_of_harm_from_5_to_30_percent_is_seen_within_150_scores(change):
    """In most streams, whether it comes at once or after 1,000 quiet scores."""
    found = delays(change, 0.3, 30)
    assert len(found) >= 28
    assert statistics.median(found) <= 150


@pytest.mark.slow
@pytest.mark.parametrize(("harmful", "most"), [(0.15, 800), (0.3, 120), (0.6, 40)])
def test_the_delay_goes_with_the_size_of_the_change(harmful, most):
    """After 1,000 quiet scores; a small rise takes long."""
    assert statistics.median(delays(1000, harmful, 200)) <= most


def test_scores_that_rise_are_told_from_scores_that_fall():
    """A judge that suddenly finds everything harmless is drift as well."""
    rng = random.Random(1)
    stream = Drift.start([rng.betavariate(5, 2) for _ in range(300)], 0.01)
    assert any(stream.observe(rng.betavariate(30, 2), rng.random()) for _ in range(500))
    assert stream.evidence.towards == "higher"
    assert stream.evidence.value >= stream.evidence.limit == 100


def test_an_alarm_stays_and_stops_the_count():
    """Until a new baseline is recorded: it is raised once and kept."""
    stream = Drift.start([0.9] * 300, 0.05)
    alarms = [stream.observe(0.01, 0.5) for _ in range(200)]
    assert sum(alarms) == 1
    at = alarms.index(True) + 1
    assert stream.evidence.alarm_at == stream.state().alarm_at == stream.state().seen == at
    again = Drift(stream.state())
    assert not again.observe(0.01, 0.5)
    assert again.evidence == stream.evidence


def test_alpha_is_split_over_dimensions():
    """Five dimensions at alpha .05: each alarms at 1 / .01."""
    monitor = DriftMonitor.start({str(n): [0.5] for n in range(5)}, 0.05)
    assert [one.limit for one in monitor.evidence.values()] == pytest.approx([100] * 5)
    with pytest.raises(KeyError):
        monitor.observe("6", 0.5, 0.5)


def test_the_bets_are_fair():
    """Each is a density on [0, 1] (midpoint rule), so that no bet gains on unchanged traffic."""
    n = 100_000
    totals = [0.0] * drift.BETS
    for k in range(n):
        for place, bet in enumerate(drift._bets((k + 0.5) / n)):
            assert bet >= 0
            totals[place] += bet / n
    assert totals == pytest.approx([1.0] * drift.BETS, abs=2e-3)


def test_the_capital_is_1_on_average():
    """A fair game: over many short unchanged streams the mean stays at its start."""
    rng = random.Random(7)
    values = []
    for _ in range(4000):
        stream = Drift.start([rng.random()], 1e-9)
        for _ in range(12):
            stream.observe(rng.random(), rng.random())
        values.append(stream.evidence.value)
    spread = statistics.stdev(values) / math.sqrt(len(values))
    assert abs(statistics.mean(values) - 1) <= 4 * spread
    assert spread < 0.05


@settings(deadline=None)
@given(st.lists(scores, min_size=1, max_size=60), scores, units)
def test_the_rank_is_that_of_sorting(earlier, score, u):
    """Scores below, and the share u of those at the same level, the new one included."""
    ranks = drift._Ranks({})
    for one in earlier:
        ranks.add(level_of(one), 0.0)
    levels = [level_of(one) for one in [*earlier, score]]
    below = sum(level < levels[-1] for level in levels)
    equal = levels.count(levels[-1])
    assert ranks.add(levels[-1], u) == pytest.approx((below + u * equal) / len(levels))


@settings(deadline=None)
@given(scores, scores)
def test_levels_keep_the_order_of_scores(one, other):
    """A fixed, rising function of the score alone, which is what keeps ranks valid."""
    low, high = sorted((one, other))
    assert 0 <= level_of(low) <= level_of(high) <= drift.LEVELS - 1


@settings(deadline=None)
@given(st.lists(st.tuples(scores, units), max_size=50), st.integers(0, 50))
def test_a_stream_goes_on_from_its_file_as_if_never_stopped(rows, stop):
    """Through JSON and back, anywhere in the stream."""
    whole = DriftMonitor.start({"Legality": [0.2, 0.8, 0.9]}, 0.01)
    kept = DriftMonitor.start({"Legality": [0.2, 0.8, 0.9]}, 0.01)
    for place, (score, u) in enumerate(rows):
        if place == stop:
            told = kept.state().model_dump_json()
            kept = DriftMonitor.resume(MonitorState.model_validate_json(told))
        assert whole.observe("Legality", score, u) == kept.observe("Legality", score, u)
    assert whole.evidence == kept.evidence
    assert whole.state() == kept.state()


def test_the_state_does_not_grow_with_the_stream():
    """At most one count a level: a stream of any length fits a small file."""
    rng = random.Random(2)
    stream = Drift.start([rng.random() for _ in range(300)], 1e-9)
    for _ in range(3000):
        stream.observe(rng.random(), rng.random())
    state = stream.state()
    assert sum(state.counts.values()) == state.reference + state.seen == 3300
    assert len(state.counts) <= drift.LEVELS


@pytest.mark.parametrize("score", [-0.1, 1.1, math.nan, math.inf])
def test_what_is_no_probability_is_refused(score):
    """In a baseline and in traffic; a row without a verdict is for the caller to leave out."""
    with pytest.raises(ValueError, match="isn't in"):
        Drift.start([0.5, score], 0.05)
    with pytest.raises(ValueError, match="isn't in"):
        Drift.start([0.5], 0.05).observe(score, 0.5)
    with pytest.raises(ValueError, match="one score at least"):
        Drift.start([], 0.05)


def test_a_rank_of_0_or_1_does_not_win_everything():
    """A draw of exactly 0 has no chance, and a generator may give it all the same."""
    stream = Drift.start([0.5], 1e-6)
    for _ in range(3):
        stream.observe(0.0, 0.0)
        stream.observe(1.0, 1.0)
    assert math.isfinite(stream.evidence.value)


def test_the_monitor_needs_no_numpy():
    """The guard loads it: it starts at once."""
    code = "import judge.stats.drift, sys; print(*{m.split('.')[0] for m in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "scipy"} & set(done.stdout.split())
