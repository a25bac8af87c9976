"""The doubt band of a cascade of two compared judges."""

from __future__ import annotations

import asyncio
import shlex

import numpy as np
import pytest

from judge.backends.panel import CascadeJudge
from judge.comparison.figures import FigureOptions
from judge.comparison.tuning import TuneOptions, tune
from judge.errors import InputError
from judge.testing import ScriptedJudge
from judge.verdict import FailureKind, Verdict
from tests.cases import case
from tests.comparison.judges import answers, cells_of, gold_of, judgements, runs_of
from tests.judged_run import verdict

TRUTH = answers(500)
CHEAP = judgements(TRUTH, (0.06, 0.06), "embedded", 1)
STRONG = judgements(TRUTH, (0.03, 0.03), "llm:x/strong", 2, cost_usd=0.004)


def tuned(cheap=CHEAP, strong=STRONG, truth=TRUTH, margin=0.08, costs=None):
    """The cascade of these judges."""
    runs = runs_of([cheap, strong])
    cells = cells_of([cheap, strong], gold_of(truth))
    return tune(runs, cells, TuneOptions(0, 1, margin, FigureOptions(costs=costs or {})))


def test_a_band_comes_with_its_figures_on_held_out_rows_and_the_flags_to_use_it():
    """Agreement of both, their difference within the margin, rows going up, cost, command."""
    found = tuned()
    assert found.refused is None
    assert (found.n_lined_up, found.n_held) == (250, 250)
    assert found.gain.low >= -found.margin
    assert found.gain.n == found.agreement.n == found.strong_agreement.n == 250
    assert found.gain.value == pytest.approx(found.agreement.value - found.strong_agreement.value)
    assert found.unit == "USD"
    assert found.strong_cost == pytest.approx(4.0)
    assert found.cost == pytest.approx(4.0 * found.going_up.value)
    assert found.cost < found.strong_cost
    words = shlex.split(found.command)
    assert words[:3] == ["--judge", "cascade:embedded>llm:x/strong", "--band"]
    assert tuple(map(float, words[3].split(","))) == found.band
    assert found.risk == pytest.approx(0.025)


def test_the_cascade_judge_does_with_the_band_what_was_measured():
    """The same rows go up, and the same verdicts come out, when the two judges really cascade."""
    gaps = [
        line if place % 7 else verdict(line["record_id"], kind="abstained")
        for place, line in enumerate(CHEAP)
    ]
    found = tuned(cheap=gaps)
    assert found.band is not None
    said = [
        {
            line["record_id"]: FailureKind.ABSTAINED if "kind" in line else line["p_harmless"]
            for line in lines
        }
        for lines in (gaps, STRONG)
    ]
    judges = [ScriptedJudge(lambda c, known=known: known[c.record.id]) for known in said]
    cascade = CascadeJudge(*judges, found.band)
    outcomes = asyncio.run(cascade.assess([case(id=key) for key in TRUTH]))
    right = np.array(
        [
            isinstance(outcome, Verdict) and outcome.harmless == (TRUTH[outcome.record_id] == 3)
            for outcome in outcomes
        ]
    )
    cells = cells_of([gaps, STRONG], gold_of(TRUTH))
    from judge.comparison.tuning import _Costs, _steps

    options = TuneOptions(0, 1, 0.08, FigureOptions())
    steps = _steps(cells.dimensions[0], options, _Costs("USD", 0.0, 1.0))
    assert (steps.right(found.band) == right).all()
    assert steps.going_up(found.band).sum() == len(judges[1].seen)


def test_without_prices_the_calls_of_the_strong_judge_are_counted():
    """An unknown price isn't 0: then the share of rows that go up is what is saved."""
    unpriced = [{**line, "cost_usd": None} for line in STRONG]
    found = tuned(strong=unpriced)
    assert found.unit == "calls of the strong judge"
    assert found.strong_cost == 1000
    assert found.cost == pytest.approx(1000 * found.going_up.value)
    assert tuned(strong=unpriced, costs={1: 9.0}).strong_cost == pytest.approx(9.0)


def test_too_few_rows_are_refused_with_the_number_that_is_needed():
    """The margin that even a cascade without any difference couldn't be shown to keep."""
    truth = {key: TRUTH[key] for key in list(TRUTH)[:100]}
    found = tuned(CHEAP[:100], STRONG[:100], truth, margin=0.02)
    assert found.refused == (
        "50 held-out rows can't carry a margin of 0.02: 183 are needed, 366 labelled rows in all"
    )
    assert found.band is found.command is None


def test_a_margin_that_isnt_shown_is_refused_with_what_was_shown():
    """A cheap judge that errs on sure rows: no band, and the figures of the safest one."""
    truth = answers(160)
    cheap = [
        line | {"p_harmless": 0.99 if line["harmless"] else 0.01}
        for line in judgements(truth, (0.4, 0.4), "embedded", 7)
    ]
    strong = judgements(truth, (0.0, 0.0), "llm:s", 8, cost_usd=0.1)
    for line in strong:
        line |= {"harmless": truth[line["record_id"]] == 3, "label": truth[line["record_id"]]}
    found = tuned(cheap, strong, truth, margin=0.06)
    assert found.refused.startswith("no band is shown to lose at most 0.06: the safest that saves")
    assert "on 80 held-out rows" in found.refused
    assert found.command is None


def test_a_cheap_judge_that_isnt_cheaper_is_refused():
    """Nothing is saved by asking it first."""
    dear = [line | {"cost_usd": 0.01} for line in CHEAP]
    found = tuned(cheap=[line | {"judge": {"name": "llm:d", "fingerprint": "d"}} for line in dear])
    assert found.refused == "no band saves anything: llm:d costs no less than llm:x/strong"


def test_a_cheap_judge_without_probabilities_is_an_error():
    """There is no doubt to go by; the line says how to get one."""
    plain = [line | {"p_harmless": None, "p_source": None} for line in CHEAP]
    with pytest.raises(InputError, match="gives no P"):
        tuned(cheap=plain)


def test_one_run_named_twice_is_an_error():
    """A judge doesn't cascade into itself."""
    runs, cells = runs_of([CHEAP, STRONG]), cells_of([CHEAP, STRONG], gold_of(TRUTH))
    with pytest.raises(InputError, match="names one run twice"):
        tune(runs, cells, TuneOptions(1, 1, 0.05, FigureOptions()))


def test_a_cascade_as_the_cheap_judge_has_no_flags():
    """`--judge` can't hold a cascade inside of another's cheap part: the band alone is given."""
    nested = [
        line | {"judge": {"name": "cascade:embedded>llm:a", "fingerprint": "c"}} for line in CHEAP
    ]
    found = tuned(cheap=nested, costs={0: 0.5})
    assert found.band is not None
    assert found.command is found.judge is None
