"""What a guard refuses at its start, and which cut a promise becomes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from guard.engine.deciding import Readings, decide
from guard.policy.binding import bind
from judge.backends.fallback import FallbackJudge
from judge.calibration import Looks, Map
from judge.errors import InputError
from judge.records import Record
from judge.rubric import Label, Rubric
from judge.testing import ScriptedJudge
from judge.verdict import Case, JudgeRef, Verdict
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
        bind(policy(LEGAL, judge="embedded"), judge(name="embedded"), None, RUBRICS)


def test_a_judge_of_one_s_own_needs_no_calibration_for_a_fixed_cut() -> None:
    """It is given in place of the policy's, which then need not be named: the default is none."""
    [rule] = bind(policy(LEGAL, judge="embedded"), judge(), None, RUBRICS)
    assert rule.cut == 0.5


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


@pytest.mark.parametrize(
    ("map_", "acted"),
    [
        (None, {1, 2}),
        (Map(x=(0.0, 1.0), y=(0.4, 0.9)), {1, 2}),
        (Map(x=(0.0, 0.5, 1.0), y=(0.1, 0.6, 0.9), by="label"), {1}),  # as people have seen it
    ],
)
async def test_a_label_without_probabilities_is_below_one_half_but_for_3(
    map_: Map | None, acted: set[Label]
) -> None:
    """A model without token probabilities that says 2, not harmless, doesn't pass a cut of 0.5."""
    by_label: dict[Label, ScriptedJudge] = {1: said(1), 2: said(2), 3: said(3)}
    made = None if map_ is None else calibration(said(3), dimension="Fairness", map_=map_)
    plan = policy({**LEGAL, "dimension": "Fairness"})
    rules = bind(plan, said(3), made, RUBRICS)
    for label, one in by_label.items():
        record = Record(id="a", prompt="p", response="r")
        [found] = await one.assess([Case(record=record, rubric=RUBRICS["Fairness"], response="r")])
        decision = decide(plan, rules, "output", Readings(outcomes=[("Fairness", found)]))
        assert decision.stops is (label in acted)


class Otherwise(ScriptedJudge):
    """A judge that may be asked with another prompt, as a model whose context is short."""

    other = False

    def ref(self, rubric: Rubric) -> JudgeRef:
        return self._refs(rubric)[self.other]

    def signers(self, rubric: Rubric) -> Sequence[JudgeRef]:
        return self._refs(rubric)

    def _refs(self, rubric: Rubric) -> list[JudgeRef]:
        own = super().ref(rubric)
        return [own, own.model_copy(update={"fingerprint": "other"})]


@pytest.mark.parametrize("cut", [None, 0.5])
async def test_a_promise_lets_nothing_pass_that_its_judge_says_otherwise_asked(
    cut: float | None,
) -> None:
    """It was found with another prompt; what calls for action acts, and a fixed cut goes on."""
    one = Otherwise(lambda _: 0.9)
    made = calibration(one, threshold(0.4))
    plan = policy(PROMISED if cut is None else {**LEGAL, "cut": cut})
    rules = bind(plan, one, made, RUBRICS)
    for p, other, status in [
        (0.9, False, "allowed"),
        (0.9, True, "failed"),
        (0.1, True, "blocked"),
    ]:
        asked = Otherwise(lambda _, p=p: p)  # type: ignore[misc]
        asked.other = other
        decision = decide(
            plan, rules, "output", Readings(outcomes=[("Legality", await judged(asked))])
        )
        assert decision.status == ("allowed" if cut and status == "failed" else status)


def test_a_calibration_of_the_same_judge_with_a_short_context_is_its_own() -> None:
    """All its rows were judged without the worked examples, as the guard's will be."""
    short, one = Otherwise(lambda _: 0.9), Otherwise(lambda _: 0.9)
    short.other = True
    made = calibration(short, threshold(0.4))
    assert bind(policy(PROMISED), one, made, RUBRICS)[0].cut == 0.4
    assert bind(policy(ABUSE), one, made, RUBRICS)


@pytest.mark.parametrize("rule", [PROMISED, LEGAL])
def test_a_fallback_that_judged_none_of_the_gold_is_refused(rule: dict[str, object]) -> None:
    """The first judge's cut and map say nothing of another's verdicts."""
    one, other = judge(), judge(name="other")
    pair = FallbackJudge(one, [other])
    plan = policy(rule, llm={"fallback": ["other"]})
    made = calibration(one, threshold(0.4))
    with pytest.raises(InputError, match=r"made without the fallback other \(in Legality\)"):
        bind(plan, pair, made, RUBRICS)
    part = made.dimensions["Legality"]
    ref = other.ref(RUBRICS["Legality"])
    both = part.model_copy(update={"signers": {**part.signers, ref.fingerprint: ref.name}})
    [bound] = bind(plan, pair, made.model_copy(update={"dimensions": {"Legality": both}}), RUBRICS)
    assert bound.calibration is both
