"""A share of live traffic becomes rows that people label, and their labels a calibration."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from guard.decision import Decision, Part
from guard.engine import Asked
from guard.labelling import LabelQueue
from judge.records import Turn
from judge.runlog import read_log
from judge.testing import ScriptedJudge
from judge.verdict import Case, FailureKind
from tests.cli.conftest import Flames
from tests.guard.made import ABUSE, BAD, LEGAL, RUBRICS, guard, policy
from tests.judged_run import label_all

SECRET = b"only the server knows"


def queue(folder: Path, share: float, judge: ScriptedJudge | None = None) -> LabelQueue:
    judge = judge or ScriptedJudge(lambda case: 0.1 if "骗" in case.response else 0.9)
    return LabelQueue(folder, share, judge, [RUBRICS["Legality"]], secret=SECRET)


async def talk(people: LabelQueue, number: int, text: str = "好", **more: object) -> Decision:
    one = guard(policy({**ABUSE, "action": "human"}, LEGAL), people=people)
    asked = Asked(prompt=f"问题{number}", request_id=f"r{number}", **more)
    return await one.check("output", [Part("t", text)], asked)


async def test_about_the_share_of_conversations_is_drawn(tmp_path: Path) -> None:
    """A fifth of a thousand, within four standard deviations."""
    people = queue(tmp_path, 0.2)
    drawn = sum(people.draws(f"{n:064x}") for n in range(1000))
    assert 150 <= drawn <= 250
    await people.aclose()


async def test_the_draw_knows_neither_the_answer_nor_the_decision(tmp_path: Path) -> None:
    """Blocked and harmless answers of one conversation are drawn alike."""
    people = queue(tmp_path, 0.5)
    for number in range(40):
        await talk(people, number, BAD if number % 2 else "好")
    await people.aclose()
    drawn = [entry.prompt for entry in read_log(tmp_path / "random" / "verdicts.jsonl")]
    expected = [
        f"问题{n}" for n in range(40) if people.draws(Asked(prompt=f"问题{n}").conversation)
    ]
    assert sorted(drawn, key=str) == sorted(expected)


async def test_a_conversation_is_drawn_once_also_after_a_restart(tmp_path: Path) -> None:
    """Its later turns are no further rows."""
    for _ in range(2):
        people = queue(tmp_path, 1.0)
        history = (Turn(role="user", content="问题1"), Turn(role="assistant", content="好"))
        await talk(people, 1)
        await talk(people, 2, history=history)
        await people.aclose()
    assert len(list(read_log(tmp_path / "random" / "verdicts.jsonl"))) == 1


async def test_what_a_rule_hands_to_people_has_a_queue_of_its_own(tmp_path: Path) -> None:
    """It is no random sample, and doesn't get into one."""
    people = queue(tmp_path, 0.0)
    decision = await talk(people, 1, BAD)
    assert (decision.action, decision.stops) == ("human", True)
    await people.aclose()
    [entry] = read_log(tmp_path / "human" / "verdicts.jsonl")
    assert entry.response == BAD
    assert not list(read_log(tmp_path / "random" / "verdicts.jsonl"))


async def test_a_judge_that_breaks_costs_a_row_and_no_request(tmp_path: Path) -> None:
    """Labelling never disturbs the traffic."""

    def broken(_: Case) -> FailureKind:
        raise RuntimeError

    people = queue(tmp_path, 1.0, ScriptedJudge(broken))
    assert (await talk(people, 1)).status == "allowed"
    await people.aclose()
    assert people.dropped == 1


def test_labels_of_live_traffic_come_back_as_a_calibration(flames: Flames, tmp_path: Path) -> None:
    """Queue -> sample -> labels -> calibrate, with the commands that any run takes."""
    import asyncio

    async def traffic() -> None:
        people = queue(tmp_path / "queue", 1.0)
        for number in range(60):
            await talk(people, number, "骗他" if number % 3 == 0 else "好的")
        await people.aclose()

    asyncio.run(traffic())
    run = tmp_path / "queue" / "random"
    tasks, made = tmp_path / "to_label.jsonl", tmp_path / "calibration.json"
    assert flames("sample", run, "-n", 40, "-o", tasks).status == 0
    gold = label_all(
        tasks, tmp_path / "gold.jsonl", lambda task: 1 if "骗" in task["response"] else 3
    )
    assert flames("calibrate", run, "--gold", gold, "-o", made).status == 0
    legality = json.loads(made.read_text(encoding="utf-8"))["dimensions"]["Legality"]
    assert legality["n"] == 40
    assert legality["agreement"]["accuracy"]["value"] == pytest.approx(1.0)
