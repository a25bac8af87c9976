"""Verdicts and gold to a calibration, and what it says no to."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.calibration import (
    Calibration,
    Map,
    Promise,
    load_calibration,
    save_calibration,
    score_of,
)
from judge.calibration_fit import FitOptions, fit
from judge.errors import InputError
from judge.gold import GoldLabel
from judge.judged import judged_rows
from judge.sampling import SamplePlan, draw
from judge.verdict import JudgeRef, RubricRef, Verdict
from tests.judged_run import entries, judged, verdict

LABELS = {"Legality": (3, 1), "Fairness": (3, 2, 1)}
NOW = "2026-01-01T00:00:00+00:00"


def gold_of(truth, **more):
    """One annotator's labels, of external gold."""
    return [
        GoldLabel(record_id=i, model=m, dimension="Legality", label=label, annotator="a", **more)
        for (m, i), label in truth.items()
    ]


def drawn_gold(rows, truth, plan):
    """Labels of a drawn sample."""
    return [
        GoldLabel(
            **pick.key._asdict(), label=truth[pick.key.model, pick.key.record_id], annotator="a",
            design=pick.design, inclusion=pick.inclusion,
        )
        for pick in draw(rows.values(), plan).picks
    ]  # fmt: skip


def fitted(n=400, rate=0.6, errors=(0.1, 0.1), plan=None, promises=(), **options):
    """A calibration of a scripted judge."""
    lines, truth = judged(n, rate, errors)
    rows = judged_rows(entries(lines))
    gold = gold_of(truth) if plan is None else drawn_gold(rows, truth, plan)
    return fit(rows, gold, LABELS, FitOptions(NOW, promises=promises, **options))


def legality(found):
    return found.calibration.dimensions["Legality"]


def test_a_calibration_counts_judge_against_people():
    """The whole run labelled: the confusion is the plain one, with rates and kappa."""
    lines, truth = judged(400, 0.6, (0.1, 0.2))
    rows = judged_rows(entries(lines))
    found = legality(fit(rows, gold_of(truth), LABELS, FitOptions(NOW)))
    pairs = Counter((rows[key].category, str(truth[key.model, key.record_id])) for key in rows)
    for category in ("3", "1"):
        for label in ("3", "1"):
            assert found.agreement.confusion[category][label] == pairs[category, label]
            assert found.agreement.weighted[category][label] == pytest.approx(
                pairs[category, label]
            )
    harmful = pairs["1", "1"] + pairs["3", "1"]
    assert found.agreement.sensitivity.value == pytest.approx(pairs["1", "1"] / harmful)
    assert found.agreement.sensitivity.n == harmful
    right = pairs["1", "1"] + pairs["3", "3"]
    assert found.agreement.accuracy.value == pytest.approx(right / 400)
    assert 0 < found.agreement.kappa_linear.low < found.agreement.kappa_linear.value < 1
    assert found.agreement.kappa_linear.value == found.agreement.kappa_quadratic.value
    assert (found.n, found.design.name, found.design.n_eff) == (400, "census", 400)


def test_figures_are_weighted_by_the_design():
    """A sample that takes harmful verdicts twenty times as often still finds the run's shares."""
    lines, truth = judged(4000, 0.95, (0.2, 0.02))
    rows = judged_rows(entries(lines))
    gold = drawn_gold(
        rows, truth, SamplePlan(n=400, spread=lambda s: 1.0 if s.category == "1" else 0.05)
    )
    found = legality(fit(rows, gold, LABELS, FitOptions(NOW)))
    harmful = [key for key in rows if truth[key.model, key.record_id] == 1]
    sensitivity = np.mean([rows[key].category == "1" for key in harmful])
    assert found.agreement.sensitivity.low <= sensitivity <= found.agreement.sensitivity.high
    raw = found.agreement.confusion["1"]["1"] + found.agreement.confusion["3"]["1"]
    weighted = found.agreement.weighted["1"]["1"] + found.agreement.weighted["3"]["1"]
    assert raw / 400 > 0.1
    assert weighted / 400 == pytest.approx(len(harmful) / 4000, abs=0.02)
    assert found.design.n_eff < 350
    assert sum(s.n for s in found.design.strata) == 4000


def test_probabilities_are_mapped_and_measured_out_of_fold():
    """The map rises, and its Brier score is that of rows that it wasn't fitted on."""
    found = legality(fitted())
    assert found.map.by == "p_harmless"
    assert found.map.method in {"platt", "beta", "isotonic"}
    quality = found.agreement.map
    assert quality.brier.value < 0.15
    assert quality.calibration_error_null > 0
    assert sum(b.n for b in quality.reliability) == 400
    sure = Verdict.model_validate(
        {
            "record_id": "x", "dimension": "Legality", "label": 3, "harmless": True,
            "judge": {"name": "j", "fingerprint": "f"}, "p_harmless": 0.95, "p_source": "logprob",
            "rubric": {"dimension": "Legality", "version": "1", "fingerprint": "r"},
        }
    )  # fmt: skip
    unsure = sure.model_copy(update={"p_harmless": 0.3})
    assert found.p_harmless(sure) > 0.8 > 0.3 > found.p_harmless(unsure)


def test_a_judge_without_probabilities_is_mapped_by_its_label():
    """Each label becomes the share of rows with it that people call harmless."""
    lines, truth = judged(300, 0.6, (0.1, 0.2))
    plain = [line | {"p_harmless": None, "p_source": None} for line in lines]
    found = legality(fit(judged_rows(entries(plain)), gold_of(truth), LABELS, FitOptions(NOW)))
    assert (found.map.by, found.map.method, found.map.x) == ("label", "label", (0.0, 1.0))
    counts = found.agreement.confusion["3"]
    assert found.map(1.0) == pytest.approx(counts["3"] / (counts["3"] + counts["1"]))
    assert len(found.agreement.map.reliability) == 2


@given(
    st.lists(st.integers(0, 1000), min_size=1, max_size=12, unique=True).map(sorted),
    st.data(),
    st.floats(-1, 2),
)
def test_a_map_is_a_line_between_its_points(x, data, score):
    """The same as numpy's interpolation, without numpy."""
    x = tuple(value / 1000 for value in x)
    y = sorted(data.draw(st.lists(st.floats(0, 1), min_size=len(x), max_size=len(x))))
    assert Map(x=x, y=tuple(y))(score) == pytest.approx(float(np.interp(score, x, y)))


def test_a_promise_gets_a_cut_with_what_it_costs():
    """At most 10 % of harmful rows missed: so many harmful rows, and the false alarms."""
    found = fitted(
        800, 0.6, (0.02, 0.1), SamplePlan(n=400, purpose="promise"), (Promise(miss_rate=0.1),)
    )
    (cut,) = legality(found).thresholds
    assert (cut.alpha, round(cut.delta, 9), cut.joint) == (0.1, 0.05, False)
    assert cut.method == "exact binomial order statistic"
    assert cut.attained <= 0.1
    assert 0 < cut.cut < 1
    assert cut.acts(0.0)
    assert not cut.acts(cut.cut)
    assert 0 < cut.false_alarm.value < 0.5
    assert not found.refused


def test_a_promise_that_n_cant_carry_is_refused_with_the_labels_missing():
    """Twenty-odd harmful rows: the line says how many more, and about how many labels those are."""
    found = fitted(60, 0.6, (0.02, 0.02), None, (Promise(miss_rate=0.05),))
    assert legality(found).thresholds == ()
    (line,) = found.refused
    harmful = sum(c["1"] for c in legality(found).agreement.confusion.values())
    assert f"{59 - harmful} harmful rows are missing, about" in line


def test_a_joint_promise_needs_more_rows():
    """Delta is divided by five: 90 harmful rows instead of 59."""
    promises = (Promise(miss_rate=0.05),)
    lines = [
        verdict(f"r{n}", 3 if n < 50 else 1, p_harmless=0.9 if n < 50 else 0.1) for n in range(120)
    ]
    truth = {("m", f"r{n}"): 3 if n < 50 else 1 for n in range(120)}
    rows, gold = judged_rows(entries(lines)), gold_of(truth)
    alone = fit(rows, gold, LABELS, FitOptions(NOW, promises))
    joint = fit(rows, gold, LABELS, FitOptions(NOW, promises, joint=True))
    assert len(legality(alone).thresholds) == 1
    assert "90 are needed" in joint.refused[0]


def test_a_promise_is_refused_on_unevenly_drawn_gold():
    """The tail of a stratified sample isn't that of its source."""
    found = fitted(400, 0.8, (0.1, 0.1), SamplePlan(n=150), (Promise(miss_rate=0.2),))
    assert "unequal probabilities" in found.refused[0]


def test_a_promise_is_refused_where_harmful_rows_share_a_prompt():
    """Two answers to one prompt are not two rows of the source."""
    lines, truth = judged(200, 0.5, (0.05, 0.05), prompt="同一个问题")
    rows = judged_rows(entries([*lines, verdict("other", 3, p_harmless=0.9)]))
    gold = gold_of(truth | {("m", "other"): 3})
    found = fit(rows, gold, LABELS, FitOptions(NOW, (Promise(miss_rate=0.2),)))
    assert "answer one prompt" in found.refused[0]


def test_unjudged_harmful_rows_are_missed_at_every_cut():
    """A guard that gets no verdict has not caught them."""
    lines, truth = judged(300, 0.5, (0.02, 0.02))
    lines += [verdict(f"u{n}", kind="abstained") for n in range(40)]
    truth |= {("m", f"u{n}"): 1 for n in range(40)}
    found = fit(
        judged_rows(entries(lines)),
        gold_of(truth),
        LABELS,
        FitOptions(NOW, (Promise(miss_rate=0.05),)),
    )
    assert "are missed at any cut" in found.refused[0]


def test_skipped_rows_are_counted():
    """Rows that were drawn and got no label are said, and kept in the strata's counts."""
    lines, truth = judged(300, 0.6, (0.1, 0.1))
    rows = judged_rows(entries(lines))
    gold = drawn_gold(rows, truth, SamplePlan(n=100))
    gold = [g.model_copy(update={"label": None}) if n < 7 else g for n, g in enumerate(gold)]
    found = fit(rows, gold, LABELS, FitOptions(NOW))
    assert found.notes == ("Legality: 7 drawn rows have no label",)
    strata = legality(found).design.strata
    assert (sum(s.drawn for s in strata), sum(s.labelled for s in strata)) == (100, 93)


@pytest.mark.parametrize("skipped", [0, 1, 3])
def test_a_sample_for_a_promise_counts_no_row_that_was_not_drawn(skipped):
    """Its verdicts were left to chance: parts of rows that round up to one are no row."""
    told = {0: (), 1: ("Legality: 1 drawn row has no label",)}
    told |= {3: ("Legality: 3 drawn rows have no label",)}
    for seed in range(4):
        lines, truth = judged(701, 0.54 + seed / 50, (0.1, 0.1))
        rows = judged_rows(entries(lines))
        gold = drawn_gold(rows, truth, SamplePlan(n=600, purpose="promise", seed=seed))
        left = [g.model_copy(update={"label": None}) if n < skipped else g
                for n, g in enumerate(gold)]  # fmt: skip
        found = fit(rows, left, LABELS, FitOptions(NOW))
        strata = legality(found).design.strata
        assert (found.notes, sum(s.drawn for s in strata)) == (told[skipped], 600)
        assert fit(rows, gold[skipped:], LABELS, FitOptions(NOW)).notes == told[skipped]


def test_another_judge_on_the_same_sample_keeps_the_first_strata():
    """The sample went by the first judge's verdicts: its strata are those that were recorded."""
    lines, truth = judged(500, 0.6, (0.1, 0.1))
    rows = judged_rows(entries(lines))
    gold = drawn_gold(rows, truth, SamplePlan(n=150))
    flipped = [
        line | {"label": 4 - line["label"], "harmless": line["label"] == 1} if n % 5 == 0 else line
        for n, line in enumerate(lines)
    ]
    found = legality(fit(judged_rows(entries(flipped)), gold, LABELS, FitOptions(NOW)))
    assert {s.category for s in found.design.strata} == {None}
    assert sum(s.n for s in found.design.strata) == 500
    with pytest.raises(InputError, match="sizes of the strata can't be told"):
        fit(judged_rows(entries(flipped)), gold[:90], LABELS, FitOptions(NOW))


def test_external_gold_that_was_picked_by_verdict_is_refused():
    """Half harmful verdicts in the gold of a run that has 5 %: no weights, no calibration."""
    lines, truth = judged(1000, 0.95, (0.05, 0.01))
    rows = judged_rows(entries(lines))
    said = {key: row.category for key, row in rows.items()}
    picked = [k for k in said if said[k] == "1"][:50] + [k for k in said if said[k] == "3"][:50]
    gold = gold_of({(k.model, k.record_id): truth[k.model, k.record_id] for k in picked})
    with pytest.raises(InputError, match="picked by verdict"):
        fit(rows, gold, LABELS, FitOptions(NOW))
    some = dict(list(truth.items())[:100])
    assert legality(fit(rows, gold_of(some), LABELS, FitOptions(NOW))).design.name == "external"


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({("m", f"r{n}"): 3 for n in range(40)}, "all 40 labelled rows are harmless"),
        ({("m", "r0"): 3, ("m", "r1"): 1}, "2 labelled rows are too few: 10 are the least"),
        ({("m", "nowhere"): 3}, "1 of the gold's rows are not among the run's"),
        ({}, "holds no label"),
    ],
)
def test_gold_that_tells_nothing_is_one_clear_line(labels, told):
    """One class, two rows, rows of another run, none."""
    rows = judged_rows(entries(judged(100, 0.6, (0.1, 0.1))[0]))
    with pytest.raises(InputError, match=told):
        fit(rows, gold_of(labels), LABELS, FitOptions(NOW))


def test_gold_without_a_model_is_found_where_only_one_model_has_the_row():
    """Two models with that row: it must say whose."""
    lines, truth = judged(100, 0.6, (0.1, 0.1))
    nameless = gold_of({(None, i): label for (_, i), label in truth.items()})
    assert legality(fit(judged_rows(entries(lines)), nameless, LABELS, FitOptions(NOW))).n == 100
    both = judged_rows(entries([*lines, *(line | {"model": "other"} for line in lines)]))
    with pytest.raises(InputError, match="several models have them"):
        fit(both, nameless, LABELS, FitOptions(NOW))


def test_three_labels_keep_their_order():
    """Off by one counts less than off by two: linear and quadratic kappa differ."""
    pairs = (
        [(3, 3)] * 30
        + [(2, 2)] * 20
        + [(1, 1)] * 20
        + [(2, 3)] * 10
        + [(1, 2)] * 5
        + [(None, 1)] * 5
    )
    lines = [verdict(f"r{n}", said, "Fairness") for n, (said, _) in enumerate(pairs)]
    gold = [
        GoldLabel(record_id=f"r{n}", model="m", dimension="Fairness", label=true, annotator="a")
        for n, (_, true) in enumerate(pairs)
    ]
    found = fit(judged_rows(entries(lines)), gold, LABELS, FitOptions(NOW))
    fairness = found.calibration.dimensions["Fairness"]
    assert fairness.agreement.confusion["not_3"] == {"3": 0, "2": 0, "1": 5}
    assert fairness.agreement.accuracy.value == pytest.approx(75 / 90)
    assert fairness.agreement.kappa_linear.value < fairness.agreement.kappa_quadratic.value
    assert fairness.map.x == (0.0, 0.25, 0.5, 1.0)


def test_a_calibration_is_refused_for_anything_else(tmp_path):
    """Another judge, its other settings, another rubric, another dimension: each is said."""
    save_calibration(tmp_path / "c.json", fitted().calibration)
    known = load_calibration(tmp_path / "c.json")
    judge = JudgeRef(name="scripted", fingerprint="judge under Legality")
    rubric = RubricRef(dimension="Legality", version="1", fingerprint="rubric Legality")
    assert known.of("Legality", judge, rubric) == known.dimensions["Legality"]
    for changed, told in (
        (("Legality", judge.model_copy(update={"fingerprint": "x"}), rubric), "other settings"),
        (
            ("Legality", JudgeRef(name="b", fingerprint="x"), rubric),
            "another judge: scripted, not b",
        ),
        (("Legality", judge, rubric.model_copy(update={"fingerprint": "x"})), "another rubric"),
        (("Safety", judge, rubric), "has no Safety: it was made for Legality"),
    ):
        with pytest.raises(InputError, match=told):
            known.of(*changed)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is not a calibration"),
        (
            '{"format": 2, "judge": {}, "created": "", "dimensions": {}}',
            "format: must be 1",
        ),
        ("[]", "is not a calibration"),
    ],
)
def test_a_file_that_is_no_calibration_is_named(tmp_path, text, told):
    """And so is a format that isn't known."""
    (tmp_path / "c.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=told):
        load_calibration(tmp_path / "c.json")


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        ({"attained": 0.4}, "a promise of 0.1 is not kept: its gold bounds the miss rate by 0.4"),
        ({"alpha": 0.01}, "a promise of 0.01 is not kept"),
        ({"cut": -1}, "thresholds.0.cut: must be 0 or more"),
        ({"cut": 1.5}, "thresholds.0.cut: must be 1 or less"),
    ],
)
def test_a_promise_that_was_edited_into_a_calibration_is_refused(tmp_path, edit, told):
    """A guard would say that it keeps what no label bears out."""
    promises = (Promise(miss_rate=0.1),)
    made = fitted(800, 0.6, (0.02, 0.1), SamplePlan(n=400, purpose="promise"), promises)
    content = json.loads(made.calibration.to_json())
    content["dimensions"]["Legality"]["thresholds"][0] |= edit
    (tmp_path / "c.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_calibration(tmp_path / "c.json")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_calibration_survives_its_file(tmp_path):
    """Written and read it is the same, to the last digit of its cuts."""
    found = fitted(
        800, 0.6, (0.02, 0.1), SamplePlan(n=400, purpose="promise"), (Promise(miss_rate=0.1),)
    )
    save_calibration(tmp_path / "c.json", found.calibration)
    assert load_calibration(tmp_path / "c.json") == found.calibration
    content = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
    assert content["format"] == 1
    assert set(content["dimensions"]["Legality"]) >= {
        "rubric", "prompt", "n", "gold_sha256", "design", "map", "thresholds", "agreement",
    }  # fmt: skip
    assert Calibration.model_validate(content).dimensions["Legality"].rubric == "rubric Legality"


def test_scores_go_by_probability_or_by_label():
    """Where a judge gave no probability its label stands in."""
    assert [score_of(label, None, "p_harmless") for label in (3, 2, 1, None)] == [1, 0.5, 0, 0.25]
    assert score_of(1, 0.4, "p_harmless") == 0.4
    assert score_of(1, 0.4, "label") == 0


def test_with_three_annotators_the_judge_is_tried_as_one_of_them():
    """Three people who err in a tenth of the rows: a judge as good as they may stand in."""
    lines, truth = judged(200, 0.6, (0.05, 0.05))
    rng = np.random.default_rng(0)
    gold = [
        GoldLabel(
            record_id=i, model=m, dimension="Legality", annotator=who,
            label=label if rng.random() > 0.1 else 4 - label,
        )
        for who in ("a", "b", "c")
        for (m, i), label in truth.items()
    ]  # fmt: skip
    rows = judged_rows(entries(lines))
    found = legality(fit(rows, gold, LABELS, FitOptions(NOW))).agreement.stand_in
    assert (found.passed, found.epsilon) == (True, 0.15)
    assert [one.annotator for one in found.annotators] == ["a", "b", "c"]
    coin = [line | {"label": 3, "harmless": True, "p_harmless": 0.6} for line in lines]
    found = legality(fit(judged_rows(entries(coin)), gold, LABELS, FitOptions(NOW)))
    assert found.agreement.stand_in.passed is False
    assert legality(fitted()).agreement.stand_in is None
