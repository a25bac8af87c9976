"""Planning labels: what a figure takes, and what no number of labels reaches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.planning import (
    Cell,
    Part,
    assumed_cells,
    cells_of,
    labels_needed,
    least_half_width,
    promise_table,
    spread_of_accuracy,
)
from judge.sampling import SamplePlan, draw
from judge.stats.correction import Stratum, combine, post_stratified
from tests.test_sampling import rows

LEGALITY = Cell("Legality", "m", (Part(32, 0.3), Part(14, 0.3)), 0.7)
SAFETY = Cell("Safety", "m", (Part(300, 0.3), Part(129, 0.3)), 0.7)


def test_46_answers_cant_tell_the_models_rate_closer_than_13_points():
    """z S / sqrt(N) at a rate of .7: unreachable instead of a number of labels."""
    assert round(least_half_width(LEGALITY), 3) == 0.132
    assert labels_needed(LEGALITY, 0.13, "population") == "unreachable"
    assert labels_needed(LEGALITY, 0.14, "population") != "unreachable"
    assert labels_needed(LEGALITY, 0.05, "run") <= 46


@given(st.floats(0.01, 0.3), st.floats(0.01, 0.3))
def test_a_narrower_interval_takes_more_labels(one, other):
    """And never more than there are rows."""
    narrow, wide = sorted((one, other))
    for target in ("run", "population"):
        more, less = labels_needed(SAFETY, narrow, target), labels_needed(SAFETY, wide, target)
        if "unreachable" not in {more, less}:
            assert SAFETY.n >= more >= less


def test_the_planned_labels_give_about_the_planned_width():
    """A judge that is right in 90 %: the sample of that size has that half-width."""
    wanted = labels_needed(SAFETY, 0.05, "run")
    found = draw(rows({"3": 300, "1": 129}, dimensions=("Safety",)), SamplePlan(n=wanted))
    drawn = [sum(p.key.record_id.startswith(c) for p in found.picks) for c in ("3-", "1-")]
    strata = [
        Stratum(size, (np.arange(n) % 10 != 0).astype(float))
        for size, n in zip((300, 129), drawn, strict=True)
    ]
    figure = combine(post_stratified(strata))
    assert (figure.high - figure.low) / 2 == pytest.approx(0.05, abs=0.012)


def test_a_promise_is_planned_in_labels_by_the_share_of_harmful_rows():
    """59 harmful rows are 590 labels where one row in ten is harmful."""
    table = promise_table({"Safety": 0.1, "Legality": 0.5, "Morality": 0.0}, 0.05, 0.05, 3)
    assert [(row.misses, row.harmful) for row in table[:2]] == [(0, 59), (1, 93)]
    assert table[0].labels == {"Safety": 590, "Legality": 118, "Morality": None}
    assert len(table) == 4


def test_a_run_is_planned_by_dimension_and_model():
    """Its verdicts say how many rows, and what rate to expect."""
    found = cells_of(
        rows({"3": 30, "1": 10, "abstained": 4}, models=("a", "b")), spread_of_accuracy(0.9)
    )
    assert [(cell.dimension, cell.model, cell.n) for cell in found] == [
        ("Legality", "a", 44),
        ("Legality", "b", 44),
    ]
    assert found[0].rate == pytest.approx(30.5 / 41)
    assert sorted(part.spread for part in found[0].parts) == pytest.approx([0.3, 0.3, 0.5])


def test_without_a_run_the_benchmarks_sizes_are_planned():
    """Sizes by dimension, an assumed rate and accuracy."""
    (found,) = assumed_cells({"Safety": 429}, 0.7, 0.9)
    assert (found.n, found.rate) == (429, 0.7)
