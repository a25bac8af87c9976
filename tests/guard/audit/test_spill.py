"""Events that wait for their database: whose they are, their order, and that none comes twice."""

from __future__ import annotations

import math
import sqlite3
import stat
from collections.abc import Iterable
from pathlib import Path

import platformdirs
import pytest
from sqlalchemy import make_url

from guard.audit import open_audit
from guard.audit.spill import MOST_AT_ONCE, Spill, waiting_file
from guard.audit.sql import SqlLog
from judge.errors import InputError
from tests.guard.audit.test_lines import no_file_beyond
from tests.guard.audit.test_logs import emit, event, later, refusing


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An SQLite file that is not waited for."""
    monkeypatch.setattr("guard.audit.database.OPEN_WAIT_S", 0.01)
    return tmp_path / "a.sqlite"


def ids(log: SqlLog) -> list[str]:
    """What a log holds, in its order."""
    return [one.request_id for one in log.events()]


def lines(numbers: Iterable[int]) -> list[str]:
    """Events as they are written."""
    return [event(number).model_dump_json() for number in numbers]


async def test_workers_share_what_waits_and_none_comes_twice(database: Path) -> None:
    """The first of them that can write moves in the others' events too, in order of time."""
    logs = [SqlLog.connect(f"sqlite:///{database}") for _ in range(3)]
    with refusing(database):
        for number, log in enumerate(logs * 3):
            await log.emit(event(number))
    await logs[1].emit(event(9))
    for number, log in enumerate(logs, 10):
        await log.emit(event(number))
        log.close()
    with open_audit(f"sqlite:///{database}") as log:
        found = [one.request_id for one in log.events()]
    assert found == [f"r{n}" for n in range(13)]


async def test_what_a_dead_process_left_is_there_for_whoever_opens_the_log(database: Path) -> None:
    """The server's next start, and the commands that read the log or forget."""
    log = SqlLog.connect(f"sqlite:///{database}")
    with refusing(database):
        await emit(log, *(event(n) for n in range(3)))
        log.close()
    with open_audit(f"sqlite:///{database}") as other:
        assert [one.request_id for one in other.events()] == ["r0", "r1", "r2"]
        assert other.forget(request_id="r1") == 1
    assert not list(database.parent.glob("*.jsonl"))


async def test_what_a_later_release_left_waiting_is_moved_in_whole(database: Path) -> None:
    """As after a way back to this one: it keeps what it knows nothing of."""
    lines = [later(event(0)), later(event(1)).replace('"action":"block"', '"action":"warn"')]
    Spill(waiting_file(make_url(f"sqlite:///{database}"))).add(lines)
    with open_audit(f"sqlite:///{database}") as log:
        assert [one.request_id for one in log.events()] == ["r0"]
        assert log.unread == 1
    with sqlite3.connect(database) as other:
        kept = other.execute("SELECT body FROM flames_guard_event ORDER BY id").fetchall()
    other.close()
    assert [body for (body,) in kept] == lines


async def test_a_process_that_dies_between_moves_nothing_in_twice(database: Path) -> None:
    """Its transaction was kept, and the file was still there."""
    log = SqlLog.connect(f"sqlite:///{database}")
    waiting = Spill(waiting_file(log._database.engine.url))
    await emit(log, *(event(n) for n in range(3)))
    waiting.add(lines(range(5)))
    await log.emit(event(5))
    assert ids(log) == [f"r{n}" for n in range(6)]
    log.close()


async def test_more_waits_than_is_moved_at_once(database: Path) -> None:
    """A long night without a database, and a torn line in it; nobody waits for all of them."""
    log = SqlLog.connect(f"sqlite:///{database}")
    log._database._made = -math.inf  # the file is older than a minute
    waiting = Spill(waiting_file(log._database.engine.url))
    many = 2 * MOST_AT_ONCE + 7
    waiting.add(lines(range(many)))
    with waiting.file.open("ab") as file:
        file.write(b'{"format":1,"at":"20')
    moved = list[int]()
    for number in range(many, many + 3):
        await log.emit(event(number))
        moved.append(len(ids(log)))
    assert moved == [1 + MOST_AT_ONCE, 2 + 2 * MOST_AT_ONCE, many + 3]
    assert ids(log) == [f"r{n}" for n in range(many + 3)]
    assert not waiting.waits
    log.close()


async def test_whoever_opens_the_log_has_all_of_them_however_long_they_are(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts may be recorded: no more of them are held than memory should."""
    monkeypatch.setattr("guard.audit.spill.MOST_BYTES", 3_000)
    monkeypatch.setattr("guard.audit.spill.STEP", 700)
    waiting = Spill(waiting_file(make_url(f"sqlite:///{database}")))
    waiting.add([event(n, text="长" * (n * 300 % 2_100)).model_dump_json() for n in range(30)])
    with open_audit(f"sqlite:///{database}") as log:
        assert [(one.request_id, len(one.text or "")) for one in log.events()] == [
            (f"r{n}", n * 300 % 2_100) for n in range(30)
        ]
    assert not waiting.waits


async def test_a_database_that_fails_midway_keeps_all_of_them_waiting(database: Path) -> None:
    """They are moved in one step, or not at all."""
    log = SqlLog.connect(f"sqlite:///{database}")
    waiting = Spill(waiting_file(log._database.engine.url))
    waiting.add(lines(range(MOST_AT_ONCE + 3)))
    before = waiting.file.read_bytes()
    with refusing(database):
        log._move_in()
    assert waiting.file.read_bytes() == before
    log._move_all_in()
    assert ids(log) == [f"r{n}" for n in range(MOST_AT_ONCE + 3)]
    log.close()


def test_of_events_that_come_at_once_all_wait_or_none(tmp_path: Path) -> None:
    """On a full disk they are tried again together: what waits already would come twice."""
    waiting, [one, two] = Spill(tmp_path / "waiting.jsonl"), lines(range(2))
    full = no_file_beyond(len(one) + 9)
    with full, pytest.raises(InputError, match="can't be written: only"):
        waiting.add([one, two])
    waiting.add([one, two])
    assert waiting.file.read_text(encoding="utf-8").splitlines() == [one, two]


def test_where_events_wait_is_their_owner_s_alone(database: Path) -> None:
    """Others on the machine can neither read them, nor put some of theirs among them."""
    waiting = Spill(database.with_name("new") / "waiting.jsonl")
    waiting.add(lines([1]))
    assert stat.S_IMODE(waiting.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(waiting.file.parent.stat().st_mode) == 0o700
    of_postgresql = waiting_file(make_url("postgresql+psycopg://u:secret@h/d"))
    assert of_postgresql.parent == platformdirs.user_state_path("flames-judge", appauthor=False)
    assert "secret" not in str(of_postgresql)
    assert of_postgresql == waiting_file(make_url("postgresql+psycopg://u:another@h/d"))
    assert of_postgresql != waiting_file(make_url("postgresql+psycopg://u:secret@h/e"))
