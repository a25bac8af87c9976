"""Runs of callers with keys: what a key allows, and what becomes of its runs without it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from guard.server.counters import Counters
from guard.server.keys.file import add_key, revoke_key
from guard.server.runs import RunStore
from guard.server.settings import Limits
from judge.testing import ScriptedJudge
from judge.verdict import Case
from tests.guard.server.records import (
    LINES,
    Clock,
    HeldJudge,
    PricedJudge,
    bench_of,
    ended,
    judging,
    lines,
    opinion,
    reaches,
    row,
    sent,
    submitted,
    until,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GONE = "its key was taken back"


def told_on_disk(data: Path, run: str) -> str:
    """Where a run is, for those who may not ask any more."""
    found = (data / "runs").glob(f"*/{run}/progress.json")
    return "".join(file.read_text(encoding="utf-8") for file in found)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Where the keys are."""
    return tmp_path / "keys.json"


async def test_a_run_stops_when_its_key_is_taken_back(tmp_path: Path, keys: Path) -> None:
    """What is judged stays; what is under way is broken off; others' runs go on."""
    ann, bob = (f"Bearer {add_key(keys, name, None, NOW)}" for name in ("ann", "bob"))
    judge = HeldJudge(free=3)
    async with judging(judge, tmp_path, keys=keys) as served:
        mine = await submitted(served, lines([row(n) for n in range(40)]), authorization=ann)
        await reaches(served, mine, lambda told: told["done"] == 3, authorization=ann)
        his = await submitted(served, lines([row(n) for n in range(3)]), authorization=bob)
        revoke_key(keys, "ann")
        await until(lambda: GONE in told_on_disk(tmp_path, mine))
        judge.let_go()
        assert (await ended(served, his, authorization=bob))["phase"] == "done"
        ann = f"Bearer {add_key(keys, 'ann', None, NOW)}"
        told = await ended(served, mine, authorization=ann)
        assert (told["phase"], told["problem"], told["judged"]) == ("failed", GONE, 3)
        await served.post(f"/v1/runs/{mine}/resume", b"", authorization=ann)
        assert (await ended(served, mine, authorization=ann))["judged"] == 40


async def test_a_run_that_waits_is_not_judged_without_its_key(tmp_path: Path, keys: Path) -> None:
    """Nor after a restart: who lost the key gets no further work out of the server."""
    ann, bob = (f"Bearer {add_key(keys, name, None, NOW)}" for name in ("ann", "bob"))
    busy = HeldJudge()
    async with judging(busy, tmp_path, keys=keys) as served:
        for _ in range(2):
            run = await submitted(served, lines([row(1, id="bob")]), authorization=bob)
            await reaches(served, run, lambda told: told["phase"] == "running", authorization=bob)
        waiting = await submitted(served, lines([row(1, id="ann")]), authorization=ann)
    revoke_key(keys, "ann")
    judge = ScriptedJudge(opinion, name="held")
    async with judging(judge, tmp_path, keys=keys) as served:
        await until(lambda: GONE in told_on_disk(tmp_path, waiting))
        await ended(served, run, authorization=bob)
    assert {case.record.id for case in judge.seen} == {"bob"}


async def test_a_paused_run_ends_when_its_key_is_taken_back(tmp_path: Path, keys: Path) -> None:
    """It doesn't wait for tomorrow's money."""
    ann, clock, judge = f"Bearer {add_key(keys, 'ann', None, NOW)}", Clock(), PricedJudge()
    bench = bench_of(judge, usd=1.0, purse=Counters(), clock=clock)
    async with judging(judge, tmp_path, bench=bench, keys=keys) as served:
        run = await submitted(served, lines([row(1), row(2)]), authorization=ann)
        await reaches(served, run, lambda told: told["phase"] == "paused", authorization=ann)
        revoke_key(keys, "ann")
        await until(lambda: GONE in told_on_disk(tmp_path, run))
        clock.now += timedelta(days=1)
    assert len(judge.seen) == 1


async def test_a_file_of_keys_that_is_broken_for_a_while_ends_no_run(
    tmp_path: Path, keys: Path
) -> None:
    """Nothing is judged meanwhile, and the run goes on when the file can be read again."""
    ann = f"Bearer {add_key(keys, 'ann', None, NOW)}"
    judge, limits = HeldJudge(free=1), Limits(grace_s=1.0, run_rests_s=(0.3,) * 50)
    content = await asyncio.to_thread(keys.read_bytes)
    async with judging(judge, tmp_path, keys=keys, limits=limits) as served:
        run = await submitted(served, lines([row(1), row(2)]), authorization=ann)
        await reaches(served, run, lambda told: told["done"] == 1, authorization=ann)
        await asyncio.to_thread(keys.write_bytes, b"{")
        await until(lambda: "the file of keys can't be read" in told_on_disk(tmp_path, run))
        judge.let_go()
        assert len(judge.seen) == 1
        await asyncio.to_thread(keys.write_bytes, content)
        assert (await ended(served, run, authorization=ann))["judged"] == 2


async def test_a_key_may_have_its_own_number_of_runs(tmp_path: Path, keys: Path) -> None:
    """More than others, fewer, or none."""
    numbers = {"ann": 3, "bob": None, "eve": 0}
    signs = {
        name: f"Bearer {add_key(keys, name, None, NOW, runs=runs)}"
        for name, runs in numbers.items()
    }
    limits = Limits(grace_s=1.0, open_runs=2)
    found: dict[str, list[tuple[int, str]]] = {name: [] for name in numbers}
    async with judging(HeldJudge(), tmp_path, keys=keys, limits=limits) as served:
        for name, sign in signs.items():
            for _ in range(4):
                given = {"content_type": LINES, "authorization": sign}
                answer = await sent(served, "/v1/runs", lines([row(1)]), **given)
                code = "" if answer.status == 202 else answer.code
                found[name].append((answer.status, code))
    taken, full = (202, ""), (429, "too_many_runs")
    assert found == {
        "ann": [taken] * 3 + [full],
        "bob": [taken] * 2 + [full] * 2,
        "eve": [(403, "runs_not_allowed")] * 4,
    }


async def test_so_many_runs_are_judged_at_once_as_the_server_is_told(tmp_path: Path) -> None:
    """The others wait for their turn."""
    judge, limits = HeldJudge(), Limits(grace_s=1.0, runs_at_once=1)
    async with judging(judge, tmp_path, limits=limits) as served:
        runs = [await submitted(served, lines([row(n)])) for n in range(3)]
        await reaches(served, runs[0], lambda told: told["phase"] == "running")
        phases = [(await served.get(f"/v1/runs/{run}")).json["phase"] for run in runs]
        judge.let_go()
        await ended(served, runs[2])
    assert phases == ["running", "queued", "queued"]


async def test_a_run_that_is_deleted_is_no_trouble_to_the_operator(
    tmp_path: Path, logged: pytest.LogCaptureFixture
) -> None:
    """That its files are gone is what was asked for."""
    store = RunStore(tmp_path / "runs")

    def deletes(_: Case) -> float:
        store.delete(store.waiting()[0])  # the last row is judged before anybody looks
        return 0.9

    async with judging(ScriptedJudge(deletes), tmp_path) as served:
        run = await submitted(served, lines([row(1)]))
        await until(lambda: not any((tmp_path / "runs").glob(f"*/*{run}*")))
    assert logged.text == ""


async def test_asking_for_the_head_of_a_stream_keeps_nobody(tmp_path: Path) -> None:
    """The connection is free at once, though the run goes on."""
    async with judging(HeldJudge(), tmp_path) as served:
        run = await submitted(served, lines([row(1)]))
        port = int(served.base.rsplit(":", 1)[1])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        host = f"host: 127.0.0.1:{port}\r\n\r\n"
        writer.write(f"HEAD /v1/runs/{run}/events HTTP/1.1\r\n{host}".encode())
        writer.write(f"GET /healthz HTTP/1.1\r\nconnection: close\r\n{host}".encode())
        answers = await asyncio.wait_for(reader.read(), 10)
        writer.close()
    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert b"text/event-stream" in answers
