"""What was decided is recorded, found again and forgotten when asked: in files and databases."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.event import listen

from guard.audit import AuditLog, open_audit, open_log
from guard.audit.database import Database
from guard.audit.sql import SqlLog
from guard.audit.table import Table
from guard.event import GuardEvent
from judge.database import database_url
from judge.errors import InputError
from tests import warm
from tests.databases import postgresql

__all__ = ["postgresql"]

START = datetime(2026, 1, 1, tzinfo=UTC)


def event(number: int = 0, **more: object) -> GuardEvent:
    fields: dict[str, object] = {
        "at": START + timedelta(days=number),
        "request_id": f"r{number}",
        "side": "output",
        "action": "block",
        "status": "blocked",
        "rules": ({"rule": "abuse:output:block", "action": "block", "evidence": "abuse"},),
        "missed": (),
        "abstained": (),
        "scores": {"Legality": 0.25},
        "policy": "p" * 16,
        "calibration": None,
        "shadow": False,
        "streamed": True,
        "looks": 3,
        "characters": 100,
        "exposed": 0,
        "elapsed_s": 0.01,
        "text_sha256": "a" * 64,
        "conversation": f"c{number % 2}",
    }
    return GuardEvent.model_validate(fields | more)


@pytest.fixture(params=["jsonl", "sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty log of each kind."""
    if request.param == "jsonl":
        return f"jsonl:{tmp_path / 'a.jsonl'}"
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'a.sqlite'}"
    url: str = request.getfixturevalue("postgresql")(f"audit{abs(hash(request.node.name))}")
    return url


def _do(place: str, statement: str) -> None:
    """Change a database by hand."""
    engine = create_engine(database_url(place, "--audit"))
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


async def emit(log: AuditLog, *events: GuardEvent) -> None:
    await asyncio.gather(*(log.emit(one) for one in events))


async def test_events_are_read_back_as_they_were_also_after_opening_again(place: str) -> None:
    """Every field, in order."""
    made = [event(n, text="坏话\n二" if n == 3 else None) for n in range(20)]
    with open_audit(place) as log:
        for one in made[:10]:
            await log.emit(one)
    with open_audit(place) as log:
        await emit(log, *made[10:])
        found = list(log.events())
    assert sorted(found, key=lambda one: one.at) == made


async def test_people_are_forgotten_by_age_request_and_conversation(place: str) -> None:
    """What is deleted is gone, and nothing else."""
    with open_audit(place) as log:
        await emit(log, *(event(n) for n in range(10)))
        assert log.forget(before=START + timedelta(days=4)) == 4
        assert log.forget(request_id="r9") == 1
        assert log.forget(conversation="c0") == 3
        assert log.forget(request_id="nobody") == 0
        await log.emit(event(11))
        assert sorted(one.request_id for one in log.events()) == ["r11", "r5", "r7"]


def bytes_in(folder: Path) -> bytes:
    """All that its files hold."""
    return b"".join(file.read_bytes() for file in folder.iterdir())


@pytest.mark.parametrize("ends", [False, True])
async def test_who_records_gets_in_while_much_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    """One transaction over months would lock SQLite for minutes; nor does the end wait for it."""
    file, pauses, real = tmp_path / "a.sqlite", list[float](), Database.pause

    def pause(database: Database, seconds: float) -> bool:
        pauses.append(seconds)
        other = sqlite3.connect(file, timeout=0, isolation_level=None)
        other.execute("BEGIN IMMEDIATE").execute("COMMIT")
        other.close()
        if ends:
            log.close()
        return real(database, 0)

    monkeypatch.setattr("guard.audit.table.MOST_AT_ONCE", 3)
    monkeypatch.setattr(Database, "pause", pause)
    with open_audit(f"sqlite:///{file}") as log:
        await emit(log, *(event(n) for n in range(10)))
        gone = log.forget(before=START + timedelta(days=7))
    assert [seconds > 0 for seconds in pauses] == [True] * (1 if ends else 3)
    with open_audit(f"sqlite:///{file}") as log:
        left = [one.request_id for one in log.events()]
    assert left == [f"r{n}" for n in range(gone, 10)]
    assert gone == (3 if ends else 7)


async def test_all_is_forgotten_also_where_a_server_forgets_some_of_it_just_then(
    postgresql: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it deletes is not taken for the last there was."""
    place = postgresql("both")
    monkeypatch.setattr("guard.audit.table.MOST_AT_ONCE", 2)
    with open_audit(place) as log:
        await emit(log, *(event(n) for n in range(5)))
        engine = create_engine(database_url(place, "--audit"))
        with engine.connect() as server, engine.connect() as looking:
            server.exec_driver_sql("DELETE FROM flames_guard_event WHERE request_id < 'r2'")
            before = START + timedelta(days=9)
            forgetting = asyncio.create_task(asyncio.to_thread(log.forget, before=before))
            waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            held_up = partial(looking.exec_driver_sql, waits)
            while not (held_up().scalar() or forgetting.done()):  # noqa: ASYNC110 - tells nobody
                await asyncio.sleep(0.01)
            server.commit()
            assert await forgetting == 3
        engine.dispose()
        assert list(log.events()) == []


@pytest.mark.parametrize("kind", ["jsonl:{}", "sqlite:///{}"])
async def test_of_what_is_forgotten_no_byte_is_left(tmp_path: Path, kind: str) -> None:
    """Also in what the database keeps beside its file, and while a server goes on writing it."""
    place = kind.format(tmp_path / "a")
    with open_audit(place) as server:
        await emit(server, *(event(n, text=f"电话{n:04d}" * 900) for n in range(40)))
        with open_audit(place) as log:
            assert log.forget(conversation="c0") == 20
        held = bytes_in(tmp_path)
        assert not [n for n in range(0, 40, 2) if f"电话{n:04d}".encode() in held]
        assert all(f"电话{n:04d}".encode() in held for n in range(1, 40, 2))
        await server.emit(event(41))
        assert len(list(server.events())) == 21


async def test_a_locked_table_holds_nobody_up(
    postgresql: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by VACUUM FULL: callers would wait as long; events wait in the file in their place."""
    monkeypatch.setattr("guard.audit.database.OPEN_WAIT_S", 0.2)
    place, spill = postgresql("locked"), tmp_path / "spill.jsonl"
    log = SqlLog.connect(place, spill)
    await log.emit(event(0))
    with log._database.engine.connect() as other:
        other.exec_driver_sql("LOCK TABLE flames_guard_event")
        await asyncio.wait_for(emit(log, event(1), event(2)), 20)
        assert len(spill.read_text(encoding="utf-8").splitlines()) == 2
        other.rollback()
    await log.emit(event(3))
    assert sorted(one.request_id for one in log.events()) == ["r0", "r1", "r2", "r3"]
    log.close()


async def test_many_events_at_once_are_all_kept(place: str) -> None:
    """Two hundred requests of one moment."""
    with open_audit(place) as log:
        await emit(log, *(event(n) for n in range(200)))
        assert len({one.request_id for one in log.events()}) == 200


@contextmanager
def refusing(database: Path) -> Iterator[None]:
    """Another program holds the database."""
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    yield
    other.execute("ROLLBACK")
    other.close()


async def test_events_wait_in_a_file_while_the_database_cant_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing recorded is lost, and it is moved in when the database is back."""
    monkeypatch.setattr("guard.audit.database.OPEN_WAIT_S", 0.01)
    database, spill = tmp_path / "a.sqlite", tmp_path / "spill.jsonl"
    log = SqlLog.connect(f"sqlite:///{database}", spill)
    await log.emit(event(0))
    with refusing(database):
        await log.emit(event(1))
        await log.emit(event(2))
        assert len(spill.read_text(encoding="utf-8").splitlines()) == 2
    await log.emit(event(3))
    assert not spill.exists()
    assert sorted(one.request_id for one in log.events()) == ["r0", "r1", "r2", "r3"]
    log.close()


async def test_what_neither_database_nor_file_can_take_waits_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost by a disk that is full for a while, and the next event finds it all there."""
    monkeypatch.setattr("guard.audit.database.OPEN_WAIT_S", 0.01)
    monkeypatch.setattr("guard.audit.writer.AGAIN_S", 1e6)
    database, file = tmp_path / "a.sqlite", tmp_path / "file"
    file.write_text("", encoding="utf-8")
    log = SqlLog.connect(f"sqlite:///{database}", file / "spill.jsonl")
    with refusing(database):
        await emit(log, event(1), event(2))
        await log.emit(event(3))
        assert [one.request_id for one in log.events()] == []
    await log.emit(event(4))
    assert [one.request_id for one in log.events()] == ["r1", "r2", "r3", "r4"]
    log.close()


@pytest.mark.parametrize("left", ["nothing", "the folder", "the files beside"])
async def test_a_database_that_was_deleted_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    """By the next event, while the server runs; as a file of lines is."""
    file = tmp_path / "logs" / "a.sqlite"
    with open_audit(f"sqlite:///{file}") as log:
        await log.emit(event(0))
        if left == "the files beside":
            file.unlink()
        else:
            shutil.rmtree(file.parent)
        if left == "the folder":
            file.parent.mkdir()
        for number in (1, 2):
            await log.emit(event(number))
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
        monkeypatch.setattr("guard.audit.database.YOUNG_S", 0.0)
        await log.emit(event(3))
        assert [one.request_id for one in log.events()] == ["r1", "r2", "r3"]
        assert not list(file.parent.glob("*.jsonl"))


@pytest.mark.parametrize("moved", ["a.sqlite*", "a.sqlite"])
async def test_a_database_that_is_moved_away_keeps_what_it_had(tmp_path: Path, moved: str) -> None:
    """Also without the file beside, which has the latest; brought back, it gets what came since."""
    file, away = tmp_path / "a.sqlite", tmp_path / "away"
    place = f"sqlite:///{file}"
    with open_audit(place) as one, open_audit(place) as two:
        await emit(one, event(0), event(1))
        await two.emit(event(2))
        move(tmp_path, away, moved)
        await one.emit(event(3))
        await two.emit(event(4))
        assert [found.request_id for found in two.events()] == ["r3", "r4"]
        with open_audit(f"sqlite:///{away / file.name}") as other:
            assert [found.request_id for found in other.events()] == ["r0", "r1", "r2"]
        move(away, tmp_path, moved)
        await one.emit(event(5))
        assert [found.request_id for found in one.events()] == [f"r{n}" for n in range(6)]


def move(one: Path, other: Path, which: str) -> None:
    """Files of a folder into another."""
    other.mkdir(exist_ok=True)
    for file in list(one.glob(which)):
        file.rename(other / file.name)


async def test_an_event_behind_a_torn_line_is_on_a_line_of_its_own(tmp_path: Path) -> None:
    """A torn line doesn't swallow the event after it."""
    file = tmp_path / "a.jsonl"
    file.write_text(event(0).model_dump_json() + "\n" + '{"format":1,"at":"20', encoding="utf-8")
    with open_audit(f"jsonl:{file}") as log:
        await log.emit(event(1))
        assert [one.request_id for one in log.events()] == ["r0", "r1"]


async def test_a_rotated_file_is_followed(tmp_path: Path) -> None:
    """logrotate moves the file away; the next event makes a new one."""
    file = tmp_path / "a.jsonl"
    with open_audit(f"jsonl:{file}") as log:
        await log.emit(event(0))
        file.rename(tmp_path / "a.jsonl.1")
        await log.emit(event(1))
        assert [one.request_id for one in log.events()] == ["r1"]


def test_several_processes_write_one_file(tmp_path: Path) -> None:
    """Workers share a log; no line is torn."""
    place = f"jsonl:{tmp_path / 'a.jsonl'}"
    code = (
        "import asyncio, sys\n"
        "from guard.audit import open_audit\n"
        "from tests.guard.audit.test_logs import event\n"
        "async def main():\n"
        "    with open_audit(sys.argv[1]) as log:\n"
        "        for n in range(100): await log.emit(event(n, request_id=f'{sys.argv[2]}-{n}'))\n"
        "asyncio.run(main())\n"
    )
    workers = [
        subprocess.Popen(warm.python(code, place, w), cwd=Path(__file__).parents[3])
        for w in range(3)
    ]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    with open_audit(place) as log:
        assert len({one.request_id for one in log.events()}) == 300


def test_a_log_is_its_owners_alone(tmp_path: Path) -> None:
    """Others on the machine can't read what people wrote."""
    for place in (f"jsonl:{tmp_path / 'a.jsonl'}", f"sqlite:///{tmp_path / 'a.sqlite'}"):
        with open_audit(place):
            pass
    for file in ("a.jsonl", "a.sqlite"):
        assert stat.S_IMODE((tmp_path / file).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("jsonl:", "is no place"),
        ("mysql://u:secret@h/d", "--audit: is no place of a log .write jsonl:FILE, sqlite:///FILE"),
        ("sqlite://", "neither SQLite nor PostgreSQL"),
        ("sqlite:///:memory:", "--audit: would keep nothing .write sqlite:///FILE"),
        ("sqlite:///what?.sqlite", "--audit: would be the file what .write sqlite:///FILE without"),
        ("sqlite:///file:a?uri=true", "--audit: would be the file file:a "),
        ("events", "is no place of a log"),
        ("events:secret", "is no place of a log"),
        ("sqlite:events", "is no place of a log"),
        ("jsonl:/proc/none/a", "can't be written"),
        ("sqlite:////proc/none/a", "can't be opened"),
        ("postgresql://u:secret@127.0.0.1:1/d", "the database can't be used"),
    ],
)
def test_a_place_that_cant_be_opened_is_one_line_without_a_password(place: str, said: str) -> None:
    """What is wrong, and where."""
    with pytest.raises(InputError, match=said) as caught, open_audit(place):
        pass
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ("(id INTEGER PRIMARY KEY, at TEXT, body TEXT)", "it has no `request_id`"),
        ("({all}, who TEXT NOT NULL)", "its `who` takes no null"),
        ("({others}, at INTEGER)", "its `at` holds no text"),
        ("({others}, at INT8RANGE)", "its `at` holds no text"),
    ],
)
@pytest.mark.parametrize("place", ["sqlite", "postgresql"], indirect=True)
def test_a_table_of_somebody_elses_is_refused_at_the_start(
    place: str, table: str, why: str
) -> None:
    """Else no event would ever come into the database, and all would wait beside it."""
    names = ("request_id", "conversation", "side", "action", "status", "policy", "calibration")
    others = "id INTEGER PRIMARY KEY, body TEXT, " + ", ".join(f"{name} TEXT" for name in names)
    columns = table.format(all=f"{others}, at TEXT", others=others)
    made = f"CREATE TABLE flames_guard_event {columns}"
    _do(place, made)
    with pytest.raises(InputError) as caught, open_audit(place):
        pass
    assert caught.value.problem == f"its table flames_guard_event is none of ours: {why}"
    assert caught.value.mend == "name another database"


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
async def test_a_database_of_another_encoding_holds_chinese_or_is_refused(
    place: str, encoding: str
) -> None:
    """Debian makes SQL_ASCII where no language is set; what can't hold a text would hold up all."""
    name = encoding.lower()
    engine = create_engine(database_url(place), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        made = f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LOCALE 'C'"
        connection.exec_driver_sql(made)
    engine.dispose()
    other = make_url(place).set(database=name).render_as_string()
    if encoding == "LATIN1":
        with pytest.raises(InputError, match="encoding is LATIN1"):
            open_log(other)
        return
    with open_audit(other) as log:
        await log.emit(event(0, text="你好😀"))
        assert [one.text for one in log.events()] == ["你好😀"]


@pytest.mark.parametrize("place", ["sqlite", "postgresql"], indirect=True)
async def test_workers_that_start_at_once_with_a_new_database_all_start(place: str) -> None:
    """Another one makes the table just when this one has seen that there is none."""

    def faster(*_: object, **__: object) -> None:
        open_log(place).close()

    listen(Table.metadata, "before_create", faster, once=True)
    with open_audit(place) as log:
        await log.emit(event(0))
        assert [one.request_id for one in log.events()] == ["r0"]


async def test_a_table_with_columns_of_ones_own_is_used(place: str) -> None:
    """As an index or a note that somebody adds."""
    if place.startswith("jsonl"):
        place = place.replace("jsonl:", "sqlite:///")
    with open_audit(place) as log:
        await log.emit(event(0))
    _do(place, "ALTER TABLE flames_guard_event ADD COLUMN note TEXT")
    _do(place, "ALTER TABLE flames_guard_event ADD COLUMN seen INTEGER NOT NULL DEFAULT 0")
    with open_audit(place) as log:
        await log.emit(event(1))
        assert [one.request_id for one in log.events()] == ["r0", "r1"]


async def test_a_database_that_cant_be_asked_is_one_line(tmp_path: Path) -> None:
    """Held by another program, or with a table of somebody else's."""
    database = tmp_path / "a.sqlite"
    with open_audit(f"sqlite:///{database}") as log:
        await log.emit(event(0, conversation="secret"))
        log.forget(request_id="nobody")
        other = sqlite3.connect(database, isolation_level=None)
        other.execute("DROP TABLE flames_guard_event")
        other.execute("CREATE TABLE flames_guard_event (id INTEGER)")
        for ask in (lambda: list(log.events()), lambda: log.forget(conversation="secret")):
            with pytest.raises(
                InputError, match="the database can't be used: no such column"
            ) as it:
                ask()
            assert "secret" not in str(it.value)
        other.close()


async def test_who_reads_for_hours_lets_the_file_beside_be_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replay with an LLM does, while a server writes on: else that file would fill the disk."""
    monkeypatch.setattr("guard.audit.table.READ_AT_ONCE", 3)
    file = tmp_path / "a.sqlite"
    with open_audit(f"sqlite:///{file}") as log:
        await emit(log, *(event(n // 2, request_id=f"r{n}") for n in range(10)))
        found = log.events()
        read = [next(found).request_id]
        await log.emit(event(0, request_id="meanwhile"))
        other = sqlite3.connect(file, timeout=0)
        [(busy, *_)] = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        other.close()
        assert busy == 0
        read += [one.request_id for one in found]
    assert read == [f"r{n}" for n in range(10)]


async def test_an_event_that_cant_be_read_keeps_nobody_from_the_others(tmp_path: Path) -> None:
    """As in a file: a later release may have written it."""
    database = tmp_path / "a.sqlite"
    with open_audit(f"sqlite:///{database}") as log:
        await emit(log, *(event(n) for n in range(3)))
        other = sqlite3.connect(database, isolation_level=None)
        other.execute("UPDATE flames_guard_event SET body = '{}' WHERE request_id = 'r1'")
        other.close()
        assert [one.request_id for one in log.events()] == ["r0", "r2"]


class _Earlier(GuardEvent):
    """An event as it was written before there was a `cost_usd`."""

    def model_dump_json(self, **_: object) -> str:
        return super().model_dump_json(exclude={"cost_usd"})


async def test_a_log_of_an_earlier_release_is_read_and_goes_on(place: str) -> None:
    """What checks cost was not recorded then, so nobody knows."""
    with open_audit(place) as log:
        await emit(log, _Earlier(**dict(event(0))), event(1, cost_usd=0.25))
        assert [one.cost_usd for one in log.events()] == [None, 0.25]


def later(one: GuardEvent) -> str:
    """An event as a later release may write it."""
    return one.model_dump_json().replace('"format":1', '"format":1,"later":[1]')


class _Later(GuardEvent):
    """The same, of a log; one in a form of its own."""

    def model_dump_json(self, **_: object) -> str:
        plain = later(GuardEvent(**dict(self)))
        return plain.replace('"format":1', '"format":2') if self.request_id == "other" else plain


async def test_events_of_a_later_release_outlive_a_way_back(place: str) -> None:
    """What it tells more is passed over; that others are forgotten deletes none of them."""
    later = [_Later(**dict(event(n, request_id=name))) for n, name in enumerate(["r1", "r2"])]
    with open_audit(place) as log:
        await emit(log, event(5), *later, _Later(**dict(event(6, request_id="other"))))
        assert {one.request_id for one in log.events()} == {"r1", "r2", "r5"}
        assert log.forget(request_id="r5") == 1
        log.unread = 0
        assert [one.request_id for one in log.events()] == ["r1", "r2"]
        assert log.unread == 1
        assert log.forget(before=START + timedelta(days=100)) == 3


async def test_a_time_without_its_zone_keeps_nobody_from_forgetting(tmp_path: Path) -> None:
    """As somebody else's program may write it; nobody knows when that was."""
    file = tmp_path / "a.jsonl"
    with open_audit(f"jsonl:{file}") as log:
        await emit(log, event(0), event(9))
        own = file.read_text(encoding="utf-8").splitlines()[0]
        with file.open("a", encoding="utf-8") as lines:
            lines.write(own.replace("00:00:00Z", "00:00:00") + "\n")
        assert log.forget(before=START + timedelta(days=1)) == 1
        assert [one.request_id for one in log.events()] == ["r9"]
