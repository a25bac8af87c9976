"""Events that wait in a file while their database is away."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import platformdirs
from sqlalchemy import URL

from guard.audit.lines import LineFile
from guard.audit.lock import locked
from judge.database import is_sqlite
from judge.errors import InputError

MOST_AT_ONCE = 500
MOST_BYTES = 4 * 2**20  # of them, unless one is longer
STEP = 2**18
LOCK_WAIT_S = 5.0


class Spill:
    """The file, which all processes of one database share and outlives them.

    Args:
        file: where they wait; its folder is made for its owner alone if needed.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = file.with_name(file.name + ".lock")

    @property
    def waits(self) -> bool:
        """Whether any do."""
        return self.file.exists()

    def add(self, lines: Sequence[str]) -> None:
        """Let events wait: all of them, or none.

        Args:
            lines: events as JSON.

        Raises:
            InputError: the file can't be written.
        """
        try:
            with self.locked():
                self._append("\n".join(lines))
        except OSError as error:
            problem = f"can't be written: {error.strerror or error}"
            raise InputError(problem, file=self.file) from None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else adds or takes meanwhile.

        Raises:
            OSError: others go on with it for seconds, or the lock can't be made.
        """
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self._lock, LOCK_WAIT_S):
            yield

    @contextmanager
    def taken(self) -> Iterator[list[str]]:
        """The last of those that wait; they wait no longer if nothing goes wrong inside.

        So many that nobody has to wait long for them.

        Raises:
            OSError: the file can't be read, or cut.
        """
        with self.locked():
            if not self.waits:  # another process has moved them
                yield []
                return
            with self.file.open("r+b") as file:
                start = _last(file)
                file.seek(start)
                # bytes: a text that is recorded may hold U+2028, and what looks like an event then
                yield [line.decode("utf-8", "replace") for line in file.read().split(b"\n")]
                file.truncate(start)
            if not start:
                self.file.unlink(missing_ok=True)

    def _append(self, lines: str) -> None:
        file = LineFile(self.file)
        try:
            file.append(lines)
        finally:
            file.close()


def _last(file: BinaryIO) -> int:
    """Where the last lines of a file begin: as many as are taken at once, and one at least."""
    start = end = file.seek(0, os.SEEK_END)
    data, ends = b"", 0
    while start and (ends < 2 or (ends <= MOST_AT_ONCE and len(data) < MOST_BYTES)):
        before, start = start, max(0, start - STEP)
        file.seek(start)
        data = file.read(before - start) + data
        ends = data.count(b"\n")
    lines = data.split(b"\n")[1 if start else 0 :]  # of the first one there may be half
    return end - len(b"\n".join(lines[-MOST_AT_ONCE - 1 :]))


def waiting_file(url: URL) -> Path:
    """Where the events of a database wait: the same for every process.

    A folder for all users would let others read and write it.
    """
    if is_sqlite(url):
        file = Path(url.database or "")
        return file.with_name(f"{file.name}.waiting.jsonl")
    place = hashlib.sha256(url.set(password=None).render_as_string().encode()).hexdigest()[:16]
    return platformdirs.user_state_path("flames-judge", appauthor=False) / f"audit-{place}.jsonl"
