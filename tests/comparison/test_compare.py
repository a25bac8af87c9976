"""Judges side by side: whose rows, with which weights, at what price."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar

from judge.calibration_fit import FitOptions, fit
from judge.comparison.figures import FigureOptions
from judge.errors import InputError
from judge.gold import GoldLabel
from judge.gold.model import GoldError
from judge.judged import judged_rows
from judge.runlog import content_sha256, prompt_sha256
from judge.sampling import SamplePlan, draw
from judge.stats.pareto import pareto
from tests.comparison.judges import (
    SCALES,
    answers,
    cells_of,
    compared,
    gold_of,
    judgements,
    runs_of,
)
from tests.judged_run import entries, verdict

TRUTH = answers(300)
GOOD = judgements(TRUTH, (0.05, 0.05), "good", 1, cost_usd=0.002, latency_s=2.0)
POOR = judgements(TRUTH, (0.25, 0.2), "poor", 2, cost_usd=0.001, latency_s=0.5)


def only(found, place=0):
    """A judge's figures of the only dimension."""
    return found.judges[place].dimensions["Legality"]


def test_a_judges_figures_are_those_that_calibrate_finds():
    """Accuracy, kappa, sensitivity and specificity, intervals and all, of the same gold."""
    found = only(compared([GOOD, POOR], gold_of(TRUTH)))
    rows = judged_rows(entries(GOOD))
    alone = fit(rows, gold_of(TRUTH), SCALES, FitOptions("2026-01-01T00:00:00+00:00"))
    agreement = alone.calibration.dimensions["Legality"].agreement
    assert found.label_accuracy == found.accuracy == agreement.accuracy
    assert found.kappa == found.kappa_linear == agreement.kappa_linear
    assert found.kappa_quadratic == agreement.kappa_quadratic
    assert (found.sensitivity, found.specificity) == (agreement.sensitivity, agreement.specificity)
    assert (found.sensitivity_n, found.specificity_n) == (
        agreement.sensitivity_n, agreement.specificity_n,
    )  # fmt: skip


def test_each_pair_is_tested_on_the_rows_that_both_judged():
    """McNemar's table by hand, with the rows left out counted by who left them."""
    open_rows = {"r3", "r5"}
    gaps = [
        line if line["record_id"] not in open_rows else verdict(line["record_id"], kind="abstained")
        for line in POOR
    ]
    found = compared([GOOD, gaps], gold_of(TRUTH))
    (pair,) = found.pairs
    right = [
        {line["record_id"]: line["harmless"] == (TRUTH[line["record_id"]] == 3) for line in lines}
        for lines in (GOOD, POOR)
    ]
    both = [key for key in TRUTH if key not in open_rows]
    a_only = sum(right[0][key] and not right[1][key] for key in both)
    b_only = sum(right[1][key] and not right[0][key] for key in both)
    assert (pair.n, pair.right.a_only, pair.right.b_only) == (298, a_only, b_only)
    assert pair.left_out == {"a_alone_judged": 2, "b_alone_judged": 0, "neither_judged": 0}
    expected = mcnemar([[0, a_only], [b_only, 0]], exact=True).pvalue
    assert pair.right.p == pair.right.p_exact == pytest.approx(expected)
    figures = only(found, 1)
    assert figures.open == {"abstained": 2}
    assert figures.unjudged.value == pytest.approx(2 / 300)
    accurate = np.mean([right[1][key] for key in both])
    assert figures.accuracy.value == pytest.approx(accurate)
    assert figures.agreement.value == pytest.approx(accurate * 298 / 300)


def test_holm_goes_over_all_pairs_and_dimensions_together():
    """Three judges in two dimensions and both together: nine tests of each figure."""
    truth = answers(80)
    logs = [
        [
            line
            for dimension in SCALES
            for line in judgements(truth, errors, name, place, dimension=dimension)
        ]
        for place, (name, errors) in enumerate(
            {"a": (0.1, 0.1), "b": (0.3, 0.3), "c": (0.1, 0.2)}.items()
        )
    ]
    found = compared(logs, [*gold_of(truth), *gold_of(truth, "Fairness")])
    assert found.family == len(found.pairs) == 9
    assert {pair.dimension for pair in found.pairs} == {"Legality", "Fairness", None}
    for name in ("right", "kappa", "sensitivity", "specificity"):
        raw = sorted(getattr(pair, name).p for pair in found.pairs)
        adjusted = sorted(getattr(pair, name).p_adjusted for pair in found.pairs)
        assert adjusted[0] == pytest.approx(min(1.0, 9 * raw[0]))
        assert all(a >= p for a, p in zip(adjusted, raw, strict=True))
    pooled = found.judges[0].pooled
    assert pooled.n == 160
    assert found.scales["Fairness"] == (3, 2, 1)


def test_figures_are_weighted_by_the_design():
    """A sample by the first judge's verdicts still finds both judges' shares of the whole run."""
    truth = answers(3000, 0.9, seed=4)
    first = judgements(truth, (0.3, 0.02), "first", 1)
    second = judgements(truth, (0.1, 0.1), "second", 2)
    plan = SamplePlan(n=500, spread=lambda s: 1.0 if s.category == "1" else 0.15)
    picks = draw(judged_rows(entries(first)).values(), plan).picks
    gold = [
        GoldLabel(
            **pick.key._asdict(), label=truth[pick.key.record_id], annotator="a",
            design=pick.design, inclusion=pick.inclusion,
        )
        for pick in picks
    ]  # fmt: skip
    assert np.mean([mark.label == 3 for mark in gold]) < 0.75
    for logs in ([first, second], [second, first]):
        found = compared(logs, gold)
        for place, lines in enumerate(logs):
            said = {line["record_id"]: line["harmless"] for line in lines}
            right = np.mean([said[key] == (label == 3) for key, label in truth.items()])
            assert only(found, place).accuracy.low <= right <= only(found, place).accuracy.high
        assert only(found).n == 500
        assert only(found).n_eff < 450
        assert found.pairs[0].right.p != found.pairs[0].right.p_exact
        assert found.designs == {"Legality": "stratified"}


def test_skipped_rows_are_counted_and_their_stratum_stands_for_them():
    """A skip isn't a label; the rows of its stratum weigh more, and the report says how many."""
    gold = gold_of({**TRUTH, "r0": None, "r1": None})
    found = compared([GOOD, POOR], gold)
    assert (found.gold.rows, found.gold.without_label, found.gold.compared) == (300, 2, 298)
    assert only(found).n == 298


def test_rows_that_a_run_lacks_are_compared_for_no_judge_and_said():
    """Each judge's figures are of the same rows; what is left out is named beside the judge."""
    found = compared([GOOD, POOR[10:]], gold_of(TRUTH))
    assert [only(found, place).n for place in (0, 1)] == [290, 290]
    assert found.gold.not_in_every_run == 10
    assert found.judges[1].notes == ("10 labelled rows are not in its run: compared for no judge",)
    assert found.judges[0].notes == ()


def test_the_cheapest_and_the_most_agreeing_are_pareto_and_an_unknown_price_is_neither():
    """A judge whose run tells no price is null there, never free; --cost gives it one."""
    unknown = judgements(TRUTH, (0.02, 0.02), "unknown", 3)
    beaten = judgements(TRUTH, (0.3, 0.3), "beaten", 4, cost_usd=0.005)
    found = compared([GOOD, POOR, unknown, beaten], gold_of(TRUTH))
    assert [only(found, place).pareto for place in range(4)] == [True, True, None, False]
    assert only(found, 2).cost_usd.value is None
    assert "300 of 300 rows don't tell what they cost" in only(found, 2).cost_usd.why
    assert only(found).cost_usd.value == pytest.approx(2.0)
    assert only(found).seconds.value == only(found).seconds_median == 2.0
    given = compared([GOOD, POOR, unknown, beaten], gold_of(TRUTH), FigureOptions(costs={2: 1.5}))
    assert [only(given, place).pareto for place in range(4)] == [False, True, True, False]


def test_pareto_keeps_equals_and_drops_what_is_worse_in_one_and_better_in_none():
    """The definition, on five points."""
    assert pareto([(0, 0.5), (1, 0.9), (2, 0.9), (1, 0.9), (3, 0.95)]) == [
        True, True, False, True, True,
    ]  # fmt: skip
    assert pareto([]) == []


def test_the_embedded_judge_is_free_and_what_passed_through_it_alone():
    """It asks no provider; a cascade costs what its strong judge does."""
    embedded = judgements(TRUTH, (0.2, 0.2), "embedded", 5)
    cascade = [
        line
        | {"judge": {"name": "cascade:embedded>llm:x", "fingerprint": "c"}}
        | (
            {"votes": [{"judge": "embedded"}, {"judge": "llm:x"}], "cost_usd": 0.01}
            if place % 2
            else {"votes": [{"judge": "embedded"}]}
        )
        for place, line in enumerate(GOOD)
    ]
    for line in cascade[::2]:
        del line["cost_usd"]
    found = compared([embedded, cascade], gold_of(TRUTH))
    assert only(found).free
    assert only(found).cost_usd.high == 0
    assert not only(found, 1).free
    assert only(found, 1).cost_usd.value == pytest.approx(5.0)


def test_rows_out_of_the_cache_are_neither_free_nor_fast():
    """Their price was paid and their time passed in an earlier run: the others tell."""
    cached = [
        line | ({"cached": True, "cost_usd": None, "latency_s": 0.001} if place % 3 else {})
        for place, line in enumerate(GOOD)
    ]
    found = compared([cached, POOR], gold_of(TRUTH))
    assert only(found).cost_usd.value == pytest.approx(2.0)
    assert only(found).seconds.value == pytest.approx(2.0)
    assert only(found).cost_usd.n == 100
    assert "200 rows are out of the cache" in found.judges[0].notes[0]
    every = [line | {"cached": True, "cost_usd": None} for line in GOOD]
    assert "out of the cache" in only(compared([every, POOR], gold_of(TRUTH))).cost_usd.why


def test_a_judge_that_cant_tell_2_from_1_has_no_kappa_of_labels():
    """Leaving its "not 3" out would flatter it; all judges are then compared by 3 or not."""
    truth = {f"r{n}": (3, 2, 1)[n % 3] for n in range(90)}
    full = [verdict(key, label, "Fairness", p_harmless=0.5) for key, label in truth.items()]
    vague = [
        verdict(key, 3 if label == 3 else None, "Fairness", harmless=label == 3,
                judge={"name": "vague", "fingerprint": "v"})
        for key, label in truth.items()
    ]  # fmt: skip
    found = compared([full, vague], gold_of(truth, "Fairness"))
    sure, unsure = (judge.dimensions["Fairness"] for judge in found.judges)
    assert sure.kappa_linear.value == sure.kappa.value == unsure.kappa.value == 1
    assert unsure.kappa.low < 1
    assert unsure.kappa_linear.value is None
    assert '60 verdicts say "not 3"' in unsure.kappa_linear.why
    assert unsure.label_accuracy.value is None
    assert "90 of 90 verdicts have no P(harmless)" in unsure.no_probabilities
    assert found.pairs[0].kappa_of == "harmless or not"
    assert found.pairs[0].kappa.figure.value == 0


def test_one_class_alone_has_no_kappa_and_says_why():
    """All rows harmless: accuracy and specificity are there, kappa and sensitivity are null."""
    truth = dict.fromkeys(answers(40), 3)
    same = judgements(truth, (0.0, 0.0), "same", 1)
    for line in same:
        line |= {"label": 3, "harmless": True}
    found = compared([same, judgements(truth, (0.1, 0.1), "b", 2)], gold_of(truth))
    assert "one class" in only(found).kappa.why
    assert "no harmful row" in only(found).sensitivity.why
    assert only(found).specificity.value == 1
    assert only(found).specificity.low < 1
    assert "one class alone" in found.pairs[0].kappa.figure.why
    assert found.pairs[0].kappa.p_adjusted is None


def test_two_rows_are_compared_with_the_widest_intervals():
    """Two labelled rows prove nothing, and are no error."""
    truth = {"r0": 3, "r1": 1}
    logs = [judgements(truth, (0.0, 0.0), name, 1) for name in ("a", "b")]
    found = compared(logs, gold_of(truth))
    assert only(found).n == 2
    assert only(found).accuracy.high - only(found).accuracy.low > 0.5
    assert found.pairs[0].right.p == 1


def test_judges_are_named_apart():
    """By the judge's name; with the folder where two have the same; and twins are pointed out."""
    found = compared([GOOD, GOOD, POOR], gold_of(TRUTH))
    assert [judge.name for judge in found.judges] == ["good (run0)", "good (run1)", "poor"]
    assert found.notes == (
        "good (run1) is the same judge as good (run0): they differ by chance alone",
    )
    assert found.pairs[0].right.p == 1


def test_answers_that_are_others_under_the_same_ids_are_refused():
    """Two judges of different texts can't be held against the same labels."""
    other = [line | {"content_sha256": f"other {line['record_id']}"} for line in POOR]
    with pytest.raises(InputError, match="'r0' in Legality is another text than in run0"):
        cells_of([GOOD, other], gold_of(TRUTH))


def test_imported_verdicts_without_texts_go_by_the_prompts_of_the_others():
    """A run that knows no texts contradicts nobody, and its rows have the others' prompts."""
    prompts = {key: f"问题 {int(key[1:]) // 4}" for key in TRUTH}
    full = [
        line | {"prompt": prompts[line["record_id"]],
                "prompt_sha256": prompt_sha256(prompts[line["record_id"]])}
        for line in GOOD
    ]  # fmt: skip
    bare = [
        line | {"prompt": "", "response": None, "prompt_sha256": prompt_sha256(line["record_id"]),
                "content_sha256": content_sha256_of_nothing()}
        for line in POOR
    ]  # fmt: skip
    for logs in ([full, bare], [bare, full]):
        cells = cells_of(logs, gold_of(TRUTH))
        clusters = {one.row.cluster for one in cells.dimensions[0].heard[0]}
        assert len(clusters) == 75
        assert clusters == {one.row.cluster for one in cells.dimensions[0].heard[1]}


def content_sha256_of_nothing():
    from judge.records import Record

    return content_sha256(Record(id="x", prompt="", response=None, label=3), "")


@pytest.mark.parametrize(
    ("gold", "told"),
    [
        ([], "holds no label"),
        (gold_of({"nowhere": 3}), "1 of the gold's rows are in none of the runs"),
        (gold_of(dict.fromkeys(TRUTH)), "no row of it has a label"),
        (
            gold_of({key: label for key, label in TRUTH.items() if GOOD[int(key[1:])]["harmless"]}),
            "as if it had been picked by verdict",
        ),
    ],
)
def test_gold_that_cant_be_used_is_refused(gold, told):
    """Nothing, unknown ids, skips alone, rows picked by one judge's verdict."""
    with pytest.raises(GoldError, match=told):
        cells_of([GOOD, POOR], gold)


def test_gold_of_several_draws_is_refused():
    """Rows of two designs can't be weighed together in a dimension."""
    drawn = draw(judged_rows(entries(GOOD)).values(), SamplePlan(n=20)).picks
    gold = [
        GoldLabel(**pick.key._asdict(), label=3, annotator="a", design=pick.design,
                  inclusion=pick.inclusion)
        for pick in drawn
    ]  # fmt: skip
    known = {mark.record_id for mark in gold}
    more = [mark for mark in gold_of(TRUTH) if mark.record_id not in known]
    with pytest.raises(GoldError, match="drawn in 2 ways"):
        cells_of([GOOD, POOR], [*gold, *more])


def test_gold_that_could_be_several_models_is_refused():
    """A row without a model, in a run where two models have that id."""
    twice = [*GOOD, *(line | {"model": "n"} for line in GOOD)]
    gold = [mark.model_copy(update={"model": None}) for mark in gold_of({"r0": 3})]
    with pytest.raises(GoldError, match="name no model"):
        cells_of([twice, POOR], gold)


def test_runs_without_a_common_row_are_refused():
    """The line says how many labelled rows each has."""
    with pytest.raises(InputError, match="of 300 there are 100 in run0, 200 in run1"):
        cells_of([GOOD[:100], POOR[100:]], gold_of(TRUTH))


def test_a_panels_members_and_several_signers_are_told():
    """Whose price is in the cost, and who else signed rows (fallbacks)."""
    votes = [{"judge": "llm:a"}, {"judge": "llm:b"}]
    panel = [line | {"votes": votes} for line in GOOD]
    panel[0] = panel[0] | {"judge": {"name": "fallback", "fingerprint": "f"}}
    found = compared([panel, POOR], gold_of(TRUTH))
    assert any("members whose price is known" in note for note in found.judges[0].notes)
    assert any("several judges signed" in note for note in found.judges[0].notes)
    assert runs_of([panel])[0].payers == {"llm:a", "llm:b"}
