"""What a guard refuses at its start, and which cut a promise becomes."""

from __future__ import annotations

import pytest

from guard.binding import bind
from judge.calibration import Looks, Map
from judge.errors import InputError
from judge.records import Record
from judge.testing import ScriptedJudge
from judge.verdict import Case
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
