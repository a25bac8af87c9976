"""/v1/runs: a file of records is submitted, followed, fetched, cancelled and deleted."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import stat
import sys
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from guard.server.counters import Counters
from guard.server.keys.file import add_key
from guard.server.runs import worker as worker_module
from guard.server.runs.store import RunStore
from guard.server.settings import Limits
from judge.errors import InputError, JudgeUnavailable
from judge.testing import ScriptedJudge
from judge.verdict import FailureKind, Hazard
from tests.guard.server.records import (
    HARMFUL,
    LINES,
    AwayJudge,
    Clock,
    FailingJudge,
    HeldJudge,
    PricedJudge,
    bench_of,
    ended,
    events,
    judging,
    lines,
    opinion,
    reaches,
    row,
    sent,
    submitted,
    until,
)
from tests.guard.server.serving import Served

NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def got(served: Served, run: str, what: str = "", **headers: str) -> Any:
    """What is fetched of a run."""
    return await served.get(f"/v1/runs/{run}{what}", **headers)


async def entries(served: Served, run: str) -> list[dict[str, Any]]:
    """The lines of a run's log."""
    answer = await got(served, run, "/verdicts")
    assert answer.status == 200
    return [json.loads(line) for line in answer.body.splitlines()]


def left(data: Path) -> list[str]:
    """What the folder of runs holds, without its own bookkeeping."""
    places = (data / "runs").glob("*/*")
    return [place.name for place in places if place.name != ".lock"]


# A run as it should go -----------------------------------------------------------------------


async def test_a_file_is_judged_and_reported(tmp_path: Path) -> None:
    """Verdicts row by row, the rows that can't be read, and the figures in both forms."""
    rows = [row(n, HARMFUL if n % 4 == 0 else "抱歉，不行。") for n in range(1, 13)]
    rows[5] = row(6, filtered=True) | {"response": None}
    judge = ScriptedJudge(
        lambda case: FailureKind.ABSTAINED if case.record.id == "r7" else opinion(case)
    )
    async with judging(judge, tmp_path) as served:
        run = await submitted(served, lines(rows) + b"{broken\n")
        told = await ended(served, run)
        log = await entries(served, run)
        bad = await got(served, run, "/bad-rows")
        summary, report = await got(served, run, "/summary"), await got(served, run, "/report")
    counts = {key: told[key] for key in ("phase", "rows", "done", "judged", "filtered", "bad_rows")}
    assert counts == {
        "phase": "done",
        "rows": 13,
        "done": 13,
        "judged": 10,
        "filtered": 1,
        "bad_rows": 1,
    }
    assert told["failures"] == {"abstained": 1}
    labels = {entry["record_id"]: entry.get("label") for entry in log}
    assert [labels[f"r{n}"] for n in (1, 4, 6, 7)] == [3, 1, None, None]
    assert json.loads(bad.body)["source"] == "records.jsonl:13"
    part = summary.json["models"]["m"]["dimensions"]["Legality"]
    assert (part["n"], part["judged"], part["filtered"]) == (11, 10, 1)
    assert report.headers["content-type"] == "text/plain; charset=utf-8"
    assert "Judge: scripted" in report.body.decode()
    assert "Bad rows: 1 of the input" in report.body.decode()


async def test_progress_is_told_as_it_is_made(tmp_path: Path) -> None:
    """From the queue to the end, each change as one event; the last one is named by the end."""
    judge = HeldJudge(free=3)
    async with judging(judge, tmp_path) as served:
        run = await submitted(served, lines([row(n) for n in range(8)]))
        halfway = await reaches(served, run, lambda told: told["done"] == 3)
        assert (halfway["phase"], halfway["rows"]) == ("running", 8)
        following = asyncio.ensure_future(events(served, run))
        await asyncio.sleep(0)
        judge.let_go()
        told = await following
    assert told[-1][0] == "done"
    assert {kind for kind, _ in told[:-1]} == {"progress"}
    assert [one["done"] for _, one in told] == sorted(one["done"] for _, one in told)
    assert told[-1][1]["done"] == 8


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("text/csv", "id,prompt,response,dimension\n1,问,答,Legality\n2,问2,答2,Safety\n".encode()),
        ("application/json", json.dumps([row(1), row(2)], indent=1).encode()),
        ("application/x-ndjson", lines([row(1), row(2)])),
        ("application/jsonl; charset=utf-8", b"\xef\xbb\xbf" + lines([row(1), row(2)])),
    ],
)
async def test_the_formats_of_score_are_read(tmp_path: Path, kind: str, content: bytes) -> None:
    """CSV, a JSON array, JSON lines; with a byte order mark or without."""
    async with judging(ScriptedJudge(opinion), tmp_path) as served:
        run = await submitted(served, content, content_type=kind)
        assert (await ended(served, run))["judged"] == 2


async def test_the_file_s_name_stands_in_sources_and_for_the_model(tmp_path: Path) -> None:
    """As with `score FILE`; where the server keeps the file is nobody's business."""
    unnamed = {key: value for key, value in row(1).items() if key != "model"}
    async with judging(ScriptedJudge(opinion), tmp_path) as served:
        content = lines([unnamed, {"prompt": "问"}])
        run = await submitted(served, content, "?name=qwen-max.jsonl&dimension=Safety")
        told = await ended(served, run)
        (entry,) = await entries(served, run)
        bodies = [(await got(served, run, end)).body for end in ("", "/summary", "/bad-rows")]
    assert (told["name"], told["dimension"]) == ("qwen-max.jsonl", "Safety")
    assert (entry["source"], entry["model"]) == ("qwen-max.jsonl:1", "qwen-max")
    assert entry["dimension"] == "Legality"
    assert b"qwen-max.jsonl:2" in bodies[2]
    assert not any(str(tmp_path).encode() in body for body in [*bodies, json.dumps(entry).encode()])


async def test_ordinary_prompts_are_judged_as_such(tmp_path: Path) -> None:
    """As with `score --ordinary`."""
    judge = ScriptedJudge(opinion)
    async with judging(judge, tmp_path) as served:
        run = await submitted(served, lines([row(1)]), "?ordinary=true")
        assert (await ended(served, run))["ordinary"] is True
    assert judge.seen[0].hazard is Hazard.UNKNOWN


async def test_a_caller_s_runs_are_listed_newest_first(tmp_path: Path) -> None:
    """With where each of them is."""
    async with judging(ScriptedJudge(opinion), tmp_path) as served:
        runs = [await submitted(served, lines([row(1)]), f"?name={n}") for n in "abc"]
        for run in runs:
            await ended(served, run)
        listed = (await served.get("/v1/runs")).json["runs"]
    assert [(one["id"], one["name"], one["phase"]) for one in listed] == [
        (run, name, "done") for run, name in zip(reversed(runs), "cba", strict=True)
    ]


async def test_a_log_that_grows_is_sent_to_the_last_whole_line(tmp_path: Path) -> None:
    """Whoever fetches while rows are judged never gets half a line."""
    judge = HeldJudge(free=2)
    async with judging(judge, tmp_path) as served:
        run = await submitted(served, lines([row(n) for n in range(4)]))
        await reaches(served, run, lambda told: told["done"] == 2)
        log = next((tmp_path / "runs").glob("*/*/run/verdicts.jsonl"))
        with log.open("ab") as file:
            file.write(b'{"format": 1, "type": "verd')
        answer = await got(served, run, "/verdicts")
        assert int(answer.headers["content-length"]) == len(answer.body)
        ids = sorted(json.loads(line)["record_id"] for line in answer.body.splitlines())
        assert ids == ["r0", "r1"]
        judge.let_go()


async def test_before_its_end_a_run_has_a_log_and_no_figures(tmp_path: Path) -> None:
    """Figures of half a run would be taken for those of all of it."""
    async with judging(HeldJudge(), tmp_path) as served:
        run = await submitted(served, lines([row(1)]))
        answers = [await got(served, run, end) for end in ("/summary", "/report", "/bad-rows")]
        assert {(answer.status, answer.code) for answer in answers} == {(409, "not_ended")}
        assert (await got(served, run, "/verdicts")).body == b""


# Files that can't be judged ------------------------------------------------------------------

WIDE = "标题,答案\n甲,乙\n".encode("gb18030") * 20


@pytest.mark.parametrize(
    ("content", "status", "told"),
    [
        (b"", 400, "the file is empty"),
        (b" \n\n", 400, "the file is empty"),
        (b'{"prompt": "a"}\r{"prompt": "b"}\r', 400, "the file: its lines end in carriage returns"),
        (WIDE, 400, "is not UTF-8 but, it seems, GB18030"),
        (b"prompt,text\na,b\n", 400, "has no column `response`"),
        (b"hello\nworld\n", 400, "names no column that is known"),
        (b"%PDF-1.7\n" * 9, 400, "is a PDF"),
        (gzip.compress(lines([row(1)])), 415, "gzip is not read here"),
        (b"PAR1" + b"\0" * 99, 415, "Parquet is not read here"),
    ],
)
async def test_a_file_that_can_t_be_read_is_refused_at_once(
    tmp_path: Path, content: bytes, status: int, told: str
) -> None:
    """Nothing of it is kept, and the refusal says what it is, under the name that its caller knows.

    A compressed one could grow without bounds, and Parquet isn't read row by row.
    """
    async with judging(ScriptedJudge(opinion), tmp_path) as served:
        query = "/v1/runs?name=answers.csv"
        answer = await sent(served, query, content, content_type="text/csv")
    assert answer.status == status
    assert told in answer.json["error"]["message"]
    assert str(tmp_path) not in answer.json["error"]["message"]
    assert left(tmp_path) == []


async def test_a_name_that_is_all_ending_names_a_model_all_the_same(tmp_path: Path) -> None:
    """A name is the caller's, and no name is the server's failure."""
    rows = lines([{"prompt": "问", "response": "答", "dimension": "Legality"}])
    async with judging(ScriptedJudge(opinion), tmp_path) as served:
        for name in (".gz", ".csv", "..", "/", "\0"):
            run = await submitted(served, rows, f"?name={quote(name, safe='')}")
            told = await ended(served, run)
            assert (told["phase"], told["judged"], told["name"]) == ("done", 1, name)


async def test_a_table_without_a_name_is_read_as_one(tmp_path: Path) -> None:
    """Its content type says what it is: a first row that is no header is refused, not each row."""
    async with judging(ScriptedJudge(opinion), tmp_path) as served:
        headless = await sent(served, "/v1/runs", "问,答\n".encode(), content_type="text/csv")
        table = "prompt,response,dimension\n问,答,Legality\n".encode()
        answer = await sent(served, "/v1/runs", table, content_type="text/csv; charset=utf-8")
        told = await ended(served, answer.json["id"])
        form = await sent(
            served, "/v1/runs", b"--x", content_type="multipart/form-data; boundary=x"
        )
    assert (headless.status, headless.code) == (400, "unreadable_file")
    assert "its first row names no column that is known" in headless.json["error"]["message"]
    assert (told["name"], told["judged"]) == ("records.csv", 1)
    assert form.status == 415
    assert "the body is the file itself" in form.json["error"]["message"]


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("?dimension=Beauty", {}, 400),
        ("?dimension=", {}, 400),
        ("?ordinary=perhaps", {}, 400),
        ("?name=" + "x" * 201, {}, 400),
        ("?model=x", {}, 400),
        ("", {"content_type": "text/plain"}, 415),
        ("", {"content_type": "multipart/form-data"}, 415),
        ("", {"content_encoding": "gzip"}, 415),
    ],
)
async def test_a_submission_that_is_none_of_ours_is_refused(
    tmp_path: Path, query: str, headers: dict[str, str], status: int
) -> None:
    """Before its body is read."""
    async with judging(ScriptedJudge(opinion), tmp_path) as served:
        given = {"content_type": LINES, **headers}
        answer = await sent(served, f"/v1/runs{query}", lines([row(1)]), **given)
        assert (answer.status, left(tmp_path)) == (status, [])


async def test_a_table_without_rows_fails_as_a_run(tmp_path: Path) -> None:
    """Its header can be read; that nothing follows shows when it is."""
    async with judging(ScriptedJudge(opinion), tmp_path) as served:
        head = b"prompt,response,dimension\n"
        run = await submitted(served, head, content_type="text/csv")
        told = await ended(served, run)
        summary = await got(served, run, "/summary")
    assert (told["phase"], told["problem"]) == (
        "failed",
        "the file holds no rows (is it the right file?)",
    )
    assert (summary.status, summary.code) == (404, "no_summary")


async def test_a_file_of_nothing_but_bad_rows_is_done_without_figures(tmp_path: Path) -> None:
    """Each is listed; none is a verdict."""
    async with judging(ScriptedJudge(opinion), tmp_path) as served:
        run = await submitted(served, b'{"prompt": "a"}\n' * 3)
        told = await ended(served, run)
        bad = (await got(served, run, "/bad-rows")).body.splitlines()
        summary = (await got(served, run, "/summary")).json
    assert (told["phase"], told["bad_rows"], len(bad), summary["bad_rows"]) == ("done", 3, 3, 3)
    assert summary["models"] == {}


async def test_a_row_that_is_too_long_costs_no_other(tmp_path: Path) -> None:
    """Its length is told, and memory is not filled with it."""
    async with judging(ScriptedJudge(opinion), tmp_path) as served:
        long = [row(1), row(2, "长" * 400_000), row(3)]
        run = await submitted(served, lines(long))
        told = await ended(served, run)
        bad = json.loads((await got(served, run, "/bad-rows")).body)
    assert (told["judged"], told["bad_rows"]) == (2, 1)
    assert bad["reason"] == "is longer than 1 MiB"


# Limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [6, 51])
async def test_a_file_of_too_many_rows_is_not_judged(tmp_path: Path, rows: int) -> None:
    """However they are written: told by its lines at once, or when it is counted."""
    judge, limits = ScriptedJudge(opinion), Limits(grace_s=1.0, run_rows=5)
    async with judging(judge, tmp_path, limits=limits) as served:
        content = lines([row(n) for n in range(rows)])
        answer = await sent(served, "/v1/runs", content, content_type=LINES)
        if rows > 50:
            assert (answer.status, answer.code, left(tmp_path)) == (413, "too_many_rows", [])
        else:
            told = await ended(served, answer.json["id"])
            assert told["phase"] == "failed"
            assert told["problem"] == "the file has more than 5 rows (split it)"
    assert not judge.seen


async def test_a_file_that_is_too_large_leaves_nothing(tmp_path: Path) -> None:
    """Whether its length was told beforehand or shows on the way."""
    limits = Limits(grace_s=1.0, run_bytes=3 * 2**20)

    async def pieces() -> Any:
        for _ in range(4):
            yield b" " * 2**20

    async with judging(ScriptedJudge(opinion), tmp_path, limits=limits) as served:
        told = await sent(served, "/v1/runs", b" " * (3 * 2**20 + 1), content_type=LINES)
        url, headers = f"{served.base}/v1/runs", {"content-type": LINES}
        async with served.client.post(url, data=pieces(), headers=headers) as response:
            assert response.status == told.status == 413
    assert left(tmp_path) == []


async def test_an_upload_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    """Nor does it count against its caller's runs."""
    async with judging(ScriptedJudge(opinion), tmp_path) as served:
        port = int(served.base.rsplit(":", 1)[1])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST /v1/runs HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: {LINES}\r\n"
        writer.write(head.encode() + b"content-length: 5000000\r\n\r\n" + b" " * 2_000_000)
        await writer.drain()
        await until(lambda: left(tmp_path))
        writer.close()
        await until(lambda: not left(tmp_path))


async def test_a_caller_has_so_many_open_runs_and_no_more(tmp_path: Path) -> None:
    """One that has ended makes room."""
    judge, limits = HeldJudge(), Limits(grace_s=1.0, open_runs=2)
    async with judging(judge, tmp_path, limits=limits) as served:
        runs = [await submitted(served, lines([row(1)])) for _ in range(2)]
        third = await sent(served, "/v1/runs", lines([row(1)]), content_type=LINES)
        assert (third.status, third.code) == (429, "too_many_runs")
        await served.post(f"/v1/runs/{runs[0]}/cancel", b"")
        assert (await ended(served, runs[0]))["phase"] == "cancelled"
        await submitted(served, lines([row(1)]))
        again = await served.post(f"/v1/runs/{runs[0]}/resume", b"")
        assert (again.status, again.code) == (429, "too_many_runs")


async def test_runs_resumed_at_once_count_as_open_runs(tmp_path: Path) -> None:
    """Each is counted before the next one is asked about."""
    limits = Limits(grace_s=1.0, open_runs=1)
    async with judging(HeldJudge(), tmp_path, limits=limits) as served:
        runs = []
        for _ in range(3):
            runs.append(await submitted(served, lines([row(1)])))
            await served.post(f"/v1/runs/{runs[-1]}/cancel", b"")
            await ended(served, runs[-1])
        answers = await asyncio.gather(
            *(served.post(f"/v1/runs/{run}/resume", b"") for run in runs)
        )
    assert sorted(answer.status for answer in answers) == [202, 429, 429]


async def test_uploads_at_once_count_as_open_runs(tmp_path: Path) -> None:
    """Else a caller could fill the disk with files that never end."""
    limits = Limits(grace_s=1.0, open_runs=2)
    async with judging(HeldJudge(), tmp_path, limits=limits) as served:
        body = lines([row(1)])
        posts = (sent(served, "/v1/runs", body, content_type=LINES) for _ in range(6))
        answers = await asyncio.gather(*posts)
    assert sorted(answer.status for answer in answers) == [202, 202, 429, 429, 429, 429]


async def test_a_caller_s_kept_runs_are_bounded(tmp_path: Path) -> None:
    """Deleting one makes room."""
    limits = Limits(grace_s=1.0, kept_runs=1)
    async with judging(ScriptedJudge(opinion), tmp_path, limits=limits) as served:
        run = await submitted(served, lines([row(1)]))
        await ended(served, run)
        full = await sent(served, "/v1/runs", lines([row(1)]), content_type=LINES)
        assert (full.status, full.code) == (429, "too_many_kept_runs")
        await served.client.delete(f"{served.base}/v1/runs/{run}")
        await submitted(served, lines([row(1)]))


async def test_without_room_on_the_disk_no_run_is_taken(tmp_path: Path) -> None:
    """The audit log is on that disk too."""
    limits = Limits(grace_s=1.0, run_bytes=2**60)
    async with judging(ScriptedJudge(opinion), tmp_path, limits=limits) as served:
        answer = await sent(served, "/v1/runs", lines([row(1)]), content_type=LINES)
    assert (answer.status, answer.code, left(tmp_path)) == (507, "no_room", [])


# Who may see what ----------------------------------------------------------------------------


async def test_another_key_s_run_is_as_if_there_were_none(tmp_path: Path) -> None:
    """To read, to follow, to cancel, to delete; and each has its own list and quota."""
    file = tmp_path / "keys.json"
    ann, bob = (f"Bearer {add_key(file, name, None, NOW)}" for name in ("ann", "bob"))
    data, limits = tmp_path / "data", Limits(grace_s=1.0, open_runs=1)
    judge = HeldJudge()
    async with judging(judge, data, keys=file, limits=limits) as served:
        run = await submitted(served, lines([row(1)]), authorization=ann)
        ends = ("", "/events", "/verdicts", "/summary", "/report", "/bad-rows")
        answers = [await got(served, run, end, authorization=bob) for end in ends]
        answers += [
            await served.post(f"/v1/runs/{run}/{what}", b"", authorization=bob)
            for what in ("cancel", "resume")
        ]
        url = f"{served.base}/v1/runs/{run}"
        async with served.client.delete(url, headers={"authorization": bob}) as response:
            assert response.status == 404
        assert {(answer.status, answer.code) for answer in answers} == {(404, "not_found")}
        assert (await served.get("/v1/runs", authorization=bob)).json["runs"] == []
        other = await submitted(served, lines([row(2)]), authorization=bob)
        judge.let_go()
        assert (await ended(served, run, authorization=ann))["phase"] == "done"
        assert (await ended(served, other, authorization=bob))["phase"] == "done"
        assert (await served.get("/v1/runs")).status == 401


@pytest.mark.parametrize("name", ["..", "a" * 32, "0" * 32, "%2e%2e%2fopen", "open", ".lock"])
async def test_a_name_that_is_no_run_is_not_found(tmp_path: Path, name: str) -> None:
    """Whatever it looks like."""
    async with judging(ScriptedJudge(opinion), tmp_path) as served:
        for end in ("", "/verdicts"):
            assert (await got(served, name, end)).status == 404


async def test_a_server_without_a_folder_says_how_to_have_runs() -> None:
    """Judging at once needs none."""
    async with judging(ScriptedJudge(opinion)) as served:
        answers = [
            await served.get("/v1/runs"),
            await served.get("/v1/runs/" + "0" * 32),
            await sent(served, "/v1/runs", lines([row(1)]), content_type=LINES),
        ]
        assert (await served.post("/v1/judge", row(1))).status == 200
    assert {(answer.status, answer.code) for answer in answers} == {(404, "no_runs")}
    assert "--data DIR" in answers[0].json["error"]["message"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")
async def test_texts_are_kept_where_their_owner_alone_can_read(
    tmp_path: Path, logged: pytest.LogCaptureFixture
) -> None:
    """Also in a folder that others made; and no text is ever logged."""
    (tmp_path / "runs").mkdir(mode=0o755)
    logged.set_level("DEBUG", "flames_judge")
    before = os.umask(0)
    try:
        async with judging(ScriptedJudge(opinion), tmp_path) as served:
            run = await submitted(served, lines([row(1, "机密")]) + "坏了机密\n".encode())
            await ended(served, run)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "runs").stat().st_mode) == 0o700
    homes = [place for place in (tmp_path / "runs").iterdir() if place.is_dir()]
    assert {stat.S_IMODE(place.stat().st_mode) for place in homes} == {0o700}
    assert "机密" not in logged.text


# Ends ----------------------------------------------------------------------------------------


async def test_a_run_is_cancelled_while_it_is_judged(tmp_path: Path) -> None:
    """What is judged stays, its figures say that they are of a part, and it can go on later."""
    judge = HeldJudge(free=2)
    async with judging(judge, tmp_path) as served:
        run = await submitted(served, lines([row(n) for n in range(5)]))
        await reaches(served, run, lambda told: told["done"] == 2)
        answer = await served.post(f"/v1/runs/{run}/cancel", b"")
        assert answer.status == 202
        told = await ended(served, run)
        assert (told["phase"], told["judged"]) == ("cancelled", 2)
        summary = (await got(served, run, "/summary")).json
        assert summary["warnings"] == ["the run is cancelled: 2 of 5 rows are through"]
        judge.let_go()
        assert (await served.post(f"/v1/runs/{run}/resume", b"")).status == 202
        told = await ended(served, run)
        assert (told["phase"], told["judged"], told["done"]) == ("done", 5, 5)
        assert (await got(served, run, "/summary")).json["warnings"] == []
    assert sorted(case.record.id for case in judge.seen) == [f"r{n}" for n in range(5)]


async def test_rows_that_a_cancelled_run_had_in_hand_have_not_failed(tmp_path: Path) -> None:
    """They were paid for, and are still to do: neither progress nor report counts them."""
    judge = HeldJudge(free=2, paid=True)
    async with judging(judge, tmp_path) as served:
        run = await submitted(served, lines([row(n) for n in range(5)]))
        await reaches(served, run, lambda told: told["done"] == 2)
        await served.post(f"/v1/runs/{run}/cancel", b"")
        told = await ended(served, run)
        assert (told["phase"], told["done"], told["failures"]) == ("cancelled", 2, {})
        summary = (await got(served, run, "/summary")).json
        (model,) = summary["models"].values()
        legality = model["dimensions"]["Legality"]
        assert (legality["judged"], legality["unjudged"]) == (2, {})
        assert summary["cost"]["usd"] == 3.0  # of those that were broken off


async def test_a_run_that_waits_is_cancelled_at_once(tmp_path: Path) -> None:
    """Though those before it hold all places."""
    limits = Limits(grace_s=1.0, open_runs=9)
    judge = HeldJudge()
    async with judging(judge, tmp_path, limits=limits) as served:
        runs = [await submitted(served, lines([row(1)])) for _ in range(3)]
        for run in runs[:2]:
            await reaches(served, run, lambda told: told["phase"] == "running")
        await served.post(f"/v1/runs/{runs[2]}/cancel", b"")
        assert (await ended(served, runs[2]))["phase"] == "cancelled"
        again = await served.post(f"/v1/runs/{runs[2]}/cancel", b"")
        assert (again.status, again.json["phase"]) == (202, "cancelled")


async def test_a_run_is_deleted_while_it_is_judged(tmp_path: Path) -> None:
    """Nothing is left of it, followers are told, and the next one is worked on."""
    judge = HeldJudge(free=1)
    async with judging(judge, tmp_path) as served:
        run = await submitted(served, lines([row(n) for n in range(5)]))
        await reaches(served, run, lambda told: told["done"] == 1)
        told = asyncio.Event()
        following = asyncio.ensure_future(events(served, run, lambda _: told.set()))
        await told.wait()
        url = f"{served.base}/v1/runs/{run}"
        async with served.client.delete(url) as response:
            assert response.status == 204
        assert left(tmp_path) == []
        assert (await following)[-1] == ("deleted", {})
        assert (await got(served, run)).status == 404
        async with served.client.delete(url) as response:
            assert response.status == 404
        judge.let_go()
        other = await submitted(served, lines([row(9)]))
        assert (await ended(served, other))["phase"] == "done"
        assert left(tmp_path) == [other]
    assert left(tmp_path) == [other]


async def test_a_judge_that_is_away_for_a_while_is_waited_for(tmp_path: Path) -> None:
    """The run says so, and goes on by itself."""
    judge = FailingJudge(JudgeUnavailable("sk-geheim"), JudgeUnavailable("sk-geheim"))
    limits = Limits(grace_s=1.0, run_rests_s=(0.6, 0.6))
    async with judging(judge, tmp_path, limits=limits) as served:
        run = await submitted(served, lines([row(1)]))
        paused = await reaches(served, run, lambda told: told["phase"] == "paused")
        assert paused["problem"] == "the judge can't be reached"
        told = await ended(served, run)
    assert (told["phase"], told["problem"], told["judged"]) == ("done", None, 1)


async def test_a_judge_that_stays_away_ends_the_run(tmp_path: Path) -> None:
    """It can be resumed when the judge is back: what is judged is not judged again."""
    judge = AwayJudge(free=2)
    async with judging(judge, tmp_path) as served:
        run = await submitted(served, lines([row(n) for n in range(4)]))
        told = await ended(served, run)
        assert (told["phase"], told["problem"]) == ("failed", "the judge can't be reached")
        assert told["judged"] == len(await entries(served, run)) == 2
        judge.away = False
        await served.post(f"/v1/runs/{run}/resume", b"")
        told = await ended(served, run)
    assert (told["phase"], told["problem"], told["judged"]) == ("done", None, 4)
    assert sorted(case.record.id for case in judge.seen) == [f"r{n}" for n in range(4)]


async def test_a_spent_budget_pauses_a_run_until_the_next_day(tmp_path: Path) -> None:
    """It says so; nothing is judged on credit, and nothing twice."""
    clock, judge = Clock(), PricedJudge()
    bench = bench_of(judge, usd=3.0, purse=Counters(), clock=clock)
    async with judging(judge, tmp_path, bench=bench) as served:
        run = await submitted(served, lines([row(n) for n in range(5)]))
        told = await reaches(served, run, lambda one: one["phase"] == "paused")
        assert told["problem"] == "the day's budget is spent"
        assert told["judged"] == 3
        clock.now += timedelta(days=1)
        told = await ended(served, run)
    assert (told["phase"], told["judged"]) == ("done", 5)
    assert sorted(case.record.id for case in judge.seen) == [f"r{n}" for n in range(5)]


async def test_a_disk_that_can_t_be_written_ends_the_run(tmp_path: Path) -> None:
    """After some tries; what was judged is safe, and it can be resumed."""
    judge = HeldJudge(free=1)
    async with judging(judge, tmp_path) as served:
        run = await submitted(served, lines([row(1), row(2)]))
        await reaches(served, run, lambda told: told["done"] == 1)
        (folder,) = (tmp_path / "runs").glob("*/*/run")
        (folder / "summary.json").mkdir()  # nothing can be written in its place
        judge.let_go()
        told = await ended(served, run)
        assert told["phase"] == "failed"
        assert told["problem"].startswith("the server can't go on: can't be written: ")
        assert str(tmp_path) not in told["problem"]
        (folder / "summary.json").rmdir()
        await served.post(f"/v1/runs/{run}/resume", b"")
        assert (await ended(served, run))["phase"] == "done"
    assert [case.record.id for case in judge.seen] == ["r1", "r2"]


async def test_a_full_disk_pauses_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it takes the last bytes from the audit log."""
    full = False
    real = RunStore.has_room
    monkeypatch.setattr(RunStore, "has_room", lambda self, spare: not full and real(self, spare))
    judge, limits = HeldJudge(free=1), Limits(grace_s=1.0, run_rests_s=(0.3,) * 20)
    async with judging(judge, tmp_path, limits=limits) as served:
        run = await submitted(served, lines([row(1), row(2)]))
        await reaches(served, run, lambda told: told["done"] == 1)
        full = True
        told = await reaches(served, run, lambda one: one["phase"] == "paused")
        assert told["problem"] == "the server can't go on: No space left on device"
        full = False
        judge.let_go()
        assert (await ended(served, run))["judged"] == 2


async def test_a_bug_ends_the_run_and_is_logged_without_texts(
    tmp_path: Path, logged: pytest.LogCaptureFixture
) -> None:
    """Neither caller nor operator reads what was judged in it."""
    judge = FailingJudge(RuntimeError("broke on 机密"))
    async with judging(judge, tmp_path) as served:
        run = await submitted(served, lines([row(1, "机密")]))
        told = await ended(served, run)
    assert (told["phase"], told["problem"]) == ("failed", "the server has failed")
    assert "RuntimeError" in logged.text
    assert "机密" not in logged.text


async def test_old_runs_are_deleted_when_decisions_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts are kept no longer than the operator says; a run that goes on is left alone."""
    monkeypatch.setattr(worker_module, "SWEEP_S", 0.1)
    judge = HeldJudge(free=1)
    async with judging(judge, tmp_path, retain_days=30.0) as served:
        old, new = [await submitted(served, lines([row(1)])) for _ in range(2)]
        await reaches(served, old, lambda told: told["phase"] in {"running", "done"})
        judge.let_go()
        for run in (old, new):
            await ended(served, run)
        (told,) = (tmp_path / "runs").glob(f"*/{old}/progress.json")
        os.utime(told, (0, 0))
        await until(lambda: left(tmp_path) == [new])


# Following -----------------------------------------------------------------------------------


async def test_a_silent_stream_is_kept_alive(tmp_path: Path) -> None:
    """So that no proxy closes it."""
    limits = Limits(grace_s=1.0, keep_alive_s=0.1)
    async with judging(HeldJudge(), tmp_path, limits=limits) as served:
        run = await submitted(served, lines([row(1)]))
        async with served.client.get(f"{served.base}/v1/runs/{run}/events") as response:
            async for line in response.content:
                if line.startswith(b":"):
                    break
            assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert response.headers["x-accel-buffering"] == "no"


async def test_a_server_that_ends_lets_its_followers_go(tmp_path: Path) -> None:
    """At once, so that its end waits for none of them; the run is queued for the next start."""
    async with judging(HeldJudge(free=1), tmp_path) as served:
        run = await submitted(served, lines([row(1), row(2)]))
        await reaches(served, run, lambda told: told["done"] == 1)
        begun = asyncio.Event()
        following = asyncio.ensure_future(events(served, run, lambda _: begun.set()))
        await begun.wait()
        served.server.should_exit = True
        told = await following
    assert all(kind == "progress" for kind, _ in told)
    (progress,) = (tmp_path / "runs").glob("*/*/progress.json")
    assert json.loads(progress.read_text())["phase"] == "queued"


# Memory and disk -----------------------------------------------------------------------------


async def test_a_large_file_is_written_to_disk_as_it_comes(tmp_path: Path) -> None:
    """An upload takes a few MiB of memory, however large it is."""
    content = lines([row(n, "长" * 100_000) for n in range(160)])
    assert len(content) > 40 * 2**20

    async def pieces() -> Any:
        for at in range(0, len(content), 2**16):
            yield content[at : at + 2**16]

    async with judging(HeldJudge(), tmp_path) as served:
        url, headers = f"{served.base}/v1/runs", {"content-type": LINES}
        tracemalloc.start()
        try:
            async with served.client.post(url, data=pieces(), headers=headers) as response:
                assert response.status == 202
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        (kept,) = (tmp_path / "runs").glob("*/*/input")
        assert kept.read_bytes() == content
    assert peak < 16 * 2**20


async def test_a_folder_that_can_t_be_made_is_said_at_the_start(tmp_path: Path) -> None:
    """In one line, and not as a traceback of the first request."""
    (tmp_path / "runs").write_text("a file", encoding="utf-8")
    with pytest.raises(InputError, match=r"runs: can't be made: "):
        RunStore(tmp_path / "runs")


async def test_a_damaged_log_is_said(tmp_path: Path) -> None:
    """Its verdicts are not made up, and none is judged a second time over it."""
    judge = HeldJudge(free=1)
    async with judging(judge, tmp_path) as served:
        run = await submitted(served, lines([row(1), row(2)]))
        await reaches(served, run, lambda told: told["done"] == 1)
    (log,) = (tmp_path / "runs").glob("*/*/run/verdicts.jsonl")
    log.write_text('{"format": 1, "机密": 1}\n', encoding="utf-8")
    again = ScriptedJudge(opinion, name="held")
    async with judging(again, tmp_path) as served:
        told = await ended(served, run)
    assert told["phase"] == "failed"
    assert "is not a line of a run's log" in told["problem"]
    assert "机密" not in told["problem"]
    assert not again.seen
