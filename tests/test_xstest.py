"""A real judge beside real people: GPT-4 on XSTest, corrected by 300 labels."""

from __future__ import annotations

import numpy as np
import pytest

from tests import xstest
from tests.many_draws import corrected, covered, narrowed, saved


def test_the_judge_is_16_points_off():
    """What the raw rate says, and what people say."""
    known = xstest.known()
    assert len(known.rows) == 1800
    assert (round(100 * known.judges_rate, 1), round(100 * known.rate(), 1)) == (44.4, 60.2)


def check(seeds, slack):
    known = xstest.known()
    found = corrected(known, seeds)
    assert set(found) == {None, *xstest.MODELS}
    for who, figures in found.items():
        share = covered(figures, known.rate(who))
        assert 0.921 - slack <= share <= 0.985 + slack, who
    assert saved(found[None], known) >= 0.48 - slack
    assert narrowed(found[None], known) >= 0.48


def test_300_labels_correct_the_rate_of_every_model():
    """75 labels a model, drawn by verdict: intervals that cover, and half of the labels saved."""
    check(60, 3 * np.sqrt(0.05 * 0.95 / 60))


@pytest.mark.slow
def test_300_labels_correct_the_rate_over_500_draws():
    """Coverage within [.921, .985] for each model and all together; 48 % of the labels saved."""
    check(500, 0.0)
