"""A file of lines that several processes append to, each line in one write."""

from __future__ import annotations

import os
from pathlib import Path

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
