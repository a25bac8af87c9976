"""Corrected figures in a report: which estimator, of which rows, about what."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from judge.calibration_fit import FitOptions, fit
from judge.errors import InputError
from judge.gold import GoldLabel
from judge.judged import judged_rows
from judge.report import RunFacts
from judge.report.corrected import CorrectOptions, correct
from judge.report.from_log import run_report
from judge.sampling import SamplePlan, draw
from tests.cases import rubrics
from tests.judged_run import entries, judged, verdict

LABELS = {name: rubric.labels for name, rubric in rubrics().items()}
SUITE = rubrics().suite


def gold_of(truth, dimension="Legality"):
    return [
        GoldLabel(record_id=i, model=m, dimension=dimension, label=label, annotator="a")
        for (m, i), label in truth.items()
    ]


def drawn(rows, truth, plan):
    return [
        GoldLabel(
            **pick.key._asdict(), label=truth[pick.key], annotator="a",
            design=pick.design, inclusion=pick.inclusion,
        )
        for pick in draw(rows.values(), plan).picks
    ]  # fmt: skip


def corrected(lines, calibration, **options):
    """The report of a run with its corrected figures."""
    mine = entries(lines)
    report = run_report(mine, rubrics(), RunFacts(judge="scripted"))
    return correct(report, judged_rows(mine), calibration, CorrectOptions(suite=SUITE, **options))


def five(seed=0, n=150):
    """All five dimensions, judged with errors: lines and truths."""
    lines, truth = [], {}
    for place, name in enumerate(SUITE):
        mine, labels = judged(n, 0.5 + 0.1 * place, (0.1, 0.1), seed + place, dimension=name)
        lines += [
            line
            | {"record_id": f"{place}-{line['record_id']}", "prompt_sha256": f"{place:02d}{k:014d}"}
            for k, line in enumerate(mine)
        ]
        truth |= {("m", f"{place}-{i}", name): label for (_, i), label in labels.items()}
    return lines, truth


def test_the_overall_figure_is_the_mean_of_five_corrected_dimensions():
    """Post-stratified in each, one target, one interval over all."""
    lines, truth = five()
    rows = judged_rows(entries(lines))
    gold = drawn(rows, truth, SamplePlan(n=250, seed=1, purpose="overall"))
    known = fit(rows, gold, LABELS, FitOptions("now")).calibration
    model = corrected(lines, known).models["m"]
    parts = [model.dimensions[name].corrected for name in SUITE]
    whole = model.overall.corrected
    assert whole.harmless_rate.value == pytest.approx(
        np.mean([p.harmless_rate.value for p in parts])
    )
    assert whole.raw_rate == pytest.approx(np.mean([p.raw_rate for p in parts]))
    assert (whole.target, whole.gold, whole.of) == ("run", 250, "all rows")
    people = np.mean(
        [np.mean([x == 3 for k, x in truth.items() if k[2] == name]) for name in SUITE]
    )
    assert whole.harmless_rate.low <= people <= whole.harmless_rate.high
    narrowest = min(p.harmless_rate.high - p.harmless_rate.low for p in parts)
    assert whole.harmless_rate.high - whole.harmless_rate.low < narrowest


def test_a_dimension_without_gold_takes_the_overall_figure_away():
    """And says which one it is."""
    lines, truth = five()
    rows = judged_rows(entries(lines))
    some = [g for g in drawn(rows, truth, SamplePlan(n=250)) if g.dimension != "Legality"]
    known = fit(rows, some, LABELS, FitOptions("now")).calibration
    model = corrected(lines, known).models["m"]
    assert model.dimensions["Legality"].corrected is None
    assert model.overall.corrected.harmless_rate.why == "not corrected: Legality"
    assert model.overall.corrected.raw_rate is None


def three_labels(n, shares, matrix, seed):
    """Fairness with three labels: lines and truths, by a judge with this confusion."""
    rng = np.random.default_rng(seed)
    lines, truth = [], {}
    for number in range(n):
        true = int(rng.choice([3, 2, 1], p=shares))
        said = int(rng.choice([3, 2, 1], p=matrix[true]))
        line = verdict(f"r{number}", said, "Fairness")
        lines.append(line | {"content_sha256": f"{seed} {number}"})
        truth["m", f"r{number}"] = true
    return lines, truth


CONFUSION = {3: (0.9, 0.08, 0.02), 2: (0.2, 0.7, 0.1), 1: (0.02, 0.1, 0.88)}


def test_a_judge_with_three_labels_corrects_the_score_of_another_run():
    """The confusion matrix is inverted; the rate is Rogan and Gladen's."""
    lines, truth = three_labels(400, (0.5, 0.25, 0.25), CONFUSION, 1)
    gold = gold_of(truth, "Fairness")
    known = fit(judged_rows(entries(lines)), gold, LABELS, FitOptions("now")).calibration
    other, people = three_labels(400, (0.7, 0.2, 0.1), CONFUSION, 2)
    found = corrected(other, known).models["m"].dimensions["Fairness"].corrected
    assert "inversion of the confusion matrix" in found.estimator
    score = 100 * np.mean(list(people.values())) / 3
    assert found.harmless_score.low <= score <= found.harmless_score.high
    assert found.harmless_rate.low <= 0.7 <= found.harmless_rate.high
    assert found.harmless_score.target == "population"


def test_a_judge_with_two_labels_leaves_the_score_within_bounds():
    """It finds the rate R alone: the score lies between 100 (1 + 2R) / 3 and 100 (2 + R) / 3."""
    lines, truth = three_labels(400, (0.5, 0.25, 0.25), CONFUSION, 1)
    blind = [line if line["label"] == 3 else line | {"label": None} for line in lines]
    gold = gold_of(truth, "Fairness")
    known = fit(judged_rows(entries(blind)), gold, LABELS, FitOptions("now")).calibration
    other = [line | {"content_sha256": "x" + line["record_id"]} for line in blind]
    found = corrected(other, known).models["m"].dimensions["Fairness"].corrected
    assert found.raw_score is None
    assert found.harmless_score.value is None
    rate = found.harmless_rate
    expected = (100 * (1 + 2 * rate.low) / 3, 100 * (2 + rate.high) / 3)
    assert found.bounds.harmless_score == pytest.approx(expected)


def test_the_same_ids_with_other_answers_are_another_run():
    """Gold is about the texts that people saw: other answers get Rogan-Gladen."""
    lines, truth = judged(300, 0.7, (0.1, 0.1))
    rows = judged_rows(entries(lines))
    known = fit(rows, gold_of(truth), LABELS, FitOptions("now")).calibration
    own = corrected(lines, known).models["m"].dimensions["Legality"].corrected
    assert own.target == "run"
    again, _ = judged(300, 0.5, (0.1, 0.1), seed=3)
    found = corrected(again, known).models["m"].dimensions["Legality"].corrected
    assert (found.target, found.estimator) == ("population", "Rogan-Gladen (Lee et al.)")


def test_skipped_rows_widen_the_bounds():
    """Every skipped row may be harmful, or harmless."""
    lines, truth = judged(300, 0.7, (0.1, 0.1))
    rows = judged_rows(entries(lines))
    gold = drawn(rows, {(m, i, "Legality"): x for (m, i), x in truth.items()}, SamplePlan(n=100))
    gold = [g.model_copy(update={"label": None}) if k < 10 else g for k, g in enumerate(gold)]
    known = fit(rows, gold, LABELS, FitOptions("now")).calibration
    found = corrected(lines, known).models["m"].dimensions["Legality"].corrected
    low, high = found.bounds.harmless_rate
    assert low == pytest.approx(0.9 * found.harmless_rate.low, abs=0.01)
    assert high == pytest.approx(0.9 * found.harmless_rate.high + 0.1, abs=0.01)


def test_a_model_without_a_label_has_no_figure_of_its_own():
    """Two models, gold of one: the other gets the judge's error rates."""
    lines, truth = judged(200, 0.7, (0.1, 0.1))
    other = [line | {"model": "other"} for line in lines]
    gold = gold_of(truth)
    rows = judged_rows(entries([*lines, *other]))
    known = fit(rows, gold, LABELS, FitOptions("now")).calibration
    report = corrected([*lines, *other], known)
    found = report.models["other"].dimensions["Legality"].corrected
    assert found.estimator == "Rogan-Gladen (Lee et al.)"
    assert set(report.pooled) == {"Legality"}


def test_a_calibration_of_another_judge_is_refused():
    """Also where only some rows are another judge's."""
    lines, truth = judged(100, 0.6, (0.1, 0.1))
    known = fit(judged_rows(entries(lines)), gold_of(truth), LABELS, FitOptions("now")).calibration
    mixed = [*lines[1:], lines[0] | {"judge": {"name": "b", "fingerprint": "x"}}]
    with pytest.raises(InputError, match="another judge: scripted, not b"):
        corrected(mixed, known)


def test_reading_a_calibration_needs_no_numpy():
    """A guard that loads one starts at once."""
    code = "import judge.calibration, sys; print(*{m.split('.')[0] for m in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "scipy", "typer", "litellm"} & set(done.stdout.split())
