"""Events that wait in a file while their database is away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
from pydantic import ValidationError

from guard.audit.lines import LineFile
from guard.event import GuardEvent
from judge.errors import InputError

MOST_AT_ONCE = 500


class Spill:
    """The file, which all processes of one database share and outlives them.

    Args:
        file: where they wait; its folder is made for its owner alone if needed.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = filelock.FileLock(file.with_name(file.name + ".lock"), mode=0o600)

    @property
    def waits(self) -> bool:
        """Whether any do."""
        return self.file.exists()

    def add(self, events: Iterable[GuardEvent]) -> None:
        """Let events wait.

        Raises:
            InputError: the file can't be written.
        """
        try:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._lock:
                self._append(events)
        except OSError as error:
            problem = f"can't be written: {error.strerror or error}"
            raise InputError(problem, file=self.file) from None

    @contextmanager
    def taken(self) -> Iterator[Iterator[list[GuardEvent]]]:
        """Those that wait, some at a time; they wait no longer if nothing goes wrong inside.

        Raises:
            OSError: the file can't be read.
        """
        with self._lock:
            yield self._some()
            self.file.unlink(missing_ok=True)

    def _append(self, events: Iterable[GuardEvent]) -> None:
        lines = LineFile(self.file)
        try:
            for event in events:
                lines.append(event.model_dump_json())
        finally:
            lines.close()

    def _some(self) -> Iterator[list[GuardEvent]]:
        found: list[GuardEvent] = []
        if not self.file.exists():  # another process has moved them
            return
        # bytes: a text that is recorded may hold U+2028, and what looks like an event behind it
        with self.file.open("rb") as lines:
            for line in lines:
                try:
                    found.append(GuardEvent.model_validate_json(line))
                except ValidationError:  # a torn line is none
                    continue
                if len(found) == MOST_AT_ONCE:
                    yield found
                    found = []
        if found:
            yield found
