"""How a database of events is reached: SQLite or PostgreSQL, each wait for it bounded."""

from __future__ import annotations

import hashlib
import logging
import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import URL, Engine, TextClause, create_engine, event, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from guard.audit.patience import answers_within, bound
from guard.audit.table import add, make, misfit
from guard.event import Filed
from judge.database import is_sqlite
from judge.errors import InputError

OPEN_WAIT_S = 5
ANSWER_WAIT_S = OPEN_WAIT_S + 1  # the server's own patience ends first, if it is alive
YOUNG_S = 60.0
UNICODE = {"UTF8", "SQL_ASCII"}  # the other one takes any bytes as they are
# A server that was given up may yet do what it was asked: who writes shares a lock till the end.
_PATIENCE = (
    "SELECT set_config('lock_timeout', :wait, true), set_config('statement_timeout', :wait, true), "
    "set_config('idle_in_transaction_session_timeout', :wait, true), "
)
_TOGETHER = text(f"{_PATIENCE} pg_advisory_xact_lock_shared(:place)")
_ALONE = text(f"{_PATIENCE} pg_advisory_xact_lock(:place)")
_TRIAL = Filed(
    at=datetime.fromtimestamp(0, UTC), request_id="flames-judge trial", side="", action="",
    status="", policy="", calibration=None, conversation="",
).model_dump_json()  # fmt: skip
_log = logging.getLogger("flames_judge.audit")


class Database:
    """A database of events; makes its table if needed.

    Args:
        url: of SQLite or PostgreSQL.
        writers: a name of those who must not write an event twice: they share it.
        read_only: it is an SQLite file that is there, and nothing beside it is written either.

    Raises:
        InputError: it can't be used. Never shows a password.
        OSError: the file can't be made.
        ImportError: psycopg is missing.
    """

    def __init__(self, url: URL, writers: str, *, read_only: bool = False) -> None:
        digest = hashlib.sha256(writers.encode("utf-8", "surrogateescape")).digest()
        self._writers = int.from_bytes(digest[:8], "big", signed=True)
        self._ended = threading.Event()
        self._file = Path(url.database or "") if is_sqlite(url) else None
        self._made = -math.inf
        self.read_only = read_only
        if self._file is None:
            self.engine, self._inode = _postgresql(url, self._ended), None
        elif read_only:
            self.engine, self._inode = _sqlite_to_read(self._file), self._file.stat().st_ino
        else:
            self.engine, self._inode = _sqlite(url), _make(self._file)
        self._known = {self._inode}
        try:
            with telling(), answers_within(ANSWER_WAIT_S):
                self._begin()
        except InputError:
            self.close()
            raise

    def _begin(self) -> None:
        """Make the table, or see that the one that is there can hold events.

        Raises:
            InputError: it can't.
        """
        place = self._file or "--audit"
        if self._file is None:
            with self.engine.connect() as connection:
                encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
            if encoding not in UNICODE:
                problem = f"can't hold every text: the database's encoding is {encoding}"
                raise InputError(problem, file=place, mend="make one with `createdb -E UTF8`")
        if not self.read_only:
            make(self.engine)
        if why := misfit(self.engine):
            problem = f"its table flames_guard_event is none of ours: {why}"
            raise InputError(problem, file=place, mend="name another database")

    def try_writing(self) -> None:
        """See that events can be recorded: what a role may do, a server says when it is done.

        Raises:
            InputError: they never can; what passes, as a lock or a full disk, they wait for.
        """
        if self._file is not None:
            return
        try:
            with self.writing() as session, session.begin_nested() as trial:
                add(session, [_TRIAL], new=True)
                trial.rollback()
        except OperationalError:
            return
        except SQLAlchemyError as error:
            mend = "grant the role SELECT and INSERT there, and USAGE of the table's sequence"
            raise InputError(
                f"can't record events: {_cause(error)}", file="--audit", mend=mend
            ) from None

    def close(self) -> None:
        """Disconnect; what another thread still asks fails at once, if the server hangs."""
        self._ended.set()
        self.engine.dispose()

    def pause(self, seconds: float) -> bool:
        """Leave it to others a while; whether it was closed meanwhile."""
        return self._ended.wait(seconds)

    @contextmanager
    def asking(self) -> Iterator[Session]:
        """A transaction that may take its time.

        Raises:
            InputError: the database can't be used.
        """
        with telling(), Session(self.engine) as session, session.begin():
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction that nothing holds up for long: events can wait, callers can't.

        Raises:
            SQLAlchemyError: it failed; or the server was given up, and may yet do it.
        """
        with self._patient(_TOGETHER) as session:
            yield session

    def settle(self) -> None:
        """Wait until all that servers were given up with is done, or never will be.

        Raises:
            SQLAlchemyError: it takes too long.
        """
        with self._patient(_ALONE):
            pass

    @contextmanager
    def _patient(self, lock: TextClause) -> Iterator[Session]:
        with answers_within(ANSWER_WAIT_S), Session(self.engine) as session, session.begin():
            if self._file is None:
                session.execute(lock, {"wait": f"{OPEN_WAIT_S}s", "place": self._writers})
            yield session

    @property
    def is_young(self) -> bool:
        """Whether the file is new since a moment; the one before may be brought back over it."""
        return time.monotonic() - self._made < YOUNG_S

    def follow(self, making: AbstractContextManager[None]) -> None:
        """The file may have been replaced, or taken away: what is open then leads nowhere.

        Args:
            making: held by whoever makes it anew.

        Raises:
            SQLAlchemyError: it can't be used.
            OSError: it can't be made.
        """
        if self._file is None:
            return
        try:
            inode = self._file.stat().st_ino
        except OSError:
            with making:
                inode = _make_anew(self._file)
            self._inode = None
            self._known.discard(inode)
        if inode != self._inode:
            self._let_go()
            make(self.engine)
            self._inode = inode
            self._made = -math.inf if inode in self._known else time.monotonic()
            self._known.add(inode)

    def _let_go(self) -> None:
        """A file that was moved away alone gets what is still in the one that was beside it."""
        with suppress(SQLAlchemyError), self.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        self.engine.dispose()

    def empty_wal(self) -> None:
        """SQLite's file beside still holds what was written to the one: what is deleted, too.

        Raises:
            InputError: the database can't be used.
        """
        if self._file is None:
            return
        with telling(), self.engine.connect() as connection:
            [busy, *_] = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        if busy:
            _log.warning("deleted, but %s-wal is in use and may hold texts a while", self._file)


@contextmanager
def telling() -> Iterator[None]:
    """What the database says is one line of ours; never a statement with its values.

    Raises:
        InputError: in place of its error.
    """
    try:
        yield
    except SQLAlchemyError as error:
        problem = f"the database can't be used: {_cause(error)}"
        raise InputError(problem, file="--audit") from None


def _cause(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", error)).strip().split("\n")[0]


def _postgresql(url: URL, ended: threading.Event) -> Engine:
    options = {
        "client_encoding": "UTF8",
        "connect_timeout": OPEN_WAIT_S,
        "tcp_user_timeout": 1000 * OPEN_WAIT_S,
    }
    engine = create_engine(url, pool_pre_ping=True, connect_args=options)
    bound(engine, ended)
    return engine


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": OPEN_WAIT_S})

    @event.listens_for(engine, "connect")
    def _connected(connection: object, _: object) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA secure_delete=ON")  # what is forgotten is overwritten
        cursor.close()

    return engine


def _sqlite_to_read(file: Path) -> Engine:
    """Without a right to write beside the file, where SQLite keeps what its readers share.

    It needs none where nobody has the file open: then there is no -wal with something in it.
    """
    wal = file.with_name(f"{file.name}-wal")
    used = wal.exists() and wal.stat().st_size > 0
    query = {"uri": "true", **({"mode": "ro"} if used else {"immutable": "1"})}
    url = URL.create("sqlite", database=file.absolute().as_uri(), query=query)
    return create_engine(url, connect_args={"timeout": OPEN_WAIT_S})


def _make(file: Path) -> int:
    """Make an SQLite file that only its owner can read, if it isn't there; gives its inode."""
    file.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    return file.stat().st_ino


def _make_anew(file: Path) -> int:
    """The same where a file is gone, and may have left what belongs to it alone."""
    if not file.exists():
        for beside in ("-wal", "-shm"):
            file.with_name(file.name + beside).unlink(missing_ok=True)
    return _make(file)
