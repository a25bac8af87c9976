"""What can't be written now waits in memory: in its order, not without bounds, and for nobody."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import filelock
import pytest

from guard.audit import open_audit
from guard.audit.writer import Writer
from tests import warm
from tests.guard.audit.test_logs import emit, event


class Disk:
    """A place that can be full, or hang."""

    def __init__(self) -> None:
        self.full, self.lines, self.tries = False, list[str](), 0
        self.error: Exception = OSError("No space left on device")
        self.answers, self.asked, self.written = (threading.Event() for _ in range(3))
        self.answers.set()

    def write(self, lines: Sequence[str]) -> None:
        self.tries += 1
        self.asked.set()
        self.answers.wait(20)
        if self.full:
            raise self.error
        self.lines += lines
        self.written.set()


@pytest.fixture
def disk() -> Disk:
    """Empty, and alive."""
    return Disk()


@pytest.fixture
async def writer(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Writer]:
    """Tries nothing unasked."""
    monkeypatch.setattr("guard.audit.writer.AGAIN_S", 1e6)
    writer = Writer(disk.write, "the log")
    yield writer
    disk.answers.set()
    writer.close()


async def test_lines_of_a_full_disk_wait_and_are_written_in_their_order(
    disk: Disk, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the first one that finds room, also where more wait than are written at once."""
    monkeypatch.setattr("guard.audit.writer.MOST_AT_ONCE", 3)
    disk.full = True
    for number in range(10):
        await writer.emit(f"line {number}")
    assert disk.lines == []
    disk.full = False
    await writer.emit("line 10")
    assert disk.lines == [f"line {number}" for number in range(11)]


async def test_so_much_waits_and_what_is_more_is_refused(
    disk: Disk, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the guard counts it as lost, and memory doesn't run full; there is room again later."""
    monkeypatch.setattr("guard.audit.writer.MOST_BYTES", 10_000)
    for number in range(100):  # a disk that can be written has no such bounds
        await writer.emit(f"{number:900}")
    disk.lines.clear()
    disk.full = True
    kept, refused = [], 0
    for number in range(20):
        try:
            await writer.emit(f"{number:900}")
            kept.append(f"{number:900}")
        except OSError:
            refused += 1
    assert (len(kept), refused) == (10, 10)
    disk.full = False
    with pytest.raises(OSError, match="too many events wait in memory"):
        await writer.emit("x" * 900)
    await writer.emit("small")
    await writer.emit("x" * 20_000)
    assert disk.lines == [*kept, "small", "x" * 20_000]


async def test_how_much_waits_is_told_until_it_is_written(disk: Disk) -> None:
    """So that metrics show a full disk before anything is lost; what is in flight doesn't wait."""
    told = list[int]()
    writer = Writer(disk.write, "the log", told.append)
    await writer.emit("line 0")
    assert told == []
    disk.full = True
    for number in range(3):
        await writer.emit(f"line {number}")
    assert sum(told) == 3
    disk.full = False
    writer.close()
    assert (sum(told), len(disk.lines)) == (0, 4)


async def test_what_waits_is_written_also_where_no_other_line_comes(
    disk: Disk, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill would lose it: it waits no longer than it must."""
    monkeypatch.setattr("guard.audit.writer.AGAIN_S", 0.01)
    disk.full = True
    await writer.emit("line")
    disk.full = False
    assert await asyncio.to_thread(disk.written.wait, 20)
    assert disk.lines == ["line"]


async def test_at_the_end_it_is_tried_once_more_and_what_is_lost_is_told(
    disk: Disk, writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    """The last chance for what waits; nothing is taken afterwards."""
    disk.full = True
    await writer.emit("line")
    disk.full = False
    writer.close()
    assert disk.lines == ["line"]
    with pytest.raises(OSError, match="closed"):
        await writer.emit("late")
    other = Writer(disk.write, "the log")
    disk.full = True
    for _ in range(3):
        await other.emit("line")
    other.close()
    other.close()
    assert caplog.messages == [
        "the log: events wait in memory: No space left on device",
        "the log: events wait in memory: No space left on device",
        "the log: events lost at the end: 3",
    ]


async def test_a_place_that_hangs_holds_up_neither_callers_nor_the_end(
    disk: Disk, writer: Writer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As a network disk does: no timeout of ours ends such a write."""
    monkeypatch.setattr("guard.audit.writer.PATIENCE_S", 0.01)
    monkeypatch.setattr("guard.audit.writer.CLOSE_S", 0.01)
    monkeypatch.setattr("guard.audit.writer.MOST_BYTES", 300)
    disk.answers.clear()
    async with asyncio.timeout(20):
        await writer.emit("line")
        await writer.emit("line")
        with pytest.raises(OSError, match="too many"):
            await writer.emit("x" * 300)
        await asyncio.to_thread(writer.close)
    assert caplog.messages == [
        "the log: events wait in memory: no answer",
        "the log: events lost at the end: 2",
    ]


async def test_a_caller_that_goes_away_stops_nothing(disk: Disk, writer: Writer) -> None:
    """A client that leaves while its event is written: that event and later ones are recorded."""
    disk.answers.clear()
    gone = asyncio.create_task(writer.emit("gone"))
    assert await asyncio.to_thread(disk.asked.wait, 20)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    disk.answers.set()
    await asyncio.wait_for(writer.emit("next"), 20)
    assert disk.lines == ["gone", "next"]


async def test_an_error_of_another_kind_stops_nothing_and_tells_no_text(
    disk: Disk, writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    """A library's bug would leave every later caller waiting; its message may hold a text."""
    disk.full, disk.error = True, ValueError("secret")
    await asyncio.wait_for(writer.emit("line"), 20)
    disk.full = False
    await asyncio.wait_for(writer.emit("next"), 20)
    assert disk.lines == ["line", "next"]
    assert caplog.messages == ["the log: events wait in memory: ValueError"]


async def test_without_a_thread_a_line_is_refused_and_the_next_one_is_tried(
    disk: Disk, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a machine may run no more of them: the guard counts the event, and goes on."""

    def none(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none)
        with pytest.raises(OSError, match="can't start new thread"):
            await writer.emit("line")
    await writer.emit("next")
    assert disk.lines == ["next"]


async def test_a_log_that_others_lock_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streams of one worker go on while another writes, or deletes what is old, or hangs at it."""
    file = tmp_path / "a.jsonl"
    monkeypatch.setattr("guard.audit.jsonl.LOCK_WAIT_S", 0.01)
    monkeypatch.setattr("guard.audit.writer.AGAIN_S", 1e6)
    monkeypatch.setattr("guard.audit.writer.PATIENCE_S", 1e6)
    with open_audit(f"jsonl:{file}") as log:
        await log.emit(event(0))
        with filelock.FileLock(f"{file}.lock"):
            await asyncio.wait_for(emit(log, event(1), event(2)), 20)
            assert [one.request_id for one in log.events()] == ["r0"]
        await log.emit(event(3))
        assert [one.request_id for one in log.events()] == ["r0", "r1", "r2", "r3"]


async def test_no_event_loop_stands_still_while_a_line_is_written(tmp_path: Path) -> None:
    """Another process holds the lock just now: who writes waits, other requests don't."""
    file = tmp_path / "a.jsonl"
    held, let_go, seen = threading.Event(), threading.Event(), []

    def hold() -> None:
        with filelock.FileLock(f"{file}.lock"):
            held.set()
            seen.append(let_go.wait(0.9))

    with open_audit(f"jsonl:{file}") as log:
        holding = asyncio.create_task(asyncio.to_thread(hold))
        await asyncio.to_thread(held.wait)
        writing = asyncio.create_task(log.emit(event(0)))
        for _ in range(3):
            await asyncio.sleep(0)
        let_go.set()
        await asyncio.gather(writing, holding)
    assert seen == [True]


FULL = """
import asyncio, os, resource, sys
from guard import open_log
import guard.audit.writer as writer
from tests.guard.audit.test_logs import event

writer.AGAIN_S = 1e6
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
log = open_log(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
asyncio.run(log.emit(event(1)))
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
"""
FORKS = """
child = os.fork()
asyncio.run(log.emit(event(2 if child == 0 else 3)))
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
"""


@pytest.mark.parametrize(("then", "kept"), [("", ["r1"]), (FORKS, ["r1", "r2", "r3"])])
def test_what_waits_is_written_when_a_program_ends_that_closes_nothing(
    tmp_path: Path, then: str, kept: list[str]
) -> None:
    """As an application around a wrapped function does; a forked child writes what is its own."""
    place = f"jsonl:{tmp_path / 'a.jsonl'}"
    command = warm.python(FULL + then, place)
    subprocess.run(command, cwd=Path(__file__).parents[3], check=True, timeout=60)
    with open_audit(place) as log:
        assert sorted(one.request_id for one in log.events()) == kept
