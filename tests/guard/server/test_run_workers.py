"""Runs outlive their workers: after a restart, after a kill, and beside other workers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from guard.client import FlamesClient
from guard.engine.limits import PocketPurse
from guard.server.runs import RunStore
from guard.server.settings import Limits
from guard.wire import Run
from judge.testing import ScriptedJudge
from tests.guard.server.records import (
    HARMFUL,
    LINES,
    HeldJudge,
    bench_of,
    ended,
    judging,
    lines,
    opinion,
    reaches,
    row,
    submitted,
    until,
)
from tests.guard.server.serving import Served
from tests.guard.server.test_serve_command import running

ROWS = [row(n, HARMFUL if n % 3 == 0 else "抱歉，我不能。") for n in range(9)]
ROOT = Path(__file__).parents[3]
TOLD_LATER = {"at", "latency_s"}


async def log_of(served: Served, run: str) -> list[dict[str, Any]]:
    """A run's log, by its rows, without what differs between any two runs."""
    answer = await served.get(f"/v1/runs/{run}/verdicts")
    found = [json.loads(line) for line in answer.body.splitlines()]
    plain = [{k: v for k, v in one.items() if k not in TOLD_LATER} for one in found]
    return sorted(plain, key=lambda one: str(one["record_id"]))


async def test_a_restarted_server_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """No row is judged twice, and the log is that of a server that was never stopped."""
    first, second = HeldJudge(free=4), HeldJudge()
    second.let_go()
    async with judging(first, tmp_path / "a") as served:
        run = await submitted(served, lines(ROWS))
        await reaches(served, run, lambda told: told["done"] == 4)
    async with judging(second, tmp_path / "a") as served:
        told = await ended(served, run)
        assert (told["phase"], told["judged"], told["done"]) == ("done", 9, 9)
        stopped = await log_of(served, run)
        summary = (await served.get(f"/v1/runs/{run}/summary")).json
    assert Counter(case.record.id for case in first.seen + second.seen) == Counter(
        str(one["id"]) for one in ROWS
    )
    assert len(first.seen) == 4
    third = HeldJudge()
    third.let_go()
    async with judging(third, tmp_path / "b") as served:
        run = await submitted(served, lines(ROWS))
        await ended(served, run)
        assert await log_of(served, run) == stopped
        assert (await served.get(f"/v1/runs/{run}/summary")).json == summary


async def test_a_killed_worker_s_run_is_taken_up_by_another(tmp_path: Path) -> None:
    """It is found held while the worker lives, and free as soon as it is dead.

    Three hundred rows: a hundred are judged when it dies, and none of them again.
    """
    rows = [row(n, HARMFUL if n % 3 == 0 else "抱歉，我不能。") for n in range(300)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.guard.server.killed",
        str(tmp_path),
        "100",
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    judge = HeldJudge()
    judge.let_go()
    try:
        base = (await process.stdout.readline()).decode().strip()
        async with aiohttp.ClientSession() as client:
            url, headers = f"{base}/v1/runs", {"content-type": LINES}
            async with client.post(url, data=lines(rows), headers=headers) as response:
                run = (await response.json())["id"]
        progress = next((tmp_path / "runs").glob(f"*/{run}")) / "progress.json"
        await until(progress.exists)
        async with judging(judge, tmp_path) as served:
            await reaches(served, run, lambda told: told["done"] == 100)
            assert not judge.seen
            process.send_signal(signal.SIGKILL)
            told = await ended(served, run)
            log = await log_of(served, run)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    assert (told["phase"], told["judged"]) == ("done", 300)
    assert len(judge.seen) == 200
    assert [one["record_id"] for one in log] == sorted(str(one["id"]) for one in rows)


@pytest.mark.slow
async def test_the_command_is_killed_and_started_again(tmp_path: Path) -> None:
    """`flames-judge serve --data`: the client's run is found again, and each row judged once."""
    policy, data = tmp_path / "policy.yaml", tmp_path / "data"
    policy.write_text(
        "version: 1\njudge: embedded\nrules: [{evidence: abuse, action: block}]\n",
        encoding="utf-8",
    )
    away, rows = (
        "http://127.0.0.1:1/v1",
        [row(n, f"抱歉，我不能帮你做这件事{n}。") for n in range(400)],
    )

    def begin(base: str) -> str:
        with FlamesClient(base) as client:
            run = client.submit(rows)
            next(told for told in client.follow(run) if told.done)
            return run.id

    def end(base: str) -> tuple[Run, list[str]]:
        with FlamesClient(base) as client:
            told = client.wait(run)
            client.save_log(run, tmp_path / "log.jsonl")
            return told, [entry.record_id for entry in client.verdicts(run)]

    async with running(away, policy, "--data", str(data)) as server:
        run = await asyncio.to_thread(begin, server.base)
        os.kill(server.pid, signal.SIGKILL)
    async with running(away, policy, "--data", str(data)) as server:
        told, ids = await asyncio.to_thread(end, server.base)
    assert (told.phase, told.done) == ("done", 400)
    assert sorted(ids) == sorted(str(one["id"]) for one in rows)
    assert len((tmp_path / "log.jsonl").read_bytes().splitlines()) == 400


async def test_of_several_workers_one_has_a_run(tmp_path: Path) -> None:
    """All work, each row is judged once, and each worker answers for every run."""
    judges = [ScriptedJudge(opinion, name="same") for _ in range(2)]
    limits = Limits(grace_s=1.0, open_runs=20)
    async with (
        judging(judges[0], tmp_path, limits=limits) as one,
        judging(judges[1], tmp_path, limits=limits) as other,
    ):
        runs = [await submitted(one, lines([row(n * 10 + i) for i in range(5)])) for n in range(12)]
        told = await asyncio.gather(*(ended(other, run) for run in runs))
    assert {(one["phase"], one["judged"]) for one in told} == {("done", 5)}
    seen = [[case.record.id for case in judge.seen] for judge in judges]
    assert len(seen[0]) + len(seen[1]) == len({*seen[0], *seen[1]}) == 60
    assert not list((tmp_path / "runs" / "open").iterdir())


async def test_a_worker_whose_places_are_taken_leaves_runs_to_others(tmp_path: Path) -> None:
    """One that is stuck with the oldest runs holds up no other."""
    stuck, free = HeldJudge(), ScriptedJudge(opinion, name="held")
    limits = Limits(grace_s=1.0, open_runs=20)
    async with judging(stuck, tmp_path, limits=limits) as one:
        old = [await submitted(one, lines([row(n)])) for n in range(2)]
        for run in old:
            await reaches(one, run, lambda told: told["phase"] == "running")
        async with judging(free, tmp_path, limits=limits) as other:
            runs = [await submitted(one, lines([row(n)])) for n in range(3)]
            for run in runs:
                assert (await ended(other, run))["phase"] == "done"
        stuck.let_go()
        for run in old:
            assert (await ended(one, run))["phase"] == "done"


async def test_each_caller_has_a_turn(tmp_path: Path) -> None:
    """Many runs of one caller don't hold up another's only one."""
    from datetime import UTC, datetime

    from guard.server.keys.file import add_key

    file, now = tmp_path / "keys.json", datetime(2026, 1, 1, tzinfo=UTC)
    ann, bob = (f"Bearer {add_key(file, name, None, now)}" for name in ("ann", "bob"))
    order: list[str] = []

    def noted(case: Any) -> float:
        order.append(case.record.id)
        return 0.9

    judge = HeldJudge(script=noted)
    async with judging(judge, tmp_path / "data", keys=file) as served:
        mine = [
            await submitted(served, lines([row(n, id=f"ann{n}")]), authorization=ann)
            for n in range(4)
        ]
        for run in mine[:2]:
            started = lambda told: told["phase"] == "running"  # noqa: E731
            await reaches(served, run, started, authorization=ann)
        his = await submitted(served, lines([row(9, id="bob")]), authorization=bob)
        judge.let_go()
        await ended(served, his, authorization=bob)
        for run in mine:
            await ended(served, run, authorization=ann)
    assert order.index("bob") < order.index("ann3")


async def test_a_run_of_a_server_that_judges_otherwise_now_fails(tmp_path: Path) -> None:
    """Verdicts of two judges in one log would be taken for those of one."""
    async with judging(HeldJudge(free=1), tmp_path) as served:
        run = await submitted(served, lines([row(1), row(2)]))
        await reaches(served, run, lambda told: told["done"] == 1)
    async with judging(ScriptedJudge(opinion, name="another"), tmp_path) as served:
        told = await ended(served, run)
        summary = (await served.get(f"/v1/runs/{run}/summary")).json
    assert told["phase"] == "failed"
    assert summary["judge"]["name"] == "held"  # whose figures they are
    assert "were judged by another judge" in told["problem"]
    assert "submit the file again" in told["problem"]
    assert str(tmp_path) not in told["problem"]


async def test_records_leave_half_of_the_day_s_money_to_the_guard(tmp_path: Path) -> None:
    """A large run can't make the chatbot fall silent."""
    from guard.loading import read_plan
    from guard.server.settings import Settings
    from guard.server.state import open_state

    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "version: 1\njudge: embedded\nbudget_usd_per_day: 4\n"
        "rules: [{evidence: abuse, action: block}]\n",
        encoding="utf-8",
    )
    state = open_state(Settings(read_plan(policy), "http://127.0.0.1:1/v1"))
    try:
        state.bench.budget.spend(1.5)
        assert state.bench.budget.open
        state.bench.budget.spend(0.5)
        assert not state.bench.budget.open
    finally:
        state.closing.close()


async def test_calls_that_were_broken_off_are_paid_for() -> None:
    """What a provider was asked costs money, whether anyone waited for its answer or not."""
    from judge.llm.bill import current_bill
    from judge.verdict import Usage

    class Dear(ScriptedJudge):
        async def assess(self, cases: Any) -> Any:
            bill = current_bill()
            assert bill is not None
            bill.add(Usage(), 0.25)
            raise asyncio.CancelledError

    purse = PocketPurse()
    today = datetime(2026, 1, 1, 12, tzinfo=UTC)
    bench = bench_of(Dear(opinion), usd=1.0, purse=purse, clock=lambda: today)
    with pytest.raises(asyncio.CancelledError):
        await bench.judge.assess([])
    assert purse.spent("2026-01-01") == 0.25


async def test_an_upload_counts_as_long_as_its_worker_lives(tmp_path: Path) -> None:
    """Of a killed one nothing will come: its caller may send the file again at once."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.guard.server.killed", str(tmp_path), "0"),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    limits = Limits(grace_s=1.0, open_runs=1)
    try:
        base = (await process.stdout.readline()).decode().strip().removeprefix("http://")
        host, port = base.split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /v1/runs HTTP/1.1\r\nhost: {base}\r\ncontent-type: {LINES}\r\n"
        writer.write(f"{head}content-length: 99\r\n\r\n{{".encode())
        await until(lambda: list(tmp_path.glob("runs/anyone/.*/arriving")))
        judge = ScriptedJudge(opinion, name="held")
        async with judging(judge, tmp_path, limits=limits) as served:
            headers = {"content_type": LINES}
            busy = await served.post("/v1/runs", lines([row(1)]), **headers)
            process.send_signal(signal.SIGKILL)
            await process.wait()
            run = await submitted(served, lines([row(1)]))
            told = await ended(served, run)
        writer.close()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    assert (busy.status, busy.code) == (429, "too_many_runs")
    assert (told["phase"], told["judged"]) == ("done", 1)
    assert not (tmp_path / "runs" / "anyone" / run / "arriving").exists()


def test_what_killed_workers_left_is_swept_away(tmp_path: Path) -> None:
    """Half an upload, and half a deletion; what is on its way stays."""
    import os

    from guard.server.runs.intake import sweep

    store = RunStore(tmp_path / "runs")
    home = store.home("anyone")
    for name in (".old", ".old-1234", ".new", "0" * 32):
        (home / name / "run").mkdir(parents=True)
    for name in (".old", ".old-1234", "0" * 32):
        os.utime(home / name, (0, 0))
    sweep(home)
    assert sorted(place.name for place in home.iterdir()) == [".new", "0" * 32]
