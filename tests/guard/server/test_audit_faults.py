"""`serve` whose log can't be written for a while: answers go on, and nothing recorded is lost."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from guard.audit import open_audit
from guard.server.keys.file import add_key
from tests.guard.server.serving import says
from tests.guard.server.test_serve_command import POLICY, Running, running
from tests.guard.upstream import Call, Upstream, chunk, frame

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limits are Linux's")


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """A policy that needs neither judge nor calibration."""
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY, encoding="utf-8")
    return file


def limit_files(server: Running, most: int | None) -> None:
    """No file of the server's may grow beyond so many bytes: to it the disk is full."""
    import resource

    _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (hard if most is None else most, hard))


def sides(place: str) -> Counter[str]:
    """What a log holds, by side; each event once."""
    with open_audit(place) as log:
        found = list(log.events())
    assert len({(event.request_id, event.side) for event in found}) == len(found)
    return Counter(event.side for event in found)


def waiting_beside(database: Path) -> int:
    """Events that wait in files for their database."""
    files = database.parent.glob(f"{database.name}*jsonl")
    return sum(len(file.read_bytes().splitlines()) for file in files)


async def lost(server: Running, what: str = "lost") -> float:
    """Events that a log could not take, or that wait for one."""
    page = await server.page("/metrics")
    return float(page.split(f"\nflames_guard_{what}_events ")[1].split("\n")[0])


async def asked(server: Running, times: int) -> list[int]:
    """The statuses of so many questions, some of them at once."""
    return [status for status, _ in await asyncio.gather(*(server.chat() for _ in range(times)))]


async def test_a_full_disk_loses_no_event(policy: Path, tmp_path: Path) -> None:
    """They wait in the file beside, and are in the database when there is room again."""
    file = tmp_path / "events.sqlite"
    place = f"sqlite:///{file}"
    async with (
        Upstream(says("好。")) as upstream,
        running(upstream.url, policy, "--audit", place) as server,
    ):
        statuses = await asked(server, 5)
        size = file.with_name("events.sqlite-wal").stat().st_size
        limit_files(server, size)
        statuses += await asked(server, 5)
        beside = await asyncio.to_thread(waiting_beside, file)
        limit_files(server, None)
        statuses += await asked(server, 1)
        assert await lost(server) == 0
        assert (beside, await asyncio.to_thread(waiting_beside, file)) == (10, 0)
        server.process.send_signal(signal.SIGTERM)
        assert await server.ended() == 0
    assert statuses == [200] * 11
    assert sides(place) == {"input": 11, "output": 11}


async def test_what_waits_when_the_server_ends_is_not_lost(policy: Path, tmp_path: Path) -> None:
    """The next one moves it into the database."""
    file = tmp_path / "events.sqlite"
    place = f"sqlite:///{file}"
    async with (
        Upstream(says("好。")) as upstream,
        running(upstream.url, policy, "--audit", place) as server,
    ):
        await asked(server, 5)
        limit_files(server, file.with_name("events.sqlite-wal").stat().st_size)
        await asked(server, 3)
        server.process.send_signal(signal.SIGTERM)
        assert await server.ended() == 0
    async with (
        Upstream(says("好。")) as upstream,
        running(upstream.url, policy, "--audit", place) as server,
    ):
        await asked(server, 1)
    assert sides(place) == {"input": 9, "output": 9}


async def test_without_any_room_events_wait_in_memory(policy: Path, tmp_path: Path) -> None:
    """Each log for itself; and when there is room again, all of them are written."""
    file, lines = tmp_path / "events.sqlite", tmp_path / "events.jsonl"
    places = (f"sqlite:///{file}", f"jsonl:{lines}")
    flags = [word for place in places for word in ("--audit", place)]
    async with (
        Upstream(says("好。")) as upstream,
        running(upstream.url, policy, *flags) as server,
    ):
        statuses = await asked(server, 1)
        limit_files(server, 0)
        statuses += await asked(server, 2)
        assert await lost(server, "waiting") == 8
        limit_files(server, None)
        statuses += await asked(server, 1)
        assert (await lost(server), await lost(server, "waiting")) == (0, 0)
    assert statuses == [200] * 4
    assert [sides(place) for place in places] == [{"input": 4, "output": 4}] * 2


async def test_what_waits_in_memory_is_written_when_the_server_ends(
    policy: Path, tmp_path: Path
) -> None:
    """The disk has room again, and nobody has asked anything since."""
    place = f"jsonl:{tmp_path / 'events.jsonl'}"
    async with (
        Upstream(says("好。")) as upstream,
        running(upstream.url, policy, "--audit", place) as server,
    ):
        limit_files(server, 0)
        assert await asked(server, 2) == [200] * 2
        limit_files(server, None)
        server.process.send_signal(signal.SIGTERM)
        assert await server.ended() == 0
    assert sides(place) == {"input": 2, "output": 2}


async def test_a_device_that_is_full_is_left_for_a_file_that_is_not(
    policy: Path, tmp_path: Path
) -> None:
    """The file is looked up anew for every event."""
    lines, full = tmp_path / "events.jsonl", Path("/dev/full")
    lines.symlink_to(full)
    async with (
        Upstream(says("好。")) as upstream,
        running(upstream.url, policy, "--audit", f"jsonl:{lines}") as server,
    ):
        assert await asked(server, 1) == [200]
        await asyncio.to_thread(lines.unlink)
        assert await asked(server, 1) == [200]
        assert await lost(server) == 0
    assert sides(f"jsonl:{lines}") == {"input": 2, "output": 2}


async def test_each_worker_tells_what_all_of_them_lost(policy: Path, tmp_path: Path) -> None:
    """Memory is full, too. Whoever scrapes meets one of the workers; the others' losses count."""
    lines = tmp_path / "events.jsonl"
    lines.symlink_to("/dev/full")
    flags = ("--audit", f"jsonl:{lines}", "--workers", "2", "--record-texts")
    text = "a" * 1_000_000 + "😀"  # 4 MB in memory; three times in the two events of a question
    long = [{"role": "user", "content": text}]
    async with Upstream(says("好。")) as upstream, running(upstream.url, policy, *flags) as server:
        for _ in range(8):  # a connection each: the system spreads them over the workers
            async with aiohttp.ClientSession() as client:
                assert (await replace(server, client=client).chat(messages=long))[0] == 200
        told = set()
        for _ in range(6):
            async with aiohttp.ClientSession() as client:
                told.add(await lost(replace(server, client=client)))
        [counted] = told
        assert 0 < counted < 16


@pytest.mark.parametrize("away", ["moved", "deleted"])
async def test_a_database_that_is_gone_loses_no_later_event(
    policy: Path, tmp_path: Path, away: str
) -> None:
    """Whoever takes it away and brings it back, or deletes it, finds all that came afterwards."""
    file = tmp_path / "events.sqlite"
    place = f"sqlite:///{file}"
    async with (
        Upstream(says("好。")) as upstream,
        running(upstream.url, policy, "--audit", place) as server,
    ):
        await asked(server, 2)
        elsewhere = tmp_path / "elsewhere"
        await asyncio.to_thread(elsewhere.mkdir)
        for one in await asyncio.to_thread(lambda: list(tmp_path.glob("events.sqlite*"))):
            await asyncio.to_thread(one.rename, elsewhere / one.name)
        assert await asked(server, 2) == [200, 200]
        if away == "moved":
            for one in await asyncio.to_thread(lambda: list(elsewhere.iterdir())):
                await asyncio.to_thread(one.rename, tmp_path / one.name)
        assert await asked(server, 2) == [200, 200]
        assert await lost(server) == 0
    kept = 6 if away == "moved" else 4
    assert sides(place) == {"input": kept, "output": kept}


async def test_a_full_disk_locks_no_caller_out_and_lifts_no_limit(
    policy: Path, tmp_path: Path
) -> None:
    """Requests a minute are then counted in memory; in the file again when there is room."""
    data, keys = tmp_path / "data", tmp_path / "keys.json"
    signed = {"authorization": f"Bearer {add_key(keys, 'ann', 3, datetime.now(UTC))}"}
    other = {"authorization": f"Bearer {add_key(keys, 'bob', 100, datetime.now(UTC))}"}

    async def statuses(server: Running, headers: dict[str, str], times: int) -> list[int]:
        url, found = f"{server.base}/models", []
        for _ in range(times):
            async with server.client.get(url, headers=headers) as response:
                found.append(response.status)
        return found

    async with (
        Upstream(says("好。")) as upstream,
        running(upstream.url, policy, "--data", str(data), "--keys", str(keys)) as server,
    ):
        assert await statuses(server, other, 1) == [200]
        limit_files(server, 0)
        found = await statuses(server, signed, 8)
        assert await statuses(server, other, 2) == [200, 200]
        limit_files(server, None)
        assert await statuses(server, other, 2) == [200, 200]
    assert found[:3] == [200] * 3
    assert set(found[4:]) == {429}  # a minute that ends just then may let one more in
    counters = sqlite3.connect(data / "counters.sqlite")
    assert counters.execute("SELECT sum(n) FROM hits WHERE who = 'bob'").fetchone() == (3,)
    counters.close()


async def test_a_server_that_ends_under_load_records_what_it_answered(
    policy: Path, tmp_path: Path
) -> None:
    """Streams and whole answers are under way at SIGTERM: each gets its end, and its events."""
    place, asked_for = f"sqlite:///{tmp_path / 'events.sqlite'}", asyncio.Semaphore(0)

    async def script(call: Call) -> None:
        if call.json.get("stream"):
            await call.begin()
            await call.piece(frame(chunk({"content": "今天天气很好，适合散步。" * 20})))
        asked_for.release()
        await call.gone()

    async with (
        Upstream(script) as upstream,
        running(upstream.url, policy, "--audit", place, "--grace", "0.5") as server,
    ):
        waiting = [asyncio.ensure_future(server.chat(stream=n % 2 == 0)) for n in range(40)]
        for _ in waiting:
            await asyncio.wait_for(asked_for.acquire(), 20)
        server.process.send_signal(signal.SIGTERM)
        answers = await asyncio.wait_for(asyncio.gather(*waiting), 20)
        assert await server.ended() == 0
    for number, (status, body) in enumerate(answers):
        if number % 2:
            assert (status, json.loads(body)["error"]["code"]) == (503, "shutting_down")
        else:
            assert status == 200
            assert b'"code":"shutting_down"' in body
            assert body.endswith(b"data: [DONE]\n\n")
    assert sides(place) == {"input": 40, "output": 20}  # nothing of a whole answer had come
