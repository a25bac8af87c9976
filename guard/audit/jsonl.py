"""Events as JSON lines in a file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import filelock
from pydantic import ValidationError

from guard.audit.lines import LineFile
from guard.event import GuardEvent
from judge.journal import replace_file


class JsonlLog:
    """One event a line. Forgetting rewrites the file, which only one process at a time may do."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = filelock.FileLock(file.with_name(file.name + ".lock"))
        self._lines = LineFile(file)
        self._inode = file.stat().st_ino

    async def emit(self, event: GuardEvent) -> None:
        """Append one event.

        Raises:
            OSError: it can't be written.
        """
        line = event.model_dump_json()
        with self._lock:
            self._follow()
            self._lines.append(line)

    def events(self) -> Iterator[GuardEvent]:
        """Every event that can be read; a torn line is none."""
        with self._file.open(encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                try:
                    yield GuardEvent.model_validate_json(line)
                except (ValidationError, UnicodeEncodeError):
                    continue

    def forget(
        self,
        *,
        before: datetime | None = None,
        request_id: str | None = None,
        conversation: str | None = None,
    ) -> int:
        """Delete events that are older, of a request, or of a conversation; gives their number."""
        forgotten, kept = 0, []
        with self._lock:
            for event in self.events():
                if _named(event, before, request_id, conversation):
                    forgotten += 1
                else:
                    kept.append(event.model_dump_json() + "\n")
            if forgotten:
                replace_file(self._file, "".join(kept))
                self._file.chmod(0o600)
                self._follow()
        return forgotten

    def close(self) -> None:
        """Let go of the file."""
        self._lines.close()

    def _follow(self) -> None:
        """Another process may have replaced the file, or moved it away."""
        try:
            inode = self._file.stat().st_ino
        except FileNotFoundError:
            inode = -1
        if inode != self._inode:
            self._lines.close()
            self._lines = LineFile(self._file)
            self._inode = self._file.stat().st_ino


def _named(
    event: GuardEvent, before: datetime | None, request_id: str | None, conversation: str | None
) -> bool:
    return (
        (before is not None and event.at < before)
        or (request_id is not None and event.request_id == request_id)
        or (conversation is not None and event.conversation == conversation)
    )
