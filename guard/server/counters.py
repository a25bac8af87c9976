"""What the workers of one server count together: the day's spend, and requests a minute."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path

from guard.engine.limits import Clock
from judge.errors import InputError

_TABLES = """
CREATE TABLE IF NOT EXISTS spend (day TEXT PRIMARY KEY, usd REAL NOT NULL);
CREATE TABLE IF NOT EXISTS hits (
    who TEXT NOT NULL, minute INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (who, minute)
);
"""
_OPENS_S = 2.0  # while other workers open it too
_WAIT_MS = 100  # for who else writes: the event loop waits with us, and workers take microseconds
_REST_S = 1.0  # until a file that somebody holds is tried again
MINUTE_S = 60


class Counters:
    """A small database of counters, in a file or in memory; it is a guard's purse as well.

    Threads may share it, as processes may share the file. While the file can't be written, as on a
    full disk or when somebody holds it, each process counts for itself; money is written later.

    Args:
        file: where it is kept, which several processes may share; None for memory.
        clock: seconds, monotonic.

    Raises:
        InputError: the file can't be used.
    """

    def __init__(self, file: Path | None = None, clock: Clock = time.monotonic) -> None:
        try:
            self._database = _opened(file)
        except (OSError, sqlite3.Error) as error:
            problem = f"can't be used: {getattr(error, 'strerror', None) or error}"
            mend = "move it away: spend and requests are then counted anew"
            raise InputError(problem, file=file, mend=mend) from None
        self._lock = threading.Lock()  # one thread's transaction is no place for another's money
        self._own: Counters | None = None  # counts this process's requests while the file can't
        self._unwritten: dict[str, float] = {}  # USD by day
        self._clock, self._rests_until = clock, -inf

    def spent(self, day: str) -> float:
        """USD spent on a day, `2026-01-31`."""
        asked = "SELECT usd FROM spend WHERE day = ?"
        with self._lock:
            row = self._database.execute(asked, (day,)).fetchone()
            return (float(row[0]) if row else 0.0) + self._unwritten.get(day, 0.0)

    def add(self, day: str, usd: float) -> None:
        """Count money as spent on a day."""
        with self._lock:
            self._unwritten[day] = self._unwritten.get(day, 0.0) + usd
            self._write()

    def admit(self, who: str, rpm: int, now: float) -> float:
        """Count a request of a caller's, unless the last minute has had its number.

        The last minute is estimated from two whole ones: all of this one, and of the one before
        the share that is less than a minute ago.

        Args:
            who: the caller.
            rpm: requests that a minute may have.
            now: seconds since 1970.

        Returns:
            0 when it is counted, else the seconds after which it may be tried again.
        """
        if not self._rests:
            try:
                return self._admitted(who, rpm, now)
            except sqlite3.OperationalError as error:
                self._rest(error)
        self._own = self._own or Counters()
        return self._own.admit(who, rpm, now)

    def _admitted(self, who: str, rpm: int, now: float) -> float:
        minute, second = divmod(now, MINUTE_S)
        with self._changing():
            before, current = self._hits(who, int(minute) - 1), self._hits(who, int(minute))
            share = 1 - second / MINUTE_S
            if before * share + current >= rpm:
                return _wait(before, current, rpm, second)
            self._database.execute("DELETE FROM hits WHERE minute < ?", (int(minute) - 1,))
            self._database.execute(
                "INSERT INTO hits VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET n = n + 1",
                (who, int(minute)),
            )
        return 0.0

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._rests_until = -inf
            self._write()
            self._database.close()
        if self._own is not None:
            self._own.close()

    @property
    def _rests(self) -> bool:
        return self._clock() < self._rests_until

    def _rest(self, error: sqlite3.Error) -> None:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:  # a full disk says so at once
            self._rests_until = self._clock() + _REST_S

    def _write(self) -> None:
        """Put the money that isn't written yet into the file, if it can be."""
        added = "INSERT INTO spend VALUES (?, ?) ON CONFLICT (day) DO UPDATE SET usd = usd + ?"
        try:
            for day, usd in () if self._rests else tuple(self._unwritten.items()):
                self._database.execute(added, (day, usd, usd))
                del self._unwritten[day]
        except sqlite3.Error as error:
            self._rest(error)

    def _hits(self, who: str, minute: int) -> int:
        asked = "SELECT n FROM hits WHERE who = ? AND minute = ?"
        row = self._database.execute(asked, (who, minute)).fetchone()
        return int(row[0]) if row else 0

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:  # also where a full disk let it not be kept
                    self._database.execute("ROLLBACK")
                raise


def _opened(file: Path | None) -> sqlite3.Connection:
    if file is not None:  # its owner's alone: it names callers
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    database = sqlite3.connect(
        ":memory:" if file is None else str(file),
        timeout=_OPENS_S,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")
        database.executescript(_TABLES)
        database.execute(f"PRAGMA busy_timeout={_WAIT_MS}")
    except BaseException:
        database.close()
        raise
    return database


def _wait(before: int, current: int, rpm: int, second: float) -> float:
    """Seconds until the estimate is below the limit, if nothing else comes."""
    if current < rpm:  # the share of the minute before has to shrink
        return max(1.0, (1 - (rpm - current) / before) * MINUTE_S - second)
    return MINUTE_S - second + max(1.0, (1 - rpm / current) * MINUTE_S)
