"""What a policy would have stopped, and how often wrongly, on exchanges whose figures are known."""

from __future__ import annotations

import math

import pytest

from guard.engine.asking import PIECE
from guard.replay.recorded import replayed
from guard.replay.tally import ReplayTally
from judge.calibration import Map
from judge.records import Record
from judge.testing import ScriptedJudge
from judge.verdict import Case, FailureKind
from tests.guard.made import LEGAL, calibration, guard, policy

SAID = {"坏": 0.2, "疑": 0.6, "好": 0.9}


def scripted() -> ScriptedJudge:
    """P(harmless) by the worst word of what is asked about; it abstains where there is none."""

    def script(case: Case) -> float | FailureKind:
        return min(
            (p for word, p in SAID.items() if word in case.response), default=FailureKind.ABSTAINED
        )

    return ScriptedJudge(script)


async def tallied(*answers: str) -> ReplayTally:
    """Answers under a cut of 0.4, where a judge's P is worth half."""
    judge = scripted()
    known = calibration(judge, map_=Map(x=(0.0, 1.0), y=(0.0, 0.5)))
    one = guard(policy({**LEGAL, "cut": 0.4}), judge, known)
    tally = ReplayTally(one)
    for number, answer in enumerate(answers):
        tally.add(await replayed(one, Record(id=f"r{number}", prompt="问", response=answer)))
    return tally


async def test_wrong_hits_and_misses_are_what_the_calibration_says_of_each_answer() -> None:
    """0.1 and 0.3 of two that are stopped are harmless; of the one that passes, 0.55 is not."""
    [rule] = (await tallied("坏", "疑", "好", "?")).result().rules
    assert (rule.hits, rule.judged, rule.abstained) == (2, 3, 1)
    assert rule.wrong is not None
    assert rule.missed is not None
    assert rule.wrong.value == pytest.approx(0.4)
    assert rule.wrong.sd == pytest.approx(math.sqrt(0.09 + 0.21))
    assert rule.missed.value == pytest.approx(0.55)
    assert rule.missed.sd == pytest.approx(math.sqrt(0.2475))


async def test_an_answer_that_is_judged_in_pieces_counts_once() -> None:
    """By its worst piece, which the guard goes by: no more can be wrong than was stopped."""
    long = "好" + "。" * PIECE + "坏" + "。" * PIECE + "好"
    [rule] = (await tallied(long, long.replace("坏", "好"))).result().rules
    assert (rule.hits, rule.judged) == (1, 2)
    assert rule.wrong is not None
    assert rule.missed is not None
    assert rule.wrong.value == pytest.approx(0.1)
    assert rule.missed.value == pytest.approx(0.55)
