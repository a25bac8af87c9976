"""To read what was recorded takes the right to read, and nothing more."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from guard.audit import AuditLog, open_audit
from judge.database import database_url
from tests.cli.conftest import Flames, Ran, flames
from tests.databases import postgresql
from tests.guard.audit.test_logs import event
from tests.ordinary_user import ordinary_rights

__all__ = ["flames", "postgresql"]

POLICY = "version: 1\nrules: [{evidence: pii, action: block}]\n"
COMMANDS = (("drift", "--baseline", "20"), ("exposure",), ("replay", "--policy", "POLICY"))
EVENTS = [event(n, conversation=f"c{n}", text="好", prompt="问") for n in range(30)]


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """All of the folder may be read, and none of it written, as of another user's."""
    modes = {one: one.stat().st_mode for one in (*folder.iterdir(), folder)}
    for one in folder.iterdir():
        one.chmod(0o400)
    folder.chmod(0o500)
    try:
        with ordinary_rights():
            yield
    finally:
        for one, mode in modes.items():
            one.chmod(mode)


@pytest.fixture
def read(flames: Flames, tmp_path: Path) -> Callable[[str], list[Ran]]:
    """What the commands tell of a log."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY, encoding="utf-8")

    def told(place: str) -> list[Ran]:
        commands = [[str(policy) if w == "POLICY" else w for w in one] for one in COMMANDS]
        return [flames("guard", *one, "--audit", place) for one in commands]

    return told


@pytest.mark.parametrize("served", [False, True])
@pytest.mark.parametrize("kind", ["jsonl:", "sqlite:///"])
def test_a_log_that_may_only_be_read_is_read(
    read: Callable[[str], list[Ran]], tmp_path: Path, kind: str, served: bool
) -> None:
    """Also while its server goes on with it; and nothing is left beside it."""
    folder = tmp_path / "log"
    place = f"{kind}{folder / 'events'}"

    async def fill(log: AuditLog) -> None:
        await asyncio.gather(*(log.emit(one) for one in EVENTS))

    with open_audit(place) as log:
        asyncio.run(fill(log))
    with open_audit(place) if served else nullcontext():
        expected = read(place)
        before = sorted(folder.iterdir())
        with read_only(folder):
            found = read(place)
        assert sorted(folder.iterdir()) == before
    assert [one.status for one in found] == [0, 0, 0]
    assert found == expected


@pytest.mark.parametrize("kind", ["jsonl:", "sqlite:///"])
def test_what_may_only_be_read_is_not_forgotten(flames: Flames, tmp_path: Path, kind: str) -> None:
    """One clear line, and all is still there."""
    folder = tmp_path / "log"
    place = f"{kind}{folder / 'events'}"
    with open_audit(place) as log:
        asyncio.run(log.emit(EVENTS[0]))
    with read_only(folder):
        done = flames("guard", "forget", "--audit", place, "--request", "r0")
    assert (done.status, done.err.count("\n"), done.out) == (2, 1, "")
    with open_audit(place) as log:
        assert list(log.events()) == EVENTS[:1]


def test_a_log_that_others_lock_is_not_read(
    flames: Flames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they write just now would be read half; nor is a right said to be missing."""
    monkeypatch.setattr("guard.audit.database.OPEN_WAIT_S", 0)
    file = tmp_path / "events"
    with open_audit(f"sqlite:///{file}") as log:
        asyncio.run(log.emit(EVENTS[0]))
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("PRAGMA journal_mode=DELETE")
    other.execute("BEGIN EXCLUSIVE")
    for command in (("exposure",), ("forget", "--request", "r0")):
        done = flames("guard", *command, "--audit", f"sqlite:///{file}")
        assert (done.status, done.out) == (2, "")
        assert "database is locked" in done.err
    other.close()


def test_a_log_that_may_not_be_read_is_told(flames: Flames, tmp_path: Path) -> None:
    """By its name."""
    file = tmp_path / "events.jsonl"
    with open_audit(f"jsonl:{file}"):
        file.chmod(0)
        with ordinary_rights():
            done = flames("guard", "exposure", "--audit", f"jsonl:{file}")
    assert (done.status, done.err) == (
        2,
        f"flames-judge: {file}: can't be read: Permission denied\n",
    )


def test_what_waits_and_can_t_be_moved_in_is_told(
    flames: Flames, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is in no figure."""
    folder = tmp_path / "log"
    place = f"sqlite:///{folder / 'events'}"
    with open_audit(place) as log:
        asyncio.run(log.emit(EVENTS[0]))
    waiting = folder / "events.waiting.jsonl"
    waiting.write_text(EVENTS[1].model_dump_json() + "\n", encoding="utf-8")
    with read_only(folder):
        done = flames("guard", "exposure", "--audit", place)
    assert done.status == 0
    [said] = caplog.messages
    assert said == f"{waiting}: what waits there can't be moved into the database now"
    again = flames("guard", "exposure", "--audit", place, "--json")
    assert again.json["policies"]["p" * 16]["all"]["streams"] == 2
    assert caplog.messages == [said]


@pytest.fixture
def roles(postgresql: Callable[[str], str]) -> Callable[[str, str], str]:
    """A database with a log, as a role reaches it that may do this with its table."""

    def reached(name: str, *granted: str) -> str:
        place = postgresql(name)
        with open_audit(place) as log:
            asyncio.run(log.emit(EVENTS[0]))
        engine = create_engine(database_url(place, "--audit"))
        with engine.begin() as connection:
            for statement in (f"CREATE ROLE {name} LOGIN", *granted):
                connection.exec_driver_sql(statement.format(role=name))
        engine.dispose()
        return place.replace("flames@", f"{name}@")

    return reached


READ = "GRANT SELECT ON flames_guard_event TO {role}"
WRITE = "GRANT INSERT ON flames_guard_event TO {role}"
NUMBER = "GRANT USAGE ON SEQUENCE flames_guard_event_id_seq TO {role}"
STILL = "ALTER ROLE {role} SET default_transaction_read_only = on"


@pytest.mark.parametrize(
    ("name", "granted", "why"),
    [
        ("reads", (READ,), "permission denied for table flames_guard_event"),
        ("writes", (WRITE, NUMBER), "permission denied for table flames_guard_event"),
        ("numberless", (READ, WRITE), "permission denied for sequence flames_guard_event_id_seq"),
        ("still", (READ, WRITE, NUMBER, STILL), "cannot execute INSERT in a read-only transaction"),
    ],
)
def test_a_role_that_may_not_record_is_refused_at_the_start(
    flames: Flames,
    tmp_path: Path,
    roles: Callable[..., str],
    name: str,
    granted: Sequence[str],
    why: str,
) -> None:
    """Else only a line of the log would say that all events wait beside the database."""
    place, policy = roles(name, *granted), tmp_path / "policy.yaml"
    policy.write_text(POLICY, encoding="utf-8")
    serve = ("serve", "--upstream", "http://127.0.0.1:9/v1", "--policy", policy, "--port", 0)
    done = flames(*serve, "--audit", place)
    assert (done.status, done.err.count("\n"), done.out) == (2, 1, "")
    assert done.err.startswith(f"flames-judge: --audit: can't record events: {why} (grant")
    if READ in granted:
        assert flames("guard", "exposure", "--audit", place).status == 0


def test_a_role_that_may_read_and_record_is_enough(roles: Callable[..., str]) -> None:
    """The trial at the start leaves nothing."""
    place = roles("enough", READ, WRITE, NUMBER)
    with open_audit(place) as log:
        asyncio.run(log.emit(EVENTS[1]))
    with open_audit(place) as log:
        assert list(log.events()) == EVENTS[:2]


def test_a_table_that_is_locked_at_the_start_is_waited_for(
    roles: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """That passes: it is no reason to stay away, and events wait."""
    monkeypatch.setattr("guard.audit.database.OPEN_WAIT_S", 1)
    place = roles("patient", READ, WRITE, NUMBER)
    engine = create_engine(database_url(place.replace("patient@", "flames@"), "--audit"))
    with engine.begin() as connection:
        connection.exec_driver_sql("LOCK TABLE flames_guard_event IN SHARE MODE")
        with open_audit(place):
            pass
    engine.dispose()
    with open_audit(place) as log:
        assert list(log.events()) == EVENTS[:1]
