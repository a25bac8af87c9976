"""Events in a database: SQLite, or PostgreSQL. One thread writes, many events a transaction.

While the database is gone or full, events go into a file beside; they are moved in when it is back.
"""

from __future__ import annotations

import asyncio
import os
import queue
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError
from sqlalchemy import URL, Engine, create_engine, delete, event, insert, or_, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from guard.audit.lines import LineFile
from guard.event import GuardEvent
from judge.database import database_url, is_sqlite
from judge.errors import InputError

MOST_AT_ONCE = 500
OPEN_WAIT_S = 5


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
        self._engine, self._spill = engine, spill
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="audit", daemon=True)
        self._thread.start()

    @classmethod
    def connect(cls, place: str, spill: Path | None = None) -> SqlLog:
        """Open a database and make its table if needed.

        Args:
            place: a URL of SQLite or PostgreSQL.
            spill: where events go while it can't be written; beside an SQLite file, else in the
                folder for temporary files.

        Raises:
            InputError: it can't be opened. Never shows a password.
        """
        url = database_url(place, "--audit")
        try:
            engine = _engine(url)
            _Table.metadata.create_all(engine)
        except SQLAlchemyError as error:
            cause = str(getattr(error, "orig", error)).strip().split("\n")[0]
            raise InputError(f"the database can't be used: {cause}", file="--audit") from None
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
        """Every event in the database."""
        with Session(self._engine) as session:
            asked = select(_Event.body).order_by(_Event.id)
            for body in session.scalars(asked.execution_options(yield_per=1000)):
                yield GuardEvent.model_validate_json(body)

    def forget(
        self,
        *,
        before: datetime | None = None,
        request_id: str | None = None,
        conversation: str | None = None,
    ) -> int:
        """Delete events that are older, of a request, or of a conversation; gives their number."""
        named = [
            None if before is None else _Event.at < _time(before),
            None if request_id is None else _Event.request_id == request_id,
            None if conversation is None else _Event.conversation == conversation,
        ]
        wanted = [one for one in named if one is not None]
        if not wanted:
            return 0
        with Session(self._engine) as session, session.begin():
            gone = session.execute(delete(_Event).where(or_(*wanted)).returning(_Event.id)).all()
        return len(gone)

    def close(self) -> None:
        """Write what is waiting, and disconnect."""
        self._queue.put(None)
        self._thread.join()
        self._engine.dispose()

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
        """Into the database, with what waits in the file; or into the file."""
        spilled = self._spilled()
        try:
            with Session(self._engine) as session, session.begin():
                session.execute(insert(_Event), [_row(one) for one in (*spilled, *events)])
        except SQLAlchemyError:
            lines = LineFile(self._spill)
            try:
                for one in events:
                    lines.append(one.model_dump_json())
            finally:
                lines.close()
        else:
            if spilled:
                self._spill.unlink(missing_ok=True)

    def _spilled(self) -> list[GuardEvent]:
        if not self._spill.exists():
            return []
        found = []
        # not `splitlines`: a text that is recorded may hold U+2028, and what looks like an event
        for line in self._spill.read_bytes().split(b"\n"):
            with suppress(ValidationError):  # a torn line is none
                found.append(GuardEvent.model_validate_json(line))
        return found


def _engine(url: URL) -> Engine:
    if not is_sqlite(url):
        return create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": OPEN_WAIT_S})
    file = Path(url.database or "")
    file.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    engine = create_engine(url, connect_args={"timeout": OPEN_WAIT_S})

    @event.listens_for(engine, "connect")
    def _connected(connection: object, _: object) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()

    return engine


def _spill_of(url: URL) -> Path:
    name = f"flames-audit-{os.getpid()}.jsonl"
    if is_sqlite(url):
        file = Path(url.database or "")
        return file.with_name(f"{file.name}.{name}")
    return Path(tempfile.gettempdir()) / name


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
