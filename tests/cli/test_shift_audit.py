"""The shift audit in a report: does a run look like the gold that corrects it?"""

from __future__ import annotations

import json

import numpy as np
import pytest
from rich.console import Console

from judge.calibration import Calibration
from judge.calibration_fit import FitOptions, fit
from judge.judged import judged_rows
from judge.render_corrected import show_corrected
from judge.report import RunFacts
from judge.report.corrected import CorrectOptions, correct
from judge.report.from_log import run_report
from judge.report.shift import MARGIN
from tests.cases import rubrics
from tests.judged_run import entries, judged, write_run
from tests.test_corrected import LABELS, gold_of

ERRORS = (0.1, 0.1)


def told(lines, seed, letters="字", longer=1.0):
    """The lines with responses whose lengths go with their scores: refusals are short."""
    rng = np.random.default_rng(seed)
    return [
        line | {"response": letters * int(longer * rng.lognormal(5 - line["p_harmless"], 0.5))}
        for line in lines
    ]


@pytest.fixture(scope="module")
def known():
    """A calibration by 400 gold rows."""
    lines, truth = judged(400, 0.5, ERRORS, seed=1)
    rows = judged_rows(entries(told(lines, 1)))
    return fit(rows, gold_of(truth), LABELS, FitOptions("now")).calibration


def report_of(lines, calibration):
    """A run's report, corrected."""
    mine = entries(lines)
    report = run_report(mine, rubrics(), RunFacts(judge="scripted"))
    return correct(report, judged_rows(mine), calibration, CorrectOptions(suite=rubrics().suite))


def audited(lines, calibration):
    return report_of(lines, calibration).models["m"].dimensions["Legality"].corrected


def printed(lines, calibration):
    """What the terminal says of the corrected figures, on one line."""
    console = Console(width=200)
    with console.capture() as shown:
        show_corrected(report_of(lines, calibration).models["m"], 0.95, console)
    return " ".join(shown.get().split())


@pytest.mark.parametrize("rate", [0.5, 0.85])
def test_another_run_of_the_same_kind_passes_whatever_its_prevalence(known, rate):
    """Fewer harmful rows are what the correction is for; scores, lengths and script fit."""
    lines = told(judged(1000, rate, ERRORS, seed=2)[0], 2)
    found = audited(lines, known).audit
    assert found.verdict == "PASS"
    assert 0 <= found.deviation[0] <= found.deviation[1] <= MARGIN == found.margin
    assert found.compared == ("P(harmless)", "label", "length", "share of Chinese")
    assert (found.rows, found.gold) == (1000, 400)
    text = printed(lines, known)
    assert "Legality: shift audit PASS: no share of rows is off by more than" in text
    assert "it can't see what leaves the scores as they are" in text


def test_scores_of_another_law_fail_and_the_figures_stay(known):
    """A judge that has become unsure: the user is told which share is off, beside the figure."""
    rng = np.random.default_rng(3)
    lines = told(judged(1000, 0.5, ERRORS, seed=3)[0], 3)
    unsure = [line | {"p_harmless": float(rng.uniform(0.3, 0.7))} for line in lines]
    found = audited(unsure, known)
    assert found.audit.verdict == "FAIL"
    assert found.audit.deviation[0] > MARGIN
    assert found.audit.worst.kind.startswith("P(harmless) of")
    assert found.harmless_rate.value is not None
    text = printed(unsure, known)
    assert "shift audit FAIL: the error rates that the correction goes by hardly hold here" in text
    assert "of rows, " in text
    assert "by the gold" in text


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"longer": 6.0}, "characters or more"),
        ({"letters": "word "}, "Chinese letters or more"),
    ],
)
def test_other_texts_fail(known, change, kind):
    """Scores fit, but the responses are six times as long, or in English."""
    found = audited(told(judged(1000, 0.5, ERRORS, seed=4)[0], 4, **change), known).audit
    assert found.verdict == "FAIL"
    assert kind in found.worst.kind


def test_more_errors_with_the_same_scores_are_not_seen(known):
    """It passes although the figure is far off, and says that it can't see this."""
    lines, truth = judged(1000, 0.8, (0.4, 0.4), seed=5)
    found = audited(told(lines, 5), known)
    people = np.mean([label == 3 for label in truth.values()])
    assert found.audit.verdict == "PASS"
    assert "more wrong verdicts with the usual scores" in found.audit.unseen
    assert found.harmless_rate.high < people - 0.1


def test_few_rows_are_inconclusive(known):
    """The bounds are printed, so that the user sees how far from an answer it is."""
    lines = told(judged(60, 0.5, ERRORS, seed=6)[0], 6)
    found = audited(lines, known).audit
    assert found.verdict == "INCONCLUSIVE"
    assert found.deviation[0] <= MARGIN < found.deviation[1]
    assert "shift audit INCONCLUSIVE: the largest difference is between" in printed(lines, known)


def test_the_run_that_the_gold_was_drawn_from_needs_no_audit():
    """Its own labels correct it; nothing is carried over from elsewhere."""
    lines, truth = judged(300, 0.5, ERRORS)
    gold = gold_of(truth)
    own = fit(judged_rows(entries(lines)), gold, LABELS, FitOptions("now")).calibration
    assert audited(lines, own).audit.verdict == "NOT_NEEDED"
    assert "shift audit" not in printed(lines, own)
    other = [line | {"model": "other"} for line in lines]
    rows = judged_rows(entries([*lines, *other]))
    both = fit(rows, gold, LABELS, FitOptions("now")).calibration
    report = report_of([*lines, *other], both)
    found = report.models["other"].dimensions["Legality"].corrected.audit
    assert found.verdict == "PASS"  # the other model has no gold of its own, and the same scores


def test_a_calibration_without_audit_data_says_so(known, flames, tmp_path):
    """Files of older versions are read as before; the audit names what to do."""
    old = json.loads(known.to_json())
    del old["dimensions"]["Legality"]["audit"]
    (tmp_path / "c.json").write_text(json.dumps(old), encoding="utf-8")
    run = write_run(tmp_path / "run", told(judged(200, 0.5, ERRORS, seed=7)[0], 7))
    done = flames("summarize", run, "--calibration", tmp_path / "c.json")
    assert done.status == 0
    flat = " ".join(done.out.split())
    assert "shift audit NOT POSSIBLE: the calibration has no audit data: run" in flat
    done = flames("summarize", run, "--calibration", tmp_path / "c.json", "--json")
    found = done.json["models"]["m"]["dimensions"]["Legality"]["corrected"]["audit"]
    assert (found["verdict"], found["deviation"]) == ("NOT_POSSIBLE", None)


def test_two_labels_alone_are_never_enough_to_pass():
    """A judge without P(harmless): its two labels fit any mixture, and only texts are compared."""
    lines, truth = judged(400, 0.5, ERRORS, seed=1)
    bare = [line | {"p_harmless": None, "p_source": None} for line in told(lines, 1)]
    calibration = fit(
        judged_rows(entries(bare)), gold_of(truth), LABELS, FitOptions("now")
    ).calibration
    other = [line | {"content_sha256": "x" + line["record_id"]} for line in bare]
    found = audited(other, calibration).audit
    assert found.verdict == "INCONCLUSIVE"
    assert found.deviation[1] <= MARGIN
    assert "a judge's two labels fit any mixture: the texts alone were compared" in found.why


def test_a_log_without_texts_is_compared_by_its_scores(known):
    """And says which measures are missing."""
    lines = judged(1000, 0.5, ERRORS, seed=8)[0]
    found = audited([line | {"response": None} for line in lines], known).audit
    assert found.verdict == "PASS"
    assert found.compared == ("P(harmless)", "label")
    assert "not compared: length, which some rows don't tell" in found.why


def test_what_is_kept_of_the_gold_is_shares_and_not_rows(known):
    """The file holds no text and no score of a single row, and reads back as it was."""
    basis = known.dimensions["Legality"].audit
    assert basis.n == 400
    assert {kind.measure for kind in basis.kinds} == {"p_harmless", "label", "length", "chinese"}
    assert len(basis.kinds) <= 14
    assert Calibration.model_validate_json(known.to_json()) == known
