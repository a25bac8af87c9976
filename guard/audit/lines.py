"""A file of lines that several processes append to, each line in one write."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO

from guard.audit.lock import locked
from guard.audit.owner import succeed
from judge.errors import InputError

Goes = Callable[[bytes], bool | None]


class LineFile:
    """Append-only, readable by its owner alone; a line is written whole or not at all.

    Who appends holds a lock that all others hold too.

    Raises:
        InputError: the file can't be written.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise InputError(f"can't be written: {error.strerror}", file=file) from None

    def append(self, line: str) -> None:
        """Append a line, or several in one write; closes off a torn one first, which a kill left.

        Raises:
            OSError: it can't be written; nothing of it is there.
        """
        size = os.fstat(self._fd).st_size
        torn = size > 0 and os.pread(self._fd, 1, size - 1) != b"\n"
        data = (b"\n" if torn else b"") + line.encode("utf-8", "surrogatepass") + b"\n"
        written = os.write(self._fd, data)
        if written < len(data):  # of a full disk: half a line would be everybody's to stumble over
            with suppress(OSError):
                os.ftruncate(self._fd, size)
            raise OSError(f"only {written} of {len(data)} bytes were written")

    def close(self) -> None:
        """Let go of the file; a thread that still appends then fails, and writes into no other."""
        fd, self._fd = self._fd, -1
        os.close(fd)


class SharedLines:
    """A file of lines that some processes append to while another takes lines out of it.

    Who appends holds the lock beside it, and so does who puts a new file in its place, so that
    nothing is written to a file that is gone. Who takes out holds another one all the while.

    Raises:
        InputError: the file can't be written.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lines = LineFile(file)
        self._lock = file.with_name(file.name + ".lock")
        self._taking = file.with_name(file.name + ".new.lock")
        self._inode = file.stat().st_ino
        self._try_lock()

    def append(self, line: str, wait_s: float = math.inf) -> None:
        """Append a line, or several in one write.

        Args:
            line: without its end.
            wait_s: for others who hold the lock, in seconds.

        Raises:
            OSError: it can't be written.
            InputError: the file is gone, and no other can be made.
        """
        with locked(self._lock, wait_s, self.file):
            self._follow()
            self._lines.append(line)

    def take_out(self, goes: Goes) -> int:
        """Take lines out in one step, for good; gives their number.

        Others wait while it goes through what came meanwhile, not while it goes through all.

        Args:
            goes: whether a line goes; None for one that can't be read, and goes with the others.

        Raises:
            InputError: the file can't be written; it is as it was.
        """
        try:
            with locked(self._taking, like=self.file):
                gone = self._taken_out(goes, locked(self._lock, like=self.file))
                if gone is None:  # it was moved or cut meanwhile, which can't be where all wait
                    with locked(self._lock, like=self.file):
                        gone = self._taken_out(goes, nullcontext())
        except FileNotFoundError:  # moved away, and nothing has come since
            return 0
        except OSError as error:
            raise InputError(f"can't be written: {error.strerror}", file=self.file) from None
        return gone or 0

    def close(self) -> None:
        """Let go of the file."""
        self._lines.close()

    def _try_lock(self) -> None:
        """A folder may let the file be written and no lock beside it: then nothing ever would be.

        Raises:
            InputError: so it is.
        """
        try:
            with locked(self._lock, 0, self.file):
                pass
        except TimeoutError:  # others hold it
            pass
        except OSError as error:
            self.close()
            raise InputError(f"can't be written: {error.strerror}", file=self._lock) from None

    def _taken_out(self, goes: Goes, alone: AbstractContextManager[None]) -> int | None:
        """How many lines were taken out; None where the file is no longer the one that was read.

        Args:
            goes: as of `take_out`.
            alone: held for the rest of them, and while the new file takes the old one's place.
        """
        file = self.file.resolve()  # what a link leads to is what holds the lines
        new = file.with_name(file.name + ".new")
        new.unlink(missing_ok=True)  # a kill's, or a link to another file
        mode = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            with (
                file.open("rb") as lines,
                os.fdopen(os.open(new, mode, 0o600), "wb") as kept,
            ):
                succeed(kept.fileno(), os.fstat(lines.fileno()))
                first = lines.readline()
                lines.seek(0)
                gone = _copied(lines, kept, goes)
                with alone:
                    if not self._grown(lines, first):
                        return None
                    gone += _copied(lines, kept, goes, to_the_end=True)
                    if gone:
                        kept.flush()
                        new.replace(file)
                        self._follow()
                    return gone
        finally:
            new.unlink(missing_ok=True)

    def _grown(self, lines: BinaryIO, first: bytes) -> bool:
        """Whether the file is the same, and nothing but longer than where it was read to."""
        try:
            now, read = self.file.stat(), os.fstat(lines.fileno())
        except FileNotFoundError:
            return False
        head = os.pread(lines.fileno(), len(first), 0)
        return now.st_ino == read.st_ino and now.st_size >= lines.tell() and head == first

    def _follow(self) -> None:
        """Another process may have replaced the file, or moved it away."""
        try:
            inode = self.file.stat().st_ino
        except FileNotFoundError:
            inode = -1
        if inode != self._inode:
            before, self._lines = self._lines, LineFile(self.file)
            before.close()
            self._inode = self.file.stat().st_ino


def _copied(lines: BinaryIO, kept: BinaryIO, goes: Goes, *, to_the_end: bool = False) -> int:
    """Copy the lines that stay; how many went.

    Ends before a line without an end, which may be one that is being written.
    """
    gone = 0
    while line := lines.readline():
        if not (to_the_end or line.endswith(b"\n")):
            lines.seek(-len(line), os.SEEK_CUR)
            break
        out = goes(line)
        gone += out is True
        kept.write(line if out is False else b"")
    return gone
