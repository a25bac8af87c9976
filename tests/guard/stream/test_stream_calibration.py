"""Cuts for streams: looking often neither breaks the promise nor stops more good answers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from random import Random

import pytest

from guard.cli.calibrate_stream import _silent
from guard.policy import StreamPolicy
from guard.stream.calibration import Answer, Replay, looks_at, with_stream_cuts
from judge.calibration import Promise
from judge.calibration_fit import FitOptions, fit
from judge.gold import GoldLabel
from judge.gold.model import RowKey
from judge.judged import judged_rows
from judge.records import Record
from judge.runlog import Entry, outcome_line
from judge.stats.streams import least
from judge.testing import ScriptedJudge
from judge.verdict import Case, FailureKind, Hazard
from tests.guard.made import RUBRICS
from tests.judged_run import entries, verdict

STREAM = StreamPolicy(window=80, overlap=40)
PROMISE = Promise(miss_rate=0.1, confidence=0.95)
HARM = "害"


def judge() -> ScriptedJudge:
    """Sees harm where it stands, with noise that is each text's own."""

    def p(case: Case) -> float:
        rng = Random(case.response)
        return rng.betavariate(2, 6) if HARM in case.response else rng.betavariate(12, 2)

    return ScriptedJudge(p)


def text(number: int, *, harmful: bool) -> str:
    body = [f"第{number}段{place}好" for place in range(60)]
    if harmful:
        body[Random(number).randrange(60)] += HARM
    return "".join(body)


def answer(number: int, *, harmful: bool) -> Answer:
    key = RowKey("m", f"r{number}", "Legality")
    response = text(number, harmful=harmful)
    return Answer(key, Record(id=key.record_id, prompt=f"问{number}", response=response))


def looked_at(numbers: range) -> dict[RowKey, tuple[bool, float, float]]:
    """Whether it is harmful, P of the whole, and the least of the looks; every other is harmful."""
    replay = Replay(judge(), RUBRICS, STREAM, Hazard.UNKNOWN)
    found = {}
    for number in numbers:
        harmful = number % 2 == 0
        one = answer(number, harmful=harmful)
        [whole] = asyncio.run(
            replay.judge.assess([replay._case(one, RUBRICS["Legality"], one.record.response or "")])
        )
        found[one.key] = (harmful, whole.p_harmless, least(asyncio.run(replay.looks(one))))
    return found


@pytest.fixture(scope="module")
def cuts() -> tuple[float, float]:
    """The cut for one look and the cut for a stream, from 400 gold answers."""
    seen = looked_at(range(400))
    lines = [
        verdict(key.record_id, 3 if whole >= 0.5 else 1, p_harmless=whole)
        for key, (_, whole, _) in seen.items()
    ]
    gold = [
        GoldLabel(
            record_id=key.record_id, model="m", dimension="Legality",
            label=1 if harmful else 3, annotator="a",
        )
        for key, (harmful, _, _) in seen.items()
    ]  # fmt: skip
    rows, labels = judged_rows(entries(lines)), {"Legality": (3, 1)}
    once = fit(rows, gold, labels, FitOptions("2026-01-01T00:00:00+00:00", promises=(PROMISE,)))
    replay = Replay(judge(), RUBRICS, STREAM, Hazard.UNKNOWN)
    looks = {
        key: asyncio.run(replay.looks(answer(int(key.record_id[1:]), harmful=value[0])))
        for key, value in seen.items()
    }
    plan = ({"Legality": [PROMISE]}, STREAM)
    made, refused = with_stream_cuts(once.calibration, rows, gold, looks, plan)
    assert not refused
    plain, often = made.dimensions["Legality"].thresholds
    assert (plain.looks, often.looks and often.looks.window) == (None, 80)
    return plain.cut, often.cut


def test_a_cut_for_streams_keeps_the_promise_and_stops_fewer_good_answers(
    cuts: tuple[float, float],
) -> None:
    """On 1,000 new answers, beside the cut for one look that is used at every look."""
    once, often = cuts
    new = looked_at(range(10_000, 11_000)).values()
    missed = [lowest >= often for harmful, _, lowest in new if harmful]
    assert sum(missed) / len(missed) <= 0.1
    good = [(whole, lowest) for harmful, whole, lowest in new if not harmful]
    one_look = sum(whole < once for whole, _ in good) / len(good)
    many_looks = sum(lowest < once for _, lowest in good) / len(good)
    streamed = sum(lowest < often for _, lowest in good) / len(good)
    assert many_looks > 3 * one_look
    assert streamed < many_looks / 2


def test_looks_are_those_of_a_stream_and_the_whole() -> None:
    """Windows, tail, and all of it."""
    whole = "好" * 130
    assert [len(look) for look in looks_at(whole, STREAM)] == [80, 80, 80, 130]
    assert looks_at("短", STREAM) == ["短", "短"]


async def test_a_look_without_a_verdict_stops_nothing() -> None:
    """The judge failed at the windows and spoke about the whole."""
    failing = ScriptedJudge(lambda c: FailureKind.TIMEOUT if len(c.response) == 80 else 0.9)
    one = answer(1, harmful=False)
    looks = await Replay(failing, RUBRICS, STREAM, Hazard.UNKNOWN).looks(one)
    assert set(looks) == {None, 0.9}
    assert least(looks) == 0.9


def scored(one: Answer, by: ScriptedJudge, hazard: Hazard = Hazard.UNKNOWN) -> Answer:
    """The answer with the line that `score` logs of it."""
    rubric = RUBRICS["Legality"]
    case = Case(record=one.record, rubric=rubric, response=one.record.response or "", hazard=hazard)
    [outcome] = asyncio.run(by.assess([case]))
    return one._replace(
        scored=Entry.model_validate_json(outcome_line(case, outcome, datetime.now(UTC)))
    )


def test_the_judge_is_not_asked_again_about_what_it_has_scored() -> None:
    """The last look is the whole answer, whose verdict is in the run; the looks are the same."""
    one = answer(2, harmful=True)
    whole = one.record.response or ""
    anew, again = judge(), judge()
    wanted = asyncio.run(Replay(anew, RUBRICS, STREAM, Hazard.UNKNOWN).looks(one))
    looks = Replay(again, RUBRICS, STREAM, Hazard.UNKNOWN).looks(scored(one, judge()))
    assert asyncio.run(looks) == wanted
    assert len(anew.seen) == len(looks_at(whole, STREAM)) == len(again.seen) + 1
    assert whole not in [case.response for case in again.seen]


def test_a_short_answer_that_was_scored_costs_no_call() -> None:
    """Its tail and the whole of it are one case; without a verdict that is asked about once."""
    key = RowKey("m", "r1", "Legality")
    short = Answer(key, Record(id="r1", prompt="问", response="短"))
    asked, anew = judge(), judge()
    looks = Replay(asked, RUBRICS, STREAM, Hazard.UNKNOWN).looks(scored(short, judge()))
    assert len(asyncio.run(looks)) == 2
    assert asked.seen == []
    asyncio.run(Replay(anew, RUBRICS, STREAM, Hazard.UNKNOWN).looks(short))
    assert len(anew.seen) == 1


def test_a_verdict_on_another_case_is_no_verdict_on_this_one() -> None:
    """Another judge, rubric or text, another word about the prompt, or a failure: asked anew."""
    one = answer(2, harmful=True)
    line = scored(one, judge()).scored
    failed = scored(one, ScriptedJudge(lambda _: FailureKind.TIMEOUT)).scored
    assert line is not None
    assert line.judge is not None
    assert line.rubric is not None
    others = [
        line.model_copy(update={"judge": line.judge.model_copy(update={"fingerprint": "x"})}),
        line.model_copy(update={"rubric": line.rubric.model_copy(update={"version": "0"})}),
        line.model_copy(update={"hazard": Hazard.KNOWN}),
        line.model_copy(update={"content_sha256": "0" * 64}),
        line.model_copy(update={"subcomponent": "税务"}),  # its row's own, which no guard knows
        failed,
    ]
    for other in others:
        asked = judge()
        replay = Replay(asked, RUBRICS, STREAM, Hazard.UNKNOWN)
        asyncio.run(replay.looks(one._replace(scored=other)))
        assert one.record.response in [case.response for case in asked.seen]


def test_looks_without_a_verdict_are_told() -> None:
    """A server that answered half of them is not the judge's own doubt."""
    assert list(_silent([(0.9, None), (None, 0.2, 0.1)])) == [
        "2 of 5 looks got no verdict; no such look stops an answer"
    ]
    assert list(_silent([(0.9,)])) == []
