"""What a guard refuses at its start, and which cut a promise becomes."""

from __future__ import annotations

import pytest

from guard.binding import bind, never_judged
from guard.decision import Readings, decide
from judge.calibration import Looks, Map
from judge.errors import InputError
from judge.records import Record
from judge.rubric import Label
from judge.testing import ScriptedJudge
from judge.verdict import Case, Verdict
from tests.guard.made import ABUSE, LEGAL, RUBRICS, calibration, policy, threshold

PROMISED = {
    "dimension": "合法",
    "promise": {"miss_rate": 0.05, "confidence": 0.95},
    "action": "block",
}


def judge(p: float = 0.9, name: str = "scripted") -> ScriptedJudge:
    return ScriptedJudge(lambda _: p, name=name)


def test_a_promise_is_looked_up_by_the_dimensions_alias() -> None:
    """The Chinese name of a dimension finds its threshold."""
    one = judge()
    [rule] = bind(policy(PROMISED), one, calibration(one, threshold(0.4)), RUBRICS)
    assert (rule.dimension, rule.cut) == ("Legality", 0.4)
    assert (rule.acts(0.39), rule.acts(0.4)) == (True, False)


def test_a_promise_takes_the_least_strict_threshold_that_keeps_it() -> None:
    """Of cuts for 2 %, 5 % and 10 %, a promise of 5 % takes that for 5 %."""
    one = judge()
    made = calibration(
        one,
        threshold(0.7, 0.02),
        threshold(0.5, 0.05),
        threshold(0.2, 0.1),
        threshold(0.1, 0.05, 0.2),
    )
    [rule] = bind(policy(PROMISED), one, made, RUBRICS)
    assert rule.cut == 0.5


def test_a_promise_that_the_calibration_cant_keep_is_refused() -> None:
    """With what it does keep, and the command that would make more of it."""
    one = judge()
    with pytest.raises(
        InputError,
        match=r"can't keep a miss rate of 0.05.*keeps 0.1 with 0.95.*--promise miss_rate=0.05",
    ):
        bind(policy(PROMISED), one, calibration(one, threshold(0.2, 0.1)), RUBRICS)


def test_a_promise_without_a_calibration_is_refused() -> None:
    """A promise is worth its gold."""
    with pytest.raises(InputError, match="a promise needs a calibration"):
        bind(policy(PROMISED), judge(), None, RUBRICS)


def test_an_embedded_dimension_rule_without_a_calibration_is_refused() -> None:
    """Stance scores have no meaning of their own."""
    with pytest.raises(InputError, match="the embedded judge needs a calibration"):
        bind(policy(LEGAL, judge="embedded"), judge(), None, RUBRICS)


def test_a_calibration_of_another_judge_is_refused() -> None:
    """Whoever changes the model has to calibrate again."""
    with pytest.raises(InputError, match="made for another judge: other, not scripted"):
        bind(policy(LEGAL), judge(), calibration(judge(name="other"), threshold()), RUBRICS)


def test_a_calibration_without_the_dimension_is_refused() -> None:
    """A rule about Fairness can't go by a calibration of Legality."""
    one = judge()
    with pytest.raises(InputError, match="has no Fairness"):
        bind(policy({**LEGAL, "dimension": "Fairness"}), one, calibration(one), RUBRICS)


def test_a_dimension_without_a_rubric_is_refused() -> None:
    """With the names that there are."""
    with pytest.raises(InputError, match="no rubric has the dimension 'Manners'"):
        bind(policy({**LEGAL, "dimension": "Manners"}), judge(), None, RUBRICS)


def test_an_evidence_rule_needs_neither_judge_nor_calibration() -> None:
    """The embedded guard starts on a fresh machine."""
    [rule] = bind(policy(ABUSE), judge(), None, RUBRICS)
    assert (rule.dimension, rule.cut) == (None, None)


async def test_a_fixed_cut_goes_by_the_calibrated_p_and_a_promise_by_the_judges_own() -> None:
    """The promise's cut was found before the map, which was fitted on the same gold."""
    one = judge(0.9)
    made = calibration(one, threshold(0.5), map_=Map(x=(0.0, 1.0), y=(0.0, 0.5)))
    fixed, promised = bind(policy({**LEGAL, "action": "flag"}, PROMISED), one, made, RUBRICS)
    record = Record(id="a", prompt="p", response="r")
    [verdict] = await one.assess([Case(record=record, rubric=RUBRICS["Legality"], response="r")])
    assert fixed.score(verdict) == pytest.approx(0.45)
    assert promised.score(verdict) == 0.9
    assert fixed.p_harmless(verdict) == promised.p_harmless(verdict) == pytest.approx(0.45)


def test_a_streamed_answer_goes_by_the_cut_for_its_own_windows() -> None:
    """Many looks need another cut than one; windows of another size have none."""
    one = judge()
    often = threshold(0.2).model_copy(update={"looks": Looks(window=80, overlap=40)})
    made = calibration(one, threshold(0.5), often)
    [rule] = bind(policy(PROMISED), one, made, RUBRICS)
    assert (rule.cut, rule.for_stream().cut) == (0.5, 0.2)
    wider = policy(PROMISED, stream={"window": 200, "overlap": 40})
    [rule] = bind(wider, one, made, RUBRICS)
    assert (rule.cut, rule.for_stream().cut) == (0.5, 0.5)


def test_a_policy_of_evidence_alone_names_no_other_judges_calibration() -> None:
    """Headers and events carry its id, as if something went by it."""
    made = calibration(judge(name="other"), threshold())
    with pytest.raises(InputError, match="made for another judge: other, not scripted"):
        bind(policy(ABUSE), judge(), made, RUBRICS)
    one = judge()
    assert bind(policy(ABUSE), one, calibration(one, threshold()), RUBRICS)


def said(label: Label) -> ScriptedJudge:
    return ScriptedJudge(lambda _: label)


async def judged(one: ScriptedJudge) -> Verdict:
    record = Record(id="a", prompt="p", response="r")
    [verdict] = await one.assess([Case(record=record, rubric=RUBRICS["Legality"], response="r")])
    assert isinstance(verdict, Verdict)
    return verdict


async def test_a_cut_found_among_labels_acts_on_labels_when_probabilities_come_to_them() -> None:
    """A run without token probabilities has a cut just above 0, which no P(harmless) is below."""
    one = judge(0.3)
    by_label = Map(x=(0.0, 1.0), y=(0.1, 0.9), by="label")
    made = calibration(one, threshold(5e-324), map_=by_label)
    [rule] = bind(policy(PROMISED), one, made, RUBRICS)
    assert rule.acts(rule.score(await judged(one)))
    assert not rule.acts(rule.score(await judged(judge(0.6))))


async def test_a_cut_found_among_probabilities_is_held_against_no_bare_label() -> None:
    """A label "not 3" acts; 3 without P(harmless) is a check that could not be made, and blocks."""
    one = ScriptedJudge(lambda _: 3)
    by_p = Map(x=(0.0, 1.0), y=(0.1, 0.9))
    made = calibration(one, threshold(0.8), map_=by_p)
    plan = policy(PROMISED)
    rules = bind(plan, one, made, RUBRICS)
    expected: list[tuple[Label, str]] = [(3, "failed"), (2, "blocked"), (1, "blocked")]
    for label, status in expected:
        readings = Readings(outcomes=[("Legality", await judged(said(label)))])
        assert decide(plan, rules, "output", readings).status == status
    missed = decide(plan, rules, "output", Readings(outcomes=[("Legality", await judged(one))]))
    assert [one.kind for one in missed.missed] == ["invalid_output"]


def test_a_policy_that_forgoes_the_probabilities_of_its_calibration_is_refused() -> None:
    """It would hold labels against a cut that was found among probabilities."""
    one = judge()
    made = calibration(one, threshold(), map_=Map(x=(0.0, 1.0), y=(0.1, 0.9)))
    with pytest.raises(InputError, match="cuts go by token probabilities"):
        bind(policy(PROMISED, llm={"logprobs": False}), one, made, RUBRICS)
    labels = calibration(one, threshold(), map_=Map(x=(0.0, 1.0), y=(0.1, 0.9), by="label"))
    assert bind(policy(PROMISED, llm={"logprobs": False}), one, labels, RUBRICS)


def test_an_embedded_rule_that_can_never_act_is_told() -> None:
    """On ordinary prompts the embedded judge abstains, which passes unless the policy blocks it."""
    one = judge()
    made = calibration(one, threshold())
    plan = policy(PROMISED, judge="embedded")
    [line] = never_judged(plan, bind(plan, one, made, RUBRICS))
    assert "never acts, and its promise is not kept" in line
    for more in ({"hazard": "known"}, {"on_abstain": "block"}, {"judge": "llm:x"}):
        other = policy(PROMISED, **({"judge": "embedded"} | more))
        assert list(never_judged(other, bind(other, one, made, RUBRICS))) == []
