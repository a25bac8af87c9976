"""Events in a database: SQLite, or PostgreSQL. One thread writes, many events a transaction.

While the database is gone or full, events wait in a file beside; they are moved in when it is back,
also by a later process.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import queue
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import platformdirs
from pydantic import ValidationError
from sqlalchemy import URL, Engine, create_engine, delete, event, insert, or_, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from guard.audit.spill import Spill
from guard.event import GuardEvent
from judge.database import database_url, is_sqlite
from judge.errors import InputError

MOST_AT_ONCE = 500
OPEN_WAIT_S = 5
_PATIENCE = text(
    "SELECT set_config('lock_timeout', :wait, true), set_config('statement_timeout', :wait, true)"
)
_log = logging.getLogger("flames_judge.audit")


class _Table(DeclarativeBase):
    pass


class _Event(_Table):
    __tablename__ = "flames_guard_event"
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[str] = mapped_column(index=True)
    request_id: Mapped[str] = mapped_column(index=True)
    conversation: Mapped[str] = mapped_column(index=True)
    side: Mapped[str]
    action: Mapped[str] = mapped_column(index=True)
    status: Mapped[str]
    policy: Mapped[str]
    calibration: Mapped[str | None]
    body: Mapped[str]


class _Waiting(NamedTuple):
    event: GuardEvent
    done: Future[None]


class SqlLog:
    """Events in a database. Use `connect`."""

    def __init__(self, engine: Engine, spill: Path) -> None:
        self._engine, self._spill, self._away = engine, Spill(spill), False
        self.unread = 0
        self._file = Path(engine.url.database or "") if is_sqlite(engine.url) else None
        self._inode = None if self._file is None else self._file.stat().st_ino
        self._move_in()
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="audit", daemon=True)
        self._thread.start()

    @classmethod
    def connect(cls, place: str, spill: Path | None = None) -> SqlLog:
        """Open a database and make its table if needed.

        Args:
            place: a URL of SQLite or PostgreSQL.
            spill: where events wait while it can't be written; beside an SQLite file, else in
                the user's folder for such things.

        Raises:
            InputError: it can't be opened. Never shows a password.
        """
        url = database_url(place, "--audit")
        try:
            with _telling():
                engine = _engine(url)
                _Table.metadata.create_all(engine)
        except OSError as error:
            raise InputError(f"can't be opened: {error.strerror}", file=url.database) from None
        except ImportError:
            mend = "pip install 'flames-judge[postgres]'"
            raise InputError("PostgreSQL needs psycopg", file="--audit", mend=mend) from None
        return cls(engine, spill or _spill_of(url))

    async def emit(self, event: GuardEvent) -> None:
        """Record one event; it is in the database, or in the file beside, when this returns.

        Raises:
            OSError: neither can be written.
        """
        waiting = _Waiting(event, Future())
        self._queue.put(waiting)
        await asyncio.wrap_future(waiting.done)

    def events(self) -> Iterator[GuardEvent]:
        """Every event in the database that can be read.

        Raises:
            InputError: the database can't be read.
        """
        with _telling(), Session(self._engine) as session:
            asked = select(_Event.body).order_by(_Event.at, _Event.id)  # some came in later
            for body in session.scalars(asked.execution_options(yield_per=1000)):
                try:
                    yield GuardEvent.model_validate_json(body)
                except ValidationError:  # as of a file: what is none is passed over
                    self.unread += 1

    def forget(
        self,
        *,
        before: datetime | None = None,
        request_id: str | None = None,
        conversation: str | None = None,
    ) -> int:
        """Delete events that are older, of a request, or of a conversation; gives their number.

        Raises:
            InputError: the database can't be written.
        """
        named = [
            None if before is None else _Event.at < _time(before),
            None if request_id is None else _Event.request_id == request_id,
            None if conversation is None else _Event.conversation == conversation,
        ]
        wanted = [one for one in named if one is not None]
        if not wanted:
            return 0
        with _telling(), Session(self._engine) as session, session.begin():
            gone = session.execute(delete(_Event).where(or_(*wanted)).returning(_Event.id)).all()
        if gone and self._file is not None:
            self._empty_wal()
        return len(gone)

    def close(self) -> None:
        """Write what is waiting, and disconnect."""
        self._queue.put(None)
        self._thread.join()
        self._engine.dispose()

    def _empty_wal(self) -> None:
        """SQLite's file beside still holds what was written to the one: what is deleted, too."""
        with _telling(), self._engine.connect() as connection:
            [busy, *_] = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        if busy:
            _log.warning("deleted, but %s-wal is in use and may hold texts a while", self._file)

    def _write(self) -> None:
        """The writing thread: what waits is written together."""
        ended = False
        while not ended:
            batch: list[_Waiting] = []
            one = self._queue.get()
            while one is not None:
                batch.append(one)
                if len(batch) >= MOST_AT_ONCE or self._queue.empty():
                    break
                one = self._queue.get()
            ended = one is None
            if batch:
                self._settle(batch)

    def _settle(self, batch: Sequence[_Waiting]) -> None:
        try:
            self._save([one.event for one in batch])
        except (OSError, InputError) as error:
            for one in batch:
                one.done.set_exception(OSError(str(error)))
        else:
            for one in batch:
                one.done.set_result(None)

    def _save(self, events: Sequence[GuardEvent]) -> None:
        """Into the database, and then what waits in the file too; or into the file."""
        try:
            self._follow()
            with self._writing() as session:
                session.execute(insert(_Event), [_row(one) for one in events])
        except (SQLAlchemyError, OSError):
            self._spill.add(events)
            if not self._away:
                _log.error("the database can't be written: events wait in %s", self._spill.file)
            self._away = True
        else:
            self._away = False
            self._move_in()

    def _follow(self) -> None:
        """The file may have been replaced, or taken away: what is open then leads nowhere.

        Raises:
            OSError: it is gone.
        """
        if self._file is None or (inode := self._file.stat().st_ino) == self._inode:
            return
        self._engine.dispose()
        _Table.metadata.create_all(self._engine)
        self._inode = inode

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        """A transaction that no table's lock holds up for long: events can wait, callers can't."""
        with Session(self._engine) as session, session.begin():
            if self._file is None:
                session.execute(_PATIENCE, {"wait": f"{OPEN_WAIT_S}s"})
            yield session

    def _move_in(self) -> None:
        """Move what waits into the database; what can't be moved goes on waiting."""
        with suppress(SQLAlchemyError, OSError):
            if self._spill.waits:
                with self._spill.taken() as waiting, self._writing() as session:
                    for some in waiting:
                        _insert_new(session, some)


@contextmanager
def _telling() -> Iterator[None]:
    """What the database says is one line of ours; never a statement with its values.

    Raises:
        InputError: in place of its error.
    """
    try:
        yield
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", error)).strip().split("\n")[0]
        raise InputError(f"the database can't be used: {cause}", file="--audit") from None


def _engine(url: URL) -> Engine:
    if not is_sqlite(url):
        patience = {"connect_timeout": OPEN_WAIT_S, "tcp_user_timeout": 1000 * OPEN_WAIT_S}
        return create_engine(url, pool_pre_ping=True, connect_args=patience)
    file = Path(url.database or "")
    file.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    engine = create_engine(url, connect_args={"timeout": OPEN_WAIT_S})

    @event.listens_for(engine, "connect")
    def _connected(connection: object, _: object) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA secure_delete=ON")  # what is forgotten is overwritten
        cursor.close()

    return engine


def _spill_of(url: URL) -> Path:
    """The same for every process; a folder for all users would let others read and write it."""
    if is_sqlite(url):
        file = Path(url.database or "")
        return file.with_name(f"{file.name}.waiting.jsonl")
    place = hashlib.sha256(url.set(password=None).render_as_string().encode()).hexdigest()[:16]
    return platformdirs.user_state_path("flames-judge", appauthor=False) / f"audit-{place}.jsonl"


def _insert_new(session: Session, events: Sequence[GuardEvent]) -> None:
    """Insert events that are not there: a process may have died before they waited no longer."""
    ids = {one.request_id for one in events}
    known = set(session.scalars(select(_Event.body).where(_Event.request_id.in_(ids))))
    rows = [row for one in events if (row := _row(one))["body"] not in known]
    if rows:
        session.execute(insert(_Event), rows)


def _row(one: GuardEvent) -> dict[str, str | None]:
    return {
        "at": _time(one.at),
        "request_id": one.request_id,
        "conversation": one.conversation,
        "side": one.side,
        "action": one.action,
        "status": one.status,
        "policy": one.policy,
        "calibration": one.calibration,
        "body": one.model_dump_json(),
    }


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")
