"""Events in a database: SQLite, or PostgreSQL.

While the database is gone, full or silent, events wait in a file beside; they are moved in when it
is back, also by a later process.
"""

from __future__ import annotations

import logging
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from guard.audit.database import Database
from guard.audit.spill import Spill, waiting_file
from guard.audit.table import add, beginning, bodies, take_out
from guard.audit.writer import Writer
from guard.event import GuardEvent
from judge.database import database_url, is_sqlite
from judge.errors import InputError

LONG_S = 1.0
REST_S = 30.0
_log = logging.getLogger("flames_judge.audit")


class SqlEvents:
    """The events of a database. Use `connect`."""

    def __init__(self, database: Database, spill: Spill) -> None:
        self._database, self._spill, self.unread = database, spill, 0
        self._move_in = _Attempts(self._move_some_in)
        if not database.read_only:
            self._move_all_in()
        if spill.waits:
            _log.warning("%s: what waits there can't be moved into the database now", spill.file)

    @classmethod
    def connect(cls, place: str) -> SqlEvents:
        """Open a database that is there; to read it takes no right to write.

        Args:
            place: a URL of SQLite or PostgreSQL.

        Raises:
            InputError: it can't be opened. Never shows a password.
        """
        url = database_url(place, "--audit")
        spill = Spill(waiting_file(url))
        try:
            return cls(_opened(url, spill), spill)
        except InputError:
            if not is_sqlite(url) or _may_be_written(Path(url.database or "")):
                raise  # as where it is locked
        return cls(_opened(url, spill, read_only=True), spill)

    def events(self) -> Iterator[GuardEvent]:
        """Every event that is in the database by now and can be read.

        Who takes hours over them holds no transaction so long.

        Raises:
            InputError: the database can't be read.
        """
        with self._database.asking() as session:
            place = beginning(session)
        while True:
            with self._database.asking() as session:
                some, place = bodies(session, place)
            if not some:
                return
            for body in some:
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

        Some at a time: a long transaction would keep all others from SQLite. Ends with the log.

        Raises:
            InputError: the database can't be written.
        """
        gone, start = 0, time.monotonic()
        while some := self._take_some_out(before, request_id, conversation):
            gone += some
            if self._database.pause(time.monotonic() - start):  # as long: others get in between
                return gone
            start = time.monotonic()
        if gone:
            self._database.empty_wal()
        return gone

    def _take_some_out(
        self, before: datetime | None, request_id: str | None, conversation: str | None
    ) -> int:
        with self._database.asking() as session:
            return take_out(session, before, request_id, conversation)

    def close(self) -> None:
        """Disconnect."""
        self._database.close()

    def _move_all_in(self) -> None:
        """Move what waits into the database; what can't be moved goes on waiting."""
        while self._spill.waits and self._move_in():
            pass

    def _move_some_in(self) -> None:
        if not self._spill.waits:
            return
        with self._spill.taken() as waiting:
            self._database.settle()
            with self._database.writing() as session:
                add(session, waiting, new=True)


class SqlLog(SqlEvents):
    """Events in a database, and those that come. Use `connect`."""

    def __init__(
        self, database: Database, spill: Spill, waits: Callable[[int], None] = lambda _: None
    ) -> None:
        self._away, self._insert = False, _Attempts(self._insert_all)
        super().__init__(database, spill)
        self._writer = Writer(self._save, spill.file, waits)

    @classmethod
    def connect(
        cls,
        place: str,
        spill: Path | None = None,
        waits: Callable[[int], None] = lambda _: None,
    ) -> SqlLog:
        """Open a database to record in, and make its table if needed.

        Args:
            place: a URL of SQLite or PostgreSQL.
            spill: where events wait while it can't be written; beside an SQLite file, else in
                the user's folder for such things.
            waits: as of `open_log`.

        Raises:
            InputError: it can't be opened, or takes no events. Never shows a password.
        """
        url = database_url(place, "--audit")
        waiting = Spill(spill or waiting_file(url))
        database = _opened(url, waiting)
        try:
            database.try_writing()
        except InputError:
            database.close()
            raise
        return cls(database, waiting, waits)

    async def emit(self, event: GuardEvent) -> None:
        """Record one event; when this returns, it is in the database, the file beside, or memory.

        Raises:
            OSError: none can take it.
        """
        await self._writer.emit(event.model_dump_json())

    def close(self) -> None:
        """Write what is waiting, and disconnect."""
        self._writer.close()
        super().close()

    def _save(self, lines: Sequence[str]) -> None:
        """Into the database, and then some of what waits in the file too; or into the file.

        What a young database gets goes on waiting, too: then that file is moved in, none is lost.
        """
        if self._insert(lines):
            self._away = False
            if self._database.is_young:
                with suppress(InputError):
                    self._spill.add(lines)
            else:
                self._move_in()
            return
        if not self._away:
            _log.error("the database can't be written: events wait in %s", self._spill.file)
        self._away = True
        self._spill.add(lines)

    def _insert_all(self, lines: Sequence[str]) -> None:
        self._database.follow(self._spill.locked())
        if self._away:
            self._database.settle()
        with self._database.writing() as session:
            add(session, lines, new=self._away)


def _may_be_written(file: Path) -> bool:
    """Whether an SQLite file, and what stands beside it, may be."""
    files = (file.parent, file, *(file.with_name(file.name + more) for more in ("-wal", "-shm")))
    own = os.access in os.supports_effective_ids
    return all(os.access(one, os.W_OK, effective_ids=own) for one in files if one.exists())


def _opened(url: URL, spill: Spill, *, read_only: bool = False) -> Database:
    """A database of events.

    Raises:
        InputError: it can't be opened.
    """
    writers = f"{platform.node()} {spill.file.absolute()}"
    try:
        return Database(url, writers, read_only=read_only)
    except OSError as error:
        raise InputError(f"can't be opened: {error.strerror}", file=url.database) from None
    except ImportError:
        mend = "pip install 'flames-judge[postgres]'"
        raise InputError("PostgreSQL needs psycopg", file="--audit", mend=mend) from None


class _Attempts:
    """Does something; where that takes long and fails, everybody is spared it for a while."""

    def __init__(self, do: Callable[..., None]) -> None:
        self._do, self._rests_until = do, 0.0

    def __call__(self, *arguments: object) -> bool:
        """Whether it was done."""
        start = time.monotonic()
        if start < self._rests_until:
            return False
        try:
            self._do(*arguments)
        except (SQLAlchemyError, OSError):
            now = time.monotonic()
            if now - start > LONG_S:
                self._rests_until = now + REST_S
            return False
        return True
