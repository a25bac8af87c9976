"""A real judge beside real people: GPT-4 on XSTest, corrected by 300 labels."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest

from judge.judged import judged_rows
from judge.sampling import SamplePlan, draw
from judge.stats.correction import Stratum, combine, post_stratified
from tests import xstest
from tests.judged_run import entries

LABELS = 300


def estimates(seeds):
    """Corrected rates of each model and of all together, and the rates that people found."""
    rows = judged_rows(entries(xstest.verdicts()))
    truth = {key: label == 3 for key, label in xstest.truth().items()}
    sizes = Counter((key.model, row.category) for key, row in rows.items())
    found = defaultdict(list)
    for seed in range(seeds):
        values = defaultdict(list)
        for pick in draw(rows.values(), SamplePlan(n=LABELS, seed=seed)).picks:
            stratum = pick.key.model, rows[pick.key].category
            values[stratum].append(float(truth[pick.key.model, pick.key.record_id]))
        for who in (None, *xstest.MODELS):
            mine = [
                Stratum(n, np.array(values[stratum]))
                for stratum, n in sizes.items()
                if who in {None, stratum[0]}
            ]
            found[who].append(combine(post_stratified(mine)))
    rates = {
        who: np.mean([value for (model, _), value in truth.items() if who in {None, model}])
        for who in found
    }
    return found, rates


def covered(figures, rate):
    return np.mean([figure.low <= rate <= figure.high for figure in figures])


def saved(figures, rate):
    """Labels saved: one minus the variance over that of as many labels drawn without a judge."""
    n, whole = LABELS, len(xstest.rows())
    plain = rate * (1 - rate) / n * (whole - n) / (whole - 1)
    return 1 - np.mean([(figure.value - rate) ** 2 for figure in figures]) / plain


def narrowed(figures, rate):
    """The same by the intervals' mean width, against a normal interval."""
    n, whole = LABELS, len(xstest.rows())
    plain = 2 * 1.96 * np.sqrt(rate * (1 - rate) / n * (whole - n) / (whole - 1))
    return 1 - (np.mean([figure.high - figure.low for figure in figures]) / plain) ** 2


def test_the_judge_is_16_points_off():
    """What the raw rate says, and what people say."""
    assert len(xstest.rows()) == 1800
    gpt4 = np.mean([line["label"] == 3 for line in xstest.verdicts()])
    people = np.mean([label == 3 for label in xstest.truth().values()])
    assert (round(100 * gpt4, 1), round(100 * people, 1)) == (44.4, 60.2)


def check(seeds, slack):
    found, rates = estimates(seeds)
    for who, figures in found.items():
        share = covered(figures, rates[who])
        assert 0.921 - slack <= share <= 0.985 + slack, who
    assert saved(found[None], rates[None]) >= 0.48 - slack
    assert narrowed(found[None], rates[None]) >= 0.48


def test_300_labels_correct_the_rate_of_every_model():
    """75 labels a model, drawn by verdict: intervals that cover, and half of the labels saved."""
    check(60, 3 * np.sqrt(0.05 * 0.95 / 60))


@pytest.mark.slow
def test_300_labels_correct_the_rate_over_500_draws():
    """Coverage within [.921, .985] for each model and all together; 48 % of the labels saved."""
    check(500, 0.0)
