"""POST /v1/judge: records judged at once, as `score` judges them."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from guard.server.settings import Limits
from judge.calibration import Map
from judge.errors import JudgeUnavailable
from judge.testing import ScriptedJudge
from judge.verdict import FailureKind, Hazard
from tests.guard.made import calibration
from tests.guard.server.records import (
    HARMFUL,
    BrokeAfter,
    FailingJudge,
    HeldJudge,
    Noticing,
    PricedJudge,
    bench_of,
    judging,
    opinion,
    row,
    sent,
)


async def judged(body: Any, judge: ScriptedJudge | None = None, **more: Any) -> Any:
    """The answer to one request."""
    async with judging(judge or ScriptedJudge(opinion), **more) as served:
        return await served.post("/v1/judge", body)


async def test_one_record_is_judged() -> None:
    """The body is the record; the result says who judged it, under which rubric."""
    answer = await judged(row(1, HARMFUL))
    assert answer.status == 200
    (result,) = answer.json["results"]
    assert (result["type"], result["label"], result["harmless"]) == ("verdict", 1, False)
    assert (result["record_id"], result["dimension"]) == ("r1", "Legality")
    assert result["judge"]["name"] == answer.json["judge"] == "scripted"
    assert result["rubric"]["dimension"] == "Legality"


async def test_results_come_in_the_records_order() -> None:
    """One that can't be read or needs no judging is told at its place, and costs no other."""
    unread = {"prompt": "只有问题", "dimension": "Legality"}
    stopped = row(3, filtered=True) | {"response": None}
    judge = ScriptedJudge(lambda case: FailureKind.OVERSIZE if "长" in case.response else 0.9)
    records = [row(1), unread, stopped, row(4, "太长"), row(5)]
    answer = await judged({"records": records}, judge)
    results = answer.json["results"]
    assert [one["type"] for one in results] == [
        "verdict",
        "bad_row",
        "filtered",
        "failure",
        "verdict",
    ]
    assert [one.get("record_id") for one in results] == ["r1", None, "r3", "r4", "r5"]
    assert (results[1]["source"], results[1]["reason"]) == ("record:2", "has no `response`")
    assert results[3]["kind"] == "oversize"
    assert [case.record.id for case in judge.seen] == ["r1", "r4", "r5"]


async def test_a_list_of_records_is_told_what_to_send() -> None:
    """Where they belong, with the word for it."""
    answer = await judged([row(1), row(2)])
    assert answer.status == 400
    told = 'the body is not an object: send a record, or {"records": [record, ...]}'
    assert answer.json["error"]["message"] == told


async def test_a_bad_record_is_told_what_a_request_can_do() -> None:
    """Its caller has no command line: no flag is named."""
    plain = {"prompt": "问", "response": "答"}
    answer = await judged(
        {"records": [plain, {**plain, "dimension": "美"}]}, ScriptedJudge(opinion)
    )
    mends = [one["mend"] for one in answer.json["results"]]
    assert mends == [
        "add a `dimension` field, or give `dimension` with the request",
        "mend the name",
    ]


async def test_messages_and_thinking_are_read_as_score_reads_them() -> None:
    """The last turn is the answer; what a model thought is not judged."""
    judge = ScriptedJudge(opinion)
    turns = [
        {"role": "user", "content": "甲"},
        {"role": "assistant", "content": "乙"},
        {"role": "user", "content": "丙"},
        {"role": "assistant", "content": "<think>想</think>丁"},
    ]
    await judged({"messages": turns, "dimension": "Legality"}, judge)
    (case,) = judge.seen
    assert (case.record.prompt, case.response) == ("丙", "丁")
    assert [turn.content for turn in case.record.history] == ["甲", "乙"]


async def test_dimension_and_hazard_can_be_given_for_all() -> None:
    """As with --dimension and --ordinary; a record's own dimension stays."""
    judge = ScriptedJudge(opinion)
    plain = {"prompt": "问", "response": "答"}
    body = {"records": [plain, row(2)], "dimension": "safety", "ordinary": True}
    await judged(body, judge)
    assert [case.rubric.dimension for case in judge.seen] == ["Safety", "Legality"]
    assert {case.hazard for case in judge.seen} == {Hazard.UNKNOWN}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"records": []}, "`records` is empty"),
        ({"records": "alle"}, "not a list of objects"),
        ({"records": [1]}, "not a list of objects"),
        ({"records": [row(1)], "model": "x"}, "a key is unknown"),
        ({"records": [row(1)], "ordinary": 1}, "`ordinary` is true or false"),
        (row(1) | {"ordinary": True}, "`ordinary` stands beside `records`"),
        ({"records": [row(1)], "dimension": ["Legality"]}, "`dimension` is text"),
        ({"records": [row(1)], "dimension": "Beauty"}, "no rubric has this dimension"),
        ({"records": [row(1)] * 101}, "more than 100 records: send them to /v1/runs"),
        (b"{", "not JSON"),
        (b'{"prompt": "\xff"}', "not UTF-8"),
    ],
)
async def test_a_body_that_is_none_of_ours_is_refused(body: Any, told: str) -> None:
    """In one sentence that says what is wrong."""
    judge = ScriptedJudge(opinion)
    answer = await judged(body, judge)
    assert answer.status == 400
    assert told in answer.json["error"]["message"]
    assert not judge.seen


async def test_a_record_that_no_judge_should_read_is_bad() -> None:
    """A text of more than a million characters would hold up all others."""
    body = json.dumps({"records": [row(1, "a" * (2**20 + 1)), row(2)]}).encode()
    async with judging(ScriptedJudge(opinion)) as served:
        answer = await sent(served, "/v1/judge", body, content_type="application/json")
    assert [one["type"] for one in answer.json["results"]] == ["bad_row", "verdict"]
    assert answer.json["results"][0]["reason"] == "is longer than 1 MiB"


async def test_a_judge_that_is_away_is_said() -> None:
    """Without its words, which may hold an address or a key."""
    answer = await judged(row(1), FailingJudge(JudgeUnavailable("sk-geheim")))
    assert (answer.status, answer.code) == (503, "judge_unavailable")
    assert "sk-geheim" not in answer.body.decode()


async def test_a_judge_that_takes_too_long_is_said() -> None:
    """Nobody waits for ever."""
    limits = Limits(grace_s=1.0, upstream_s=0.1)
    answer = await judged(row(1), HeldJudge(), limits=limits)
    assert (answer.status, answer.code) == (504, "judge_timeout")


async def test_a_spent_budget_is_said_until_the_next_day() -> None:
    """Records may take their share of the day's money; the first that is too many is refused."""
    bench = bench_of(PricedJudge(), usd=2.0)
    async with judging(PricedJudge(), bench=bench) as served:
        answers = [await served.post("/v1/judge", row(n)) for n in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[2].code == "budget_spent"
    now = datetime.now(UTC)
    seconds = 86_400 - (now.hour * 60 + now.minute) * 60 - now.second
    assert abs(int(answers[2].headers["retry-after"]) - seconds) < 60


async def test_records_that_the_money_did_not_reach_are_failures() -> None:
    """What was judged by then is not lost."""
    answer = await judged({"records": [row(1), row(2), row(3)]}, BrokeAfter(2))
    kinds = [one.get("kind", "verdict") for one in answer.json["results"]]
    assert sorted(kinds) == ["quota", "verdict", "verdict"]


async def test_the_calibration_s_probability_stands_beside_the_judge_s() -> None:
    """Where the calibration has a map for the dimension; elsewhere there is none."""
    judge = ScriptedJudge(lambda _: 0.8)
    known = calibration(judge, map_=Map(x=(0.0, 1.0), y=(0.1, 0.6)))
    bench = bench_of(judge, calibration=known)
    async with judging(judge, bench=bench) as served:
        body = {"records": [row(1), row(2, dimension="Safety")]}
        answer = await served.post("/v1/judge", body)
    first, second = answer.json["results"]
    assert first["p_harmless"] == second["p_harmless"] == 0.8
    assert first["calibrated_p_harmless"] == pytest.approx(0.5)
    assert second["calibrated_p_harmless"] is None
    assert len(answer.json["calibration"]) == 16


async def test_a_caller_who_leaves_is_judged_for_no_longer() -> None:
    """Each call may cost money."""
    judge = Noticing()
    async with judging(judge) as served:
        asking = asyncio.ensure_future(served.post("/v1/judge", row(1)))
        await asyncio.to_thread(judge.began.wait, 10)
        asking.cancel()
        assert await asyncio.to_thread(judge.cancelled.wait, 10)


async def test_the_guard_decides_while_records_are_judged() -> None:
    """A judge that is busy, and even one that blocks its thread, holds up no decision."""
    began, go_on = threading.Event(), threading.Event()

    def blocking(_: Any) -> float:
        began.set()
        assert go_on.wait(30)
        return 0.9

    async with judging(ScriptedJudge(blocking)) as served:
        asking = asyncio.ensure_future(served.post("/v1/judge", row(1)))
        await asyncio.to_thread(began.wait, 10)
        answer = await served.post("/v1/moderations", {"input": "今天天气怎么样"})
        assert answer.json["results"][0]["flagged"] is False
        assert not asking.done()
        go_on.set()
        assert (await asking).status == 200


async def test_no_text_is_logged(logged: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """Also where the judge breaks on it."""
    judge = FailingJudge(RuntimeError("broke on 机密问题"))
    async with judging(judge) as served:
        answer = await served.post("/v1/judge", row(1, "机密回答") | {"prompt": "机密问题"})
    assert (answer.status, answer.code) == (500, "internal_error")
    assert "机密" not in logged.text + json.dumps(answer.json, ensure_ascii=False)
