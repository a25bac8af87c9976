"""Several servers on one --data folder: each counts by itself, and they share the runs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from guard.loading import read_plan
from guard.server.settings import Settings
from guard.server.sharing import alive, sharing
from judge.errors import InputError
from tests.guard.server.records import LINES, lines, row
from tests.guard.server.serving import says
from tests.guard.server.test_serve_command import POLICY, ROOT, Running, counted, running
from tests.guard.upstream import Upstream

HOLDS = (  # in a process of its own: holds its folder, or a folder of another's, until it is killed
    "import sys, time; from pathlib import Path\n"
    "from guard.loading import read_plan\n"
    "from guard.server.settings import Settings\n"
    "from guard.server.sharing import alive, sharing\n"
    "data, policy, other = sys.argv[1:]\n"
    "held = alive(Path(other)) if other else sharing(Settings(read_plan(policy), '', "
    "data=Path(data)), 2)\n"
    "with held as told:\n"
    "    print('' if told is None else told.own, flush=True)\n"
    "    time.sleep(600)\n"
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A server that keeps something."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY, encoding="utf-8")
    return Settings(read_plan(policy), "", data=tmp_path / "data")


def file_of(settings: Settings) -> Path:
    """The policy's."""
    assert settings.plan.policy.file is not None
    return settings.plan.policy.file


def own_of(told: Settings) -> Path:
    """The server's own folder."""
    assert told.own is not None
    return told.own


async def holding(settings: Settings, other: str = "") -> tuple[asyncio.subprocess.Process, str]:
    """Another process that holds a folder, and which it says that is."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDS, str(settings.data), str(file_of(settings)), other,
        stdout=asyncio.subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    assert process.stdout is not None
    return process, (await process.stdout.readline()).decode().strip()


def test_each_server_has_a_folder_of_its_own(settings: Settings) -> None:
    """One that begins or ends leaves the other's counts alone; nothing is left behind."""
    with sharing(settings, 2) as first:
        told = os.environ["PROMETHEUS_MULTIPROC_DIR"]
        count = own_of(first) / "counter_1.db"
        count.write_bytes(b"1")
        assert (first.shared, told) == (settings.data, str(own_of(first)))
        with sharing(settings, 1) as second:
            assert own_of(second) != own_of(first)
            assert count.read_bytes() == b"1"
        assert not own_of(second).exists()
        assert count.read_bytes() == b"1"
    assert not own_of(first).exists()
    assert "PROMETHEUS_MULTIPROC_DIR" not in os.environ


async def test_what_a_killed_server_left_is_deleted_once_its_workers_are_dead(
    settings: Settings,
) -> None:
    """A lock tells which, that the system lets go of: numbers of processes come again."""
    process, own = await holding(settings)
    left = Path(own) / "counter_1.db"
    left.write_bytes(b"1")
    worker, _ = await holding(settings, own)
    try:
        for one in (process, worker):
            with sharing(settings, 2):
                assert left.exists()
            one.send_signal(signal.SIGKILL)
            await one.wait()
        with sharing(settings, 2) as told:
            assert list(own_of(told).parent.glob("*/")) == [own_of(told)]
    finally:
        for one in (process, worker):
            if one.returncode is None:
                one.kill()
                await one.wait()


def test_a_server_that_judges_otherwise_is_refused(settings: Settings, tmp_path: Path) -> None:
    """A run is taken up by either: another judge would judge it, or its key would be unknown."""
    rules, other = tmp_path / "rules.yaml", tmp_path / "other.yaml"
    rules.write_text(POLICY.replace("block", "flag"), encoding="utf-8")
    other.write_text(POLICY.replace("rules", "judge: llm:openai/m\nrules"), encoding="utf-8")
    another = replace(settings, plan=read_plan(other))
    with sharing(settings, 1):
        with sharing(replace(settings, plan=read_plan(rules), shadow=True), 1):
            pass
        for told in (another, replace(settings, keys=tmp_path / "k.json")):
            with pytest.raises(InputError, match="another server works there") as raised:
                sharing(told, 1).__enter__()
            assert raised.value.file == settings.data
            assert str(raised.value).count("\n") == 0
    with sharing(another, 1) as told:
        assert list(own_of(told).parent.glob("*/")) == [own_of(told)]


def test_a_server_that_says_nothing_readable_is_refused(settings: Settings) -> None:
    """What it judges by is not known."""
    with sharing(settings, 1) as first:
        (own_of(first) / "judging").write_bytes(b"\xff\xfe")
        with pytest.raises(InputError, match="another server works there"):
            sharing(settings, 1).__enter__()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_folder_that_can_t_be_used_is_refused(settings: Settings, workers: int) -> None:
    """One clear line."""
    assert settings.data is not None
    settings.data.write_text("no folder", encoding="utf-8")
    with pytest.raises(InputError, match="can't be used"):
        sharing(settings, workers).__enter__()


def test_a_lock_that_is_a_link_is_refused(settings: Settings, tmp_path: Path) -> None:
    """No file is made where it leads."""
    assert settings.data is not None
    lock = settings.data / "servers" / "lock"
    lock.parent.mkdir(parents=True)
    lock.symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is a symbolic link") as refused:
        sharing(settings, 1).__enter__()
    assert refused.value.file == lock
    assert not (tmp_path / "nowhere").exists()


def test_without_a_folder_one_worker_needs_none(settings: Settings) -> None:
    """Several share one for as long as they run."""
    with sharing(replace(settings, data=None), 1) as told:
        assert (told.shared, told.own) == (None, None)
        with alive(told.own):
            pass
    with sharing(replace(settings, data=None), 2) as told:
        assert told.shared is not None
        assert own_of(told).is_dir()
    assert not told.shared.exists()


async def submitted(server: Running, rows: list[dict[str, Any]]) -> str:
    """The id of a run of these rows."""
    headers = {"content-type": LINES}
    url = f"{server.base}/runs"
    async with server.client.post(url, data=lines(rows), headers=headers) as response:
        return str((await response.json())["id"])


async def log_of(server: Running, run: str) -> list[str]:
    """The rows of a run's log, once it is done; from whichever server."""
    async with asyncio.timeout(60):
        while True:
            told = json.loads(await server.page(f"/v1/runs/{run}"))
            if told["phase"] not in {"queued", "running", "paused"}:
                break
            await asyncio.sleep(0.05)
    assert (told["phase"], told["done"]) == ("done", told["rows"])
    page = await server.page(f"/v1/runs/{run}/verdicts")
    return sorted(json.loads(line)["record_id"] for line in page.splitlines())


async def test_two_servers_on_one_folder_count_apart_and_share_the_runs(settings: Settings) -> None:
    """The second one's start and end leave the first one's counts; each row is judged once."""
    rows = [row(n, f"抱歉，我不能帮你做这件事{n}。") for n in range(20)]
    flags = ("--workers", "2", "--data", str(settings.data))
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(Upstream(says("好。")))
        first = await stack.enter_async_context(running(upstream.url, file_of(settings), *flags))
        await asked(first, 6)
        async with running(upstream.url, file_of(settings), *flags) as second:
            await asked(second, 3)
            runs = [await submitted(one, rows) for one in (first, second) for _ in range(2)]
            for one in (second, first):
                for run in runs:
                    assert await log_of(one, run) == sorted(str(each["id"]) for each in rows)
            assert [await counted(one) for one in (first, second)] == [6, 3]
        assert await counted(first) == 6


async def asked(server: Running, times: int) -> None:
    """Ask so often, over a connection each, until all are counted."""
    for _ in range(times):
        async with aiohttp.ClientSession() as client:
            assert (await replace(server, client=client).chat())[0] == 200
    async with asyncio.timeout(10):
        while await counted(server) < times:  # a request is counted after its last byte
            pass
