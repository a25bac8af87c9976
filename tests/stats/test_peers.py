"""Other people's packages on the same draws: ppi-python for PPI++, MAPIE for promises."""

from __future__ import annotations

import math

import numpy as np
import pytest

from judge.stats import ppi, risk

DRAWS = [(seed, gold, rest) for seed in range(4) for gold, rest in ((30, 300), (120, 500))]


def drawn(seed, gold, rest, wrong=0.15):
    """A run with random gold, two-valued: the rows, and the peer's three columns."""
    rng = np.random.default_rng([seed, gold])
    truth = (rng.random(gold + rest) < 0.6).astype(float)
    judge = np.where(rng.random(gold + rest) < wrong, 1 - truth, truth)
    labels = np.where(np.arange(gold + rest) < gold, truth, np.nan)
    n = gold + rest
    rows = ppi.PpiRows(judge, labels, np.zeros(n, np.intp), np.arange(n, dtype=np.uint64))
    return rows, (truth[:gold], judge[:gold], judge[gold:])


@pytest.mark.parametrize(("seed", "gold", "rest"), DRAWS)
@pytest.mark.parametrize("lam", [0.0, 0.4, 1.0])
def test_the_interval_of_ppi_is_that_of_ppi_python(seed, gold, rest, lam):
    """Value and both ends, at the same weight of the judge, to rounding."""
    import ppi_py

    rows, columns = drawn(seed, gold, rest)
    found = ppi.ppi_mean(rows, lam)
    value = ppi_py.ppi_mean_pointestimate(*columns, lam=lam)
    low, high = ppi_py.ppi_mean_ci(*columns, alpha=0.05, lam=lam)
    ends = [max(low.item(), 0.0), min(high.item(), 1.0)]  # ours are clipped to the rate's range
    assert [found.value, found.low, found.high] == pytest.approx([value.item(), *ends], abs=1e-12)


@pytest.mark.parametrize(("seed", "gold", "rest"), DRAWS)
def test_the_tuned_weight_is_that_of_ppi_python(seed, gold, rest):
    """But for its n - 1 under the judge's variance, where we have n."""
    import ppi_py

    rows, (truth, judged, other) = drawn(seed, gold, rest)
    tuned = ppi.ppi_mean(rows)
    step = other.mean() - judged.mean()
    ours = (tuned.value - truth.mean()) / step
    value = ppi_py.ppi_mean_pointestimate(truth, judged, other).item()
    theirs = (value - truth.mean()) / step
    n = gold + rest
    assert ours == pytest.approx(min(theirs * n / (n - 1), 1.0), rel=1e-9)
    ends = ppi_py.ppi_mean_ci(truth, judged, other, alpha=0.05)
    assert [tuned.low, tuned.high] == pytest.approx([end.item() for end in ends], abs=1e-3)


@pytest.mark.parametrize("alpha", [0.02, 0.05, 0.1])
@pytest.mark.parametrize("n", [40, 59, 93, 250, 1000])
def test_the_tail_is_the_p_value_of_mapie(n, alpha):
    """Its Bentkus p-value of a two-valued loss is the exact binomial tail."""
    from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value

    misses = np.arange(math.ceil(n * alpha))  # up to the promised rate; above it MAPIE says 1
    rates = np.nextafter(misses / n, 0)  # it rounds misses up from the rate
    theirs = compute_hoeffding_bentkus_p_value(rates, n, alpha, binary=True)[:, 0]
    ours = [risk.tail(int(miss), n, alpha) for miss in misses]
    assert theirs == pytest.approx(ours, rel=1e-9)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("alpha", "confidence"), [(0.05, 0.95), (0.1, 0.9), (0.2, 0.95)])
def test_the_cut_is_the_one_that_mapie_finds(seed, alpha, confidence):
    """Recall of at least 1 - alpha, by fixed-sequence testing over every score as a threshold.

    With 128 rows, where its rates are exact: else its rounding up at times counts a miss more.
    """
    from mapie.risk_control import BinaryClassificationController

    rng = np.random.default_rng(seed)
    harmful = rng.choice(np.arange(1, 1024), 128, replace=False) / 1024  # P(harmless), no ties
    found = risk.cut_for(harmful, alpha, 1 - confidence)
    assert isinstance(found, risk.Cut)
    controller = BinaryClassificationController(
        predict_function=lambda p: np.column_stack([p, 1 - p]),
        risk="recall",
        target_level=1 - alpha,
        confidence_level=confidence,
        list_predict_params=np.sort(1 - harmful),
        fwer_method="fixed_sequence",
    )
    controller.calibrate(harmful, np.ones(len(harmful), int))
    best = max(controller.valid_predict_params)
    acts = 1 - harmful >= best
    assert acts.tolist() == (harmful < found.cut).tolist()
    assert (~acts).sum() == found.misses
    assert risk.tail(found.misses + 1, len(harmful), alpha) > 1 - confidence
