"""A share of live traffic becomes rows that people label, and their labels a calibration."""

from __future__ import annotations

import asyncio
import json
import stat
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from guard import labelling
from guard.audit.lines import SharedLines
from guard.decision import Decision, Part
from guard.engine import Asked
from guard.labelling import Draw, LabelQueue, forget_labels
from guard.loading import Given, load_guard
from judge.annotate.items import read_items
from judge.errors import InputError, JudgeUnavailable
from judge.protocols import Judge
from judge.records import Turn
from judge.rubric import Rubric
from judge.runlog import read_log
from judge.testing import ScriptedJudge
from judge.verdict import Case, FailureKind, Hazard, Outcome
from tests.cli.conftest import Flames
from tests.guard.made import ABUSE, BAD, LEGAL, RUBRICS, WordScanner, guard, policy
from tests.guard.test_spending import Kept
from tests.judged_run import label_all

SECRET = b"only the server knows"


def queue(
    folder: Path, share: float, judge: ScriptedJudge | None = None, **more: Any
) -> LabelQueue:
    judge = judge or ScriptedJudge(lambda case: 0.1 if "骗" in case.response else 0.9)
    return LabelQueue(folder, Draw(share, SECRET), judge, [RUBRICS["Legality"]], **more)


def drawn_of_half(number: int) -> bool:
    """Whether a conversation of `talk` is in a sample of half of them."""
    return Draw(0.5, SECRET).has(Asked(prompt=f"问题{number}").conversation)


async def settled() -> None:
    """What was begun in this loop has ended."""
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})


async def talk(people: LabelQueue, number: int, text: str = "好", **more: Any) -> Decision:
    one = guard(policy({**ABUSE, "action": "human"}, LEGAL), people=people)
    asked = Asked(prompt=f"问题{number}", request_id=f"r{number}", **more)
    return await one.check("output", [Part("t", text)], asked)


def test_about_the_share_of_conversations_is_drawn() -> None:
    """A fifth of a thousand, within four standard deviations."""
    drawn = sum(Draw(0.2, SECRET).has(f"{n:064x}") for n in range(1000))
    assert 150 <= drawn <= 250


async def test_the_draw_knows_neither_the_answer_nor_the_decision(tmp_path: Path) -> None:
    """Blocked and harmless answers of one conversation are drawn alike."""
    people = queue(tmp_path, 0.5)
    for number in range(40):
        await talk(people, number, BAD if number % 2 else "好")
    await people.aclose()
    drawn = [entry.prompt for entry in read_log(tmp_path / "random" / "verdicts.jsonl")]
    expected = [f"问题{n}" for n in range(40) if drawn_of_half(n)]
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


async def test_a_sample_of_another_judge_is_refused(tmp_path: Path) -> None:
    """Its labels would calibrate a mixture, which either judge could then use."""
    people = queue(tmp_path, 1.0, ScriptedJudge(lambda _: 3, name="first"))
    await talk(people, 1)
    await people.aclose()
    with pytest.raises(InputError, match=r"judged by another judge .*\(first\)"):
        queue(tmp_path, 1.0, ScriptedJudge(lambda _: 3, name="second"))
    await queue(tmp_path, 1.0, ScriptedJudge(lambda _: 3, name="first")).aclose()


async def test_what_a_rule_hands_to_people_has_a_queue_of_its_own(tmp_path: Path) -> None:
    """It is no random sample, and doesn't get into one."""
    people = queue(tmp_path, 0.0)
    decision = await talk(people, 1, BAD)
    assert (decision.action, decision.stops) == ("human", True)
    await people.aclose()
    [entry] = read_log(tmp_path / "human" / "verdicts.jsonl")
    assert entry.response == BAD
    assert not list(read_log(tmp_path / "random" / "verdicts.jsonl"))


async def test_people_get_all_answers_to_one_question(tmp_path: Path) -> None:
    """Two choices of one request are two rows, and both go when the request is forgotten."""
    people = queue(tmp_path, 0.0)
    for text in (f"一{BAD}", f"二{BAD}"):
        await talk(people, 1, text)
    await talk(people, 2, BAD)
    await people.aclose()
    rows = read_items(tmp_path / "human", RUBRICS)
    assert sorted(row.response for row in rows) == [f"一{BAD}", f"二{BAD}", BAD]
    assert forget_labels(tmp_path, request_id="r1") == 2
    assert left(tmp_path, "human") == ["问题2"]


async def test_a_slow_judge_does_not_hold_up_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that takes minutes to end is killed, before its logs are whole; gaps are counted."""

    class Hangs(ScriptedJudge):
        async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
            await asyncio.Event().wait()
            raise AssertionError

    monkeypatch.setattr(labelling, "GRACE_S", 0.01)
    lost: list[str] = []
    people = queue(tmp_path, 1.0, Hangs(lambda _: 3), lost=lost.append)
    for number in range(5):
        await talk(people, number)
    async with asyncio.timeout(20):
        await people.aclose()
    assert lost == ["random"] * 5


@pytest.mark.parametrize("judge", ["hangs", "breaks", "is busy"])
async def test_people_see_what_a_rule_hands_them_whatever_becomes_of_the_judge(
    judge: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every dimension, without an opinion; nothing is counted as lost."""

    class Away(ScriptedJudge):
        async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
            if judge == "breaks":
                raise JudgeUnavailable("no such model")
            await asyncio.Event().wait()
            raise AssertionError

    monkeypatch.setattr(labelling, "GRACE_S", 0.01)
    monkeypatch.setattr(labelling, "MOST_WAITING", 0 if judge == "is busy" else 200)
    lost: list[str] = []
    rubrics = [RUBRICS["Legality"], RUBRICS["Fairness"]]
    people = LabelQueue(tmp_path, Draw(0.0, SECRET), Away(lambda _: 3), rubrics, lost=lost.append)
    for number in range(5):
        await talk(people, number, BAD)
    async with asyncio.timeout(20):
        await people.aclose()
    rows = read_items(tmp_path / "human", RUBRICS)
    assert sorted((row.prompt, row.dimension) for row in rows) == sorted(
        (f"问题{n}", name) for n in range(5) for name in ("Legality", "Fairness")
    )
    assert lost == []


async def test_what_a_slow_disk_doesn_t_take_at_the_end_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of what people were to see."""
    released = threading.Event()
    monkeypatch.setattr(labelling, "GRACE_S", 0.01)
    monkeypatch.setattr(SharedLines, "append", lambda *_: released.wait(20))
    lost: list[str] = []
    people = queue(tmp_path, 0.0, lost=lost.append)
    await talk(people, 1, BAD)
    async with asyncio.timeout(20):
        await people.aclose()
    released.set()
    assert lost == ["human"]


async def test_answers_that_a_queue_can_t_keep_are_counted_by_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where too many wait, or the disk is full: of `human`, nobody gets to see what was stopped."""

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    lost: list[str] = []
    people = queue(tmp_path, 1.0, lost=lost.append)
    monkeypatch.setattr(labelling, "MOST_WAITING", 1)
    await talk(people, 1, BAD)
    assert lost == ["random"]
    await settled()
    monkeypatch.setattr(SharedLines, "append", full)
    await talk(people, 1, BAD)
    await people.aclose()
    assert lost == ["random", "human"]


async def test_a_judge_that_breaks_costs_a_row_and_no_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Labelling never disturbs the traffic; that the sample has gaps is told, without texts."""

    def broken(_: Case) -> FailureKind:
        raise RuntimeError

    lost: list[str] = []
    people = queue(tmp_path, 1.0, ScriptedJudge(broken), lost=lost.append)
    assert (await talk(people, 1)).status == "allowed"
    await people.aclose()
    assert lost == ["random"]
    assert caplog.messages == ["1 drawn answers are missing for labelling: RuntimeError"]


async def test_what_is_remembered_of_drawn_conversations_is_bounded_and_the_draw_is_not_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who goes on talking is remembered longest; who is drawn goes by a keyed hash alone."""
    monkeypatch.setattr(labelling, "REMEMBERED", 3)
    people = queue(tmp_path, 0.5)
    drawn = [n for n in range(40) if drawn_of_half(n)]
    for number in range(40):
        await talk(people, number)
        await talk(people, drawn[0])
    await talk(people, drawn[1])
    await people.aclose()
    rows = [entry.prompt for entry in read_log(tmp_path / "random" / "verdicts.jsonl")]
    again = drawn[1]  # forgotten, so that it gets a second row
    assert sorted(rows, key=str) == sorted(f"问题{n}" for n in [*drawn, again])


async def test_the_queue_s_judge_is_paid_from_the_day_s_money(tmp_path: Path) -> None:
    """Labels are no way around the budget: without money, rows are dropped and counted."""

    class Dear(ScriptedJudge):
        async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
            more = {"cost_usd": 1.0}
            return [one.model_copy(update=more) for one in await super().assess(cases)]

    made: list[LabelQueue] = []
    lost: list[str] = []

    def people(judge: Judge, rubrics: Sequence[Rubric]) -> LabelQueue:
        made.append(LabelQueue(tmp_path, Draw(1.0, SECRET), judge, rubrics, lost=lost.append))
        return made[-1]

    purse = Kept()
    given = Given(judge=Dear(lambda _: 0.9), scanner=WordScanner(), purse=purse, people=people)
    one = load_guard(policy(LEGAL, budget_usd_per_day=2.5), given)
    for number in range(3):
        asked = Asked(prompt=f"问题{number}", request_id=f"r{number}")
        decision = await one.check("output", [Part("t", "好")], asked)
        await settled()
    assert [missed.kind for missed in decision.missed] == ["budget"]
    assert (purse.usd, lost) == (3.0, ["random"] * 2)
    await made[0].aclose()


def test_a_queue_of_a_guard_in_two_loops_loses_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for the judge in one of them is woken there; both loops' answers are rows."""

    class Meeting(ScriptedJudge):
        """Answers once it is asked in both loops."""

        async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
            await asyncio.to_thread(both.wait)
            return await super().assess(cases)

    async def traffic(first: int) -> None:
        for number in range(first, first + 3):
            asked = Asked(prompt=f"问题{number}", request_id=f"r{number}")
            people.offer(decision, [Part("t", "好")], asked)
        async with asyncio.timeout(20):
            await settled()

    monkeypatch.setattr(labelling, "AT_ONCE", 1)
    both, lost = threading.Barrier(2, timeout=10), list[str]()
    people = queue(tmp_path, 1.0, Meeting(lambda _: 0.9), lost=lost.append)
    decision = asyncio.run(guard(policy(LEGAL)).look("output", [Part("t", "好")], Asked()))
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(asyncio.run, map(traffic, (0, 10))))
    asyncio.run(people.aclose())
    assert (sorted(map(str, left(tmp_path, "random"))), lost) == (
        [f"问题{number}" for number in (0, 1, 10, 11, 12, 2)],
        [],
    )


async def filled(folder: Path) -> LabelQueue:
    """A queue of four conversations' rows, a day apart; every other one is for people."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    days = iter(range(100))
    people = queue(folder, 1.0, now=lambda: start + timedelta(days=next(days) // 2))
    for number in range(4):
        await talk(people, number, BAD)
        await settled()
    return people


def left(folder: Path, name: str) -> list[str | None]:
    return [entry.prompt for entry in read_log(folder / name / "verdicts.jsonl")]


@pytest.mark.parametrize(
    ("which", "kept"),
    [
        ({"before": datetime(2026, 1, 3, tzinfo=UTC)}, ["问题2", "问题3"]),
        ({"request_id": "r1"}, ["问题0", "问题2", "问题3"]),
        ({"conversation": Asked(prompt="问题0").conversation}, ["问题1", "问题2", "问题3"]),
    ],
)
async def test_rows_to_label_are_forgotten_by_age_request_and_conversation(
    tmp_path: Path, which: dict[str, Any], kept: list[str]
) -> None:
    """In both queues and for good; the server goes on filling them, and `sample` reads the rest."""
    people = await filled(tmp_path)
    assert forget_labels(tmp_path, **which) == 2 * (4 - len(kept))
    await talk(people, 9, BAD)
    await people.aclose()
    for name in ("random", "human"):
        assert left(tmp_path, name) == [*kept, "问题9"]
        assert stat.S_IMODE((tmp_path / name / "verdicts.jsonl").stat().st_mode) == 0o600
        gone = {f"问题{n}" for n in range(4)} - set(kept)
        held = b"".join(file.read_bytes() for file in (tmp_path / name).iterdir())
        assert not any(text.encode() in held for text in gone)


async def test_a_torn_row_goes_with_those_that_are_forgotten(tmp_path: Path) -> None:
    """What a full disk left of a row is nobody's to keep."""
    people = await filled(tmp_path)
    await people.aclose()
    file = tmp_path / "random" / "verdicts.jsonl"
    with file.open("ab") as lines:
        lines.write('{"format":1,"type":"verdict","record_id":"某'.encode()[:-1])
    assert forget_labels(tmp_path, request_id="r9") == 0
    assert file.read_bytes().endswith(b"\xe6\x9f")
    forget_labels(tmp_path, request_id="r1")
    assert left(tmp_path, "random") == ["问题0", "问题2", "问题3"]


async def test_a_torn_row_keeps_no_server_from_starting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What a kill left is taken out and told; the rows around it go on being sampled."""
    await (await filled(tmp_path)).aclose()
    file = tmp_path / "random" / "verdicts.jsonl"
    whole = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(whole[0] + b'{"format":1,"ty\n' + b"".join(whole[1:]) + whole[0][:300])
    people = queue(tmp_path, 1.0)
    assert file.read_bytes() == b"".join(whole)
    assert caplog.messages == ["rows to label (random) that a kill or a full disk tore: 2"]
    await talk(people, 1, BAD)
    await talk(people, 9, BAD)
    await people.aclose()
    assert left(tmp_path, "random") == ["问题0", "问题1", "问题2", "问题3", "问题9"]


def test_rows_are_lost_to_nobody_while_others_forget(tmp_path: Path) -> None:
    """Four processes' worth of appends and as many rewrites, all at once."""
    file = tmp_path / "verdicts.jsonl"
    writers = [SharedLines(file) for _ in range(4)]

    def write(number: int) -> None:
        for n in range(50):
            writers[number].append(f"kept {number} {n}")
            writers[number].append(f"gone {number} {n}")

    def forget(number: int) -> int:
        return sum(
            writers[number].take_out(lambda line: line.startswith(b"gone")) for _ in range(20)
        )

    with ThreadPoolExecutor(8) as threads:
        work = [threads.submit(write, n) for n in range(4)]
        gone = [threads.submit(forget, n) for n in range(4)]
        for writing in work:
            writing.result()
        counted = sum(one.result() for one in gone)
    counted += forget(0)
    for one in writers:
        one.close()
    assert counted == 200
    kept = file.read_text(encoding="utf-8").splitlines()
    assert sorted(kept) == sorted(f"kept {number} {n}" for number in range(4) for n in range(50))
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".new"] == []


async def test_a_command_and_a_server_s_hour_forget_rows_to_label(
    flames: Flames, tmp_path: Path
) -> None:
    """`guard forget --label-queue`, and what `serve --retain-days` calls."""
    people = await filled(tmp_path / "queue")
    before = datetime(2026, 1, 2, tzinfo=UTC)
    assert await asyncio.to_thread(people.forget, before=before) == 2
    await people.aclose()
    hash_ = Asked(prompt="问题1").conversation
    place = ("--label-queue", tmp_path / "queue")
    done = flames("guard", "forget", *place, "--conversation", hash_)
    assert (done.status, done.out) == (0, "2 rows to label deleted\n")
    assert left(tmp_path / "queue", "human") == ["问题2", "问题3"]
    (tmp_path / "a.jsonl").touch()
    log = f"jsonl:{tmp_path / 'a.jsonl'}"
    both = flames("guard", "forget", *place, "--audit", log, "--older-than", 1)
    assert both.out == "0 events deleted\n4 rows to label deleted\n"
    nowhere = flames("guard", "forget", "--request", "r1")
    assert (nowhere.status, "nothing says where to forget" in nowhere.err) == (2, True)
    none = flames("guard", "forget", "--label-queue", tmp_path, "--request", "r1")
    assert (none.status, "is no label queue" in none.err) == (2, True)


def test_labels_of_live_traffic_come_back_as_a_calibration(flames: Flames, tmp_path: Path) -> None:
    """Queue -> sample -> labels -> calibrate, with the commands that any run takes."""

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


async def test_answers_to_known_probes_are_judged_as_the_guard_judges_them(tmp_path: Path) -> None:
    """On a test bench, too, labels are to calibrate the judge that acts."""
    judge = ScriptedJudge(lambda _: 0.9)
    people = queue(tmp_path, 1.0, judge)
    one = guard(policy(LEGAL, hazard="known"), people=people)
    await one.check("output", [Part("t", "好")], Asked(prompt="问题"))
    await people.aclose()
    assert [case.hazard for case in judge.seen] == [Hazard.KNOWN]
