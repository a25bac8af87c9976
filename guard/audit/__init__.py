"""Where decisions are recorded: a file of JSON lines, or a database.

jsonl:FILE            one event a line; several processes may share it
sqlite:///FILE        SQLite
postgresql://...      PostgreSQL, for several machines
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from guard.event import AuditSink, GuardEvent
from judge.errors import InputError

DATABASES = {"sqlite", "postgresql", "postgres"}


class Recorded(Protocol):
    """Events that were recorded: they can be read, which takes no right to write, and forgotten.

    Attributes:
        unread: what `events` has passed over so far, since it is no event.
    """

    unread: int

    def events(self) -> Iterator[GuardEvent]:
        """Every recorded event, in its order."""

    def forget(
        self,
        *,
        before: datetime | None = None,
        request_id: str | None = None,
        conversation: str | None = None,
    ) -> int:
        """Delete events that are older, of a request, or of a conversation; gives their number."""

    def close(self) -> None:
        """Write what is waiting, and let go of files and connections."""


class AuditLog(AuditSink, Recorded, Protocol):
    """A sink that can be read again, and forget."""


@contextmanager
def open_recorded(place: str) -> Iterator[Recorded]:
    """Open an audit log that is there.

    Args:
        place: where it is.

    Raises:
        InputError: the place is none, or can't be opened.
    """
    file = file_of(place)
    log: Recorded
    if file is not None and place.startswith("jsonl:"):
        from guard.audit.jsonl import JsonlEvents

        log = JsonlEvents(file)
    else:
        from guard.audit.sql import SqlEvents

        log = SqlEvents.connect(place)
    try:
        yield log
    finally:
        log.close()


@contextmanager
def open_audit(place: str, waits: Callable[[int], None] = lambda _: None) -> Iterator[AuditLog]:
    """Open an audit log to record in, making it if needed.

    Args:
        place: where it is.
        waits: told how many events more wait in memory, or fewer, since it was told last.

    Raises:
        InputError: the place is none, can't be opened, or takes no events.
    """
    log = open_log(place, waits)
    try:
        yield log
    finally:
        log.close()


def file_of(place: str) -> Path | None:
    """The file of a log; None where it is on a server.

    Raises:
        InputError: the place is none. Never shows it, since it may hold a password.
    """
    kind, _, name = place.partition(":")
    if kind == "jsonl" and name:
        return Path(name)
    if kind.partition("+")[0] not in DATABASES or not name.startswith("//"):
        mend = "write jsonl:FILE, sqlite:///FILE or postgresql://USER@HOST/NAME"
        raise InputError("is no place of a log", file="--audit", mend=mend)
    from judge.database import database_url, is_sqlite

    url = database_url(place, "--audit")
    if not is_sqlite(url):
        return None
    if url.database == ":memory:":
        raise InputError("would keep nothing", file="--audit", mend="write sqlite:///FILE")
    if "?" in name:  # SQLite's own options lead to files that others can read
        mend = "write sqlite:///FILE without ? and what is behind it"
        raise InputError(f"would be the file {url.database}", file="--audit", mend=mend)
    return Path(url.database or "")


def open_log(place: str, waits: Callable[[int], None] = lambda _: None) -> AuditLog:
    """The same for as long as the process lives; before a text goes out, its event is written.

    Where that can't be now, it waits in memory, and is tried again until the process ends.

    Args:
        place: where it is.
        waits: as of `open_audit`.

    Raises:
        InputError: as `open_audit`.
    """
    file = file_of(place)
    if file is not None and place.startswith("jsonl:"):
        from guard.audit.jsonl import JsonlLog

        return JsonlLog(file, waits)
    from guard.audit.sql import SqlLog

    return SqlLog.connect(place, waits=waits)
