"""A file of lines that several processes append to, each line in one write."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import filelock

from judge.errors import InputError


class LineFile:
    """Append-only, readable by its owner alone; a line is written whole or not at all.

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
        self._torn = self._ends_torn()

    def append(self, line: str) -> None:
        """Append one line; a torn one, which a kill or a full disk left, is closed off first.

        Raises:
            OSError: it can't be written.
        """
        data = (b"\n" if self._torn else b"") + line.encode("utf-8", "surrogatepass") + b"\n"
        self._torn = True
        written = os.write(self._fd, data)
        if written < len(data):
            raise OSError(f"only {written} of {len(data)} bytes were written")
        self._torn = False

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)

    def _ends_torn(self) -> bool:
        size = os.fstat(self._fd).st_size
        return size > 0 and os.pread(self._fd, 1, size - 1) != b"\n"


class SharedLines:
    """A file of lines that some processes append to while another takes lines out of it.

    Both hold the lock beside it, so that nothing is written to a file that is being replaced.

    Raises:
        InputError: the file can't be written.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lines = LineFile(file)
        self._lock = filelock.FileLock(file.with_name(file.name + ".lock"))
        self._inode = file.stat().st_ino

    def append(self, line: str) -> None:
        """Append one line.

        Raises:
            OSError: it can't be written.
        """
        with self._lock:
            self._follow()
            self._lines.append(line)

    def take_out(self, goes: Callable[[bytes], bool | None]) -> int:
        """Take lines out in one step, for good; gives their number.

        Args:
            goes: whether a line goes; None for one that can't be read, and goes with the others.

        Raises:
            InputError: the file can't be written; it is as it was.
        """
        try:
            with self._lock:
                return self._taken_out(goes)
        except OSError as error:
            raise InputError(f"can't be written: {error.strerror}", file=self.file) from None

    def close(self) -> None:
        """Let go of the file."""
        self._lines.close()

    def _taken_out(self, goes: Callable[[bytes], bool | None]) -> int:
        new, gone = self.file.with_name(self.file.name + ".new"), 0
        mode = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        try:
            with (
                self.file.open("rb") as lines,
                os.fdopen(os.open(new, mode, 0o600), "wb") as kept,
            ):
                for line in lines:
                    out = goes(line)
                    gone += out is True
                    kept.write(line if out is False else b"")
            if gone:
                new.replace(self.file)
                self._follow()
        finally:
            new.unlink(missing_ok=True)
        return gone

    def _follow(self) -> None:
        """Another process may have replaced the file, or moved it away."""
        try:
            inode = self.file.stat().st_ino
        except FileNotFoundError:
            inode = -1
        if inode != self._inode:
            self._lines.close()
            self._lines = LineFile(self.file)
            self._inode = self.file.stat().st_ino
