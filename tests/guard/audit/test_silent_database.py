"""PostgreSQL that hangs and says nothing: nobody waits for it long, nothing is lost or doubled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guard.audit.sql import SqlLog
from judge.errors import InputError
from tests.databases import postgresql
from tests.guard.audit.line import Line, line_to
from tests.guard.audit.test_logs import emit, event

__all__ = ["postgresql"]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up soon, and tried again at once."""
    monkeypatch.setattr("guard.audit.database.OPEN_WAIT_S", 1)
    monkeypatch.setattr("guard.audit.database.ANSWER_WAIT_S", 0.5)
    monkeypatch.setattr("guard.audit.sql.REST_S", 0.0)


@pytest.fixture
def line(
    postgresql: Callable[[str], str], hasty: None, request: pytest.FixtureRequest
) -> Iterator[tuple[Line, str]]:
    """A line to a database of its own that can go dead, and its URL."""
    with line_to(postgresql(f"silent{abs(hash(request.node.name))}")) as (line, url):
        yield line, url


def ids(log: SqlLog) -> list[str]:
    """What a log holds."""
    return [one.request_id for one in log.events()]


def waiting(spill: Path) -> int:
    """How many events wait."""
    return len(spill.read_text(encoding="utf-8").splitlines())


async def test_events_wait_in_the_file_while_the_database_says_nothing(
    line: tuple[Line, str], tmp_path: Path
) -> None:
    """Requests go on after a moment, and what came meanwhile is all there when it speaks again."""
    (wire, url), spill = line, tmp_path / "spill.jsonl"
    log = SqlLog.connect(url, spill)
    await log.emit(event(0))
    wire.alive.clear()
    await asyncio.wait_for(emit(log, event(1), event(2)), 20)
    await asyncio.wait_for(log.emit(event(3)), 20)
    assert waiting(spill) == 3
    wire.alive.set()
    await log.emit(event(4))
    assert ids(log) == ["r0", "r1", "r2", "r3", "r4"]
    assert not spill.exists()
    log.close()


async def test_what_held_everybody_up_is_left_alone_for_a_while(
    line: tuple[Line, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One caller waits for a silent database, and not each of them."""
    monkeypatch.setattr("guard.audit.sql.REST_S", 1e6)
    (wire, url), spill = line, tmp_path / "spill.jsonl"
    log = SqlLog.connect(url, spill)
    wire.alive.clear()
    await asyncio.wait_for(log.emit(event(0)), 20)
    calls = wire.calls
    for number in range(1, 20):
        await log.emit(event(number))
    assert (wire.calls, waiting(spill)) == (calls, 20)
    log.close()


async def test_the_end_waits_for_no_event_that_a_silent_database_has(
    line: tuple[Line, str], tmp_path: Path
) -> None:
    """Whoever stops the server would kill it before long; the event waits for the next one."""
    (wire, url), spill = line, tmp_path / "spill.jsonl"
    log = SqlLog.connect(url, spill)
    await log.emit(event(0))
    wire.alive.clear()
    writing = asyncio.create_task(log.emit(event(1)))
    assert await asyncio.to_thread(wire.unheard.wait, 20)
    await asyncio.wait_for(asyncio.to_thread(log.close), 20)
    await writing
    assert waiting(spill) == 1


async def test_the_end_waits_for_no_deletion_that_a_silent_database_has(
    line: tuple[Line, str], tmp_path: Path
) -> None:
    """A thread of the server deletes what is old; that may take long, but not the server's end."""
    wire, url = line
    log = SqlLog.connect(url, tmp_path / "spill.jsonl")
    await log.emit(event(0))
    wire.alive.clear()
    deleting = asyncio.create_task(asyncio.to_thread(lambda: log.forget(request_id="r0")))
    assert await asyncio.to_thread(wire.unheard.wait, 20)
    log.close()
    with pytest.raises(InputError, match="the database can't be used"):
        await asyncio.wait_for(deleting, 20)


BLOCKING = """
CREATE FUNCTION block() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF pg_backend_pid() = {pid} THEN PERFORM pg_advisory_lock(4711); END IF; RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER block AFTER INSERT ON flames_guard_event
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION block();
"""


@pytest.mark.parametrize("where", ["file", "memory"])
async def test_an_event_that_the_database_takes_after_all_comes_once(
    postgresql: Callable[[str], str],
    hasty: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    """It hung at the commit, as on a disk that does: we gave it up, and it did it all the same."""
    monkeypatch.setattr("guard.audit.database.OPEN_WAIT_S", 20)
    monkeypatch.setattr("guard.audit.writer.AGAIN_S", 1e6)
    spill = tmp_path / "folder" / "spill.jsonl"
    if where == "memory":
        spill.parent.touch()
    log = SqlLog.connect(postgresql(f"late{where}"), spill)
    with log._database.engine.connect() as other:
        [pid] = other.exec_driver_sql("SELECT pg_backend_pid()").one()
    with log._database.engine.connect() as mine, log._database.engine.connect() as other:
        assert mine.exec_driver_sql("SELECT pg_backend_pid()").one() == (pid,)
        other.exec_driver_sql(BLOCKING.format(pid=pid))
        other.commit()
        other.exec_driver_sql("SELECT pg_advisory_lock(4711)")
        other.commit()
        mine.close()  # the next to be used
        await asyncio.wait_for(log.emit(event(1)), 20)
        await asyncio.wait_for(log.emit(event(2)), 20)
        if where == "file":
            assert waiting(spill) == 2
        other.exec_driver_sql("SELECT pg_advisory_unlock(4711)")
        other.commit()
        still = f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}"
        async with asyncio.timeout(20):
            while other.exec_driver_sql(still).one() != (0,):
                other.rollback()
                await asyncio.sleep(0.01)
    await log.emit(event(3))
    assert ids(log) == ["r1", "r2", "r3"]
    assert not spill.exists()
    log.close()
