"""Where decisions are recorded: a file of JSON lines, or a database.

jsonl:FILE            one event a line; several processes may share it
sqlite:///FILE        SQLite
postgresql://...      PostgreSQL, for several machines
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from guard.event import AuditSink, GuardEvent
from judge.errors import InputError

PREFIX = "jsonl:"


class AuditLog(AuditSink, Protocol):
    """A sink that can be read again, and forget."""

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


@contextmanager
def open_audit(place: str) -> Iterator[AuditLog]:
    """Open an audit log, making it if needed.

    Raises:
        InputError: the place is none, or can't be opened.
    """
    log = _opened(place)
    try:
        yield log
    finally:
        log.close()


def _opened(place: str) -> AuditLog:
    if place.startswith(PREFIX) or "://" not in place:
        from guard.audit.jsonl import JsonlLog

        name = place.removeprefix(PREFIX)
        if not name:
            mend = "write jsonl:FILE, sqlite:///FILE or postgresql://USER@HOST/NAME"
            raise InputError("is no place", file="--audit", mend=mend)
        return JsonlLog(Path(name))
    from guard.audit.sql import SqlLog

    return SqlLog.connect(place)
