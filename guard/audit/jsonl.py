"""Events as JSON lines in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from guard.audit.lines import Goes, SharedLines
from guard.audit.writer import Writer
from guard.event import Filed, GuardEvent
from judge.errors import InputError

T = TypeVar("T", bound=BaseModel)
LOCK_WAIT_S = 1.0  # who takes lines out holds the lock a moment; events can wait, callers can't


class JsonlEvents:
    """The events of a file that is there."""

    def __init__(self, file: Path) -> None:
        self._file, self.unread = file, 0

    def events(self) -> Iterator[GuardEvent]:
        """Every event that can be read; a torn line is none, and counted as unread.

        Raises:
            InputError: the file can't be read.
        """
        try:
            opened = self._file.open(encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            raise InputError(f"can't be read: {error.strerror}", file=self._file) from None
        with opened as lines:
            for line in lines:
                event = _read(GuardEvent, line)
                if event is not None:
                    yield event
                elif line.strip():
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
            InputError: the file can't be written.
        """

        def goes(line: bytes) -> bool | None:
            event = _read(Filed, line)
            return None if event is None else _named(event, before, request_id, conversation)

        return self._take_out(goes)

    def close(self) -> None:
        """Nothing: no file is held open."""

    def _take_out(self, goes: Goes) -> int:
        lines = SharedLines(self._file)
        try:
            return lines.take_out(goes)
        finally:
            lines.close()


class JsonlLog(JsonlEvents):
    """One event a line."""

    def __init__(self, file: Path, waits: Callable[[int], None] = lambda _: None) -> None:
        super().__init__(file)
        self._lines = SharedLines(file)
        self._writer = Writer(self._append, file, waits)

    async def emit(self, event: GuardEvent) -> None:
        """Append one event; it is in the file, or waits in memory, when this returns.

        Raises:
            OSError: it can't be written, and too many wait.
        """
        await self._writer.emit(event.model_dump_json())

    def close(self) -> None:
        """Write what waits, and let go of the file."""
        self._writer.close()
        self._lines.close()

    def _take_out(self, goes: Goes) -> int:
        return self._lines.take_out(goes)

    def _append(self, lines: Sequence[str]) -> None:
        self._lines.append("\n".join(lines), LOCK_WAIT_S)


def _read(form: type[T], line: str | bytes) -> T | None:
    try:
        return form.model_validate_json(line)
    except (ValidationError, UnicodeEncodeError):
        return None


def _named(
    event: Filed, before: datetime | None, request_id: str | None, conversation: str | None
) -> bool:
    return (
        (before is not None and event.at < before)
        or (request_id is not None and event.request_id == request_id)
        or (conversation is not None and event.conversation == conversation)
    )
