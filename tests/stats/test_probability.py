"""Maps to P(harmless), and what they are worth on rows that they weren't fitted on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from judge.stats import probability as prob
from judge.stats.probability import Labelled


def labelled(score, harmless, weight=None, cluster=None):
    n = len(score)
    return Labelled(
        np.asarray(score, float),
        np.asarray(harmless, float),
        np.ones(n) if weight is None else np.asarray(weight, float),
        np.arange(n, dtype=np.uint64) if cluster is None else np.asarray(cluster, np.uint64),
    )


def drawn(n, seed=0, power=1.0):
    """Rows whose P(harmless) is `score ** power`."""
    rng = np.random.default_rng(seed)
    score = rng.random(n)
    return labelled(score, rng.random(n) < score**power)


rows = st.lists(
    st.tuples(st.sampled_from([0.0, 0.01, 0.3, 0.5, 0.7, 1.0]), st.booleans(), st.integers(1, 5)),
    min_size=4,
    max_size=40,
)


@pytest.mark.parametrize("name", prob.FITTERS)
@given(rows)
@settings(deadline=None, max_examples=40)
def test_a_map_never_falls_and_never_says_certain(name, parts):
    """Whatever the labels and weights: rising x, never falling y, inside of (0, 1)."""
    score, harmless, weight = (np.array(column) for column in zip(*parts, strict=True))
    curve = prob.FITTERS[name](labelled(score, harmless, weight))
    assert (np.diff(curve.x) > 0).all()
    assert (np.diff(curve.y) >= -1e-12).all()
    assert (curve(score) > 0).all()
    assert (curve(score) < 1).all()


@given(rows)
@settings(deadline=None, max_examples=40)
def test_the_step_curve_is_that_of_scikit_learn(parts):
    """Weighted isotonic regression agrees with the field's library, up to the edge."""
    score, harmless, weight = (np.array(column, float) for column in zip(*parts, strict=True))
    mine = labelled(score, harmless, weight)
    peer = IsotonicRegression(out_of_bounds="clip").fit(score, harmless, sample_weight=weight)
    edge = 1 / (prob.kish_n(weight) + 2)
    expected = np.clip(peer.predict(score), edge, 1 - edge)
    assert prob.isotonic(mine)(score) == pytest.approx(expected, abs=1e-9)


def test_the_logistic_curve_is_that_of_scikit_learn():
    """With many rows Platt's smoothing vanishes and the curve is logistic regression's."""
    mine = drawn(4000, power=2.0)
    inner = np.log(np.clip(mine.score, 1e-4, 1 - 1e-4) / (1 - np.clip(mine.score, 1e-4, 1 - 1e-4)))
    peer = LogisticRegression(C=np.inf, max_iter=1000).fit(inner[:, None], mine.harmless)
    expected = peer.predict_proba(inner[:, None])[:, 1]
    assert prob.platt(mine)(mine.score) == pytest.approx(expected, abs=5e-3)


def test_a_bent_scale_is_straightened():
    """A judge whose scores are the cube root of the truth comes out calibrated."""
    mine = drawn(2000, power=3.0)
    for fitter in prob.FITTERS.values():
        assert np.abs(fitter(mine)(mine.score) - mine.score**3).mean() < 0.05


def test_a_judge_that_is_upside_down_gets_a_flat_map():
    """Slopes never fall, so that a cut keeps its meaning."""
    mine = drawn(500)
    upside_down = mine._replace(score=1 - mine.score)
    for fitter in (prob.platt, prob.beta):
        assert np.ptp(fitter(upside_down).y) < 1e-9


def test_no_row_is_scored_by_a_curve_that_saw_its_prompt():
    """Each prompt's answers are in one fold."""
    seen = []

    def fitter(rows):
        seen.append(set(rows.cluster.tolist()))
        return prob.isotonic(rows)

    mine = drawn(60)._replace(cluster=np.repeat(np.arange(20, dtype=np.uint64), 3))
    found = prob.cross_fit(mine, fitter, np.random.default_rng(0))
    assert len(seen) == prob.FOLDS
    assert sorted(len(prompts) for prompts in seen) == [16] * 5
    assert ((found > 0) & (found < 1)).all()


def test_memorizing_is_not_rewarded():
    """On scores that say nothing, the step curve loses to the smooth ones."""
    rng = np.random.default_rng(3)
    mine = labelled(rng.random(200), rng.random(200) < 0.5)
    assert prob.choose(mine, list(prob.FITTERS)).name != "isotonic"


def test_brier_and_log_loss_are_the_means_with_intervals():
    """Weighted means of the squared error and of the surprise."""
    mine = labelled([0.9, 0.2, 0.6, 0.4], [1, 0, 1, 1], [1, 1, 1, 3])
    squares = [0.01, 0.04, 0.16, 0.36]
    found = prob.brier(mine.score, mine)
    assert found.value == pytest.approx(np.average(squares, weights=mine.weight))
    assert 0 <= found.low < found.value < found.high <= 1
    loss = prob.log_loss(mine.score, mine)
    surprise = -np.log([0.9, 0.8, 0.6, 0.4])
    assert loss.value == pytest.approx(np.average(surprise, weights=mine.weight))
    assert loss.low < loss.value < loss.high


def test_a_perfect_judge_has_a_calibration_error_too():
    """At n = 200 with 10 bins it shows .07, which is why its null band is told."""
    values = []
    for seed in range(20):
        mine = drawn(200, seed)
        groups = prob.bins_of(mine.score)
        found = prob.calibration_error(mine.score, mine, groups, np.random.default_rng(seed))
        values.append(found.value <= found.null)
        assert found.expected == pytest.approx(0.07, abs=0.01)
    assert sum(values) >= 16


def test_a_judge_that_is_too_sure_is_outside_of_the_null_band():
    """Probabilities pushed to the ends show up."""
    mine = drawn(400)
    sure = np.where(mine.score > 0.5, 0.99, 0.01)
    groups = prob.bins_of(sure)
    found = prob.calibration_error(sure, mine, groups, np.random.default_rng(0))
    assert found.value > 2 * found.null


def test_the_reliability_diagram_counts_every_row_once():
    """Ten bins, in rising order, each with its rate and interval."""
    mine = drawn(200)
    bins = prob.reliability(mine.score, mine, prob.bins_of(mine.score))
    assert len(bins) == 10
    assert sum(b.n for b in bins) == 200
    assert [b.p for b in bins] == sorted(b.p for b in bins)
    assert all(b.low <= b.rate <= b.high for b in bins)
    alike = prob.bins_of(np.full(30, 0.4))
    assert set(alike.tolist()) == {0}
