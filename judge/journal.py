"""A file of lines that only grows: whole lines or none, whatever happens in between."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import filelock

from judge.errors import InputError


class Journal:
    """An append-only file of lines, held by this process alone. Use `hold`.

    `mended` says that a torn last line, left by a kill or a full disk, was cut off.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.mended = _cut_torn_line(file)
        self._fd = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    @classmethod
    @contextmanager
    def hold(cls, file: Path, lock: Path) -> Iterator[Journal]:
        """Open `file` (its folder is made if needed), keeping other processes out by `lock`.

        Raises:
            InputError: it can't be written, or another process holds it.
        """
        guard = filelock.FileLock(lock)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            guard.acquire(blocking=False)
            journal = cls(file)
        except filelock.Timeout:
            if not lock.exists():  # filelock takes a folder that makes no files for contention
                raise InputError("can't be written", file=file, mend="write elsewhere") from None
            problem = "another run is writing there"
            raise InputError(problem, file=file, mend="wait for it, or write elsewhere") from None
        except OSError as error:
            guard.release()
            raise InputError(f"can't be written: {error.strerror}", file=file) from None
        try:
            yield journal
        finally:
            os.close(journal._fd)
            guard.release()

    def append(self, lines: Sequence[str]) -> None:
        """Append lines, each with its newline; what a full disk tore is taken back.

        Raises:
            InputError: the file can't be written; everything before is safe.
        """
        data, size, written = "".join(lines).encode(), os.fstat(self._fd).st_size, 0
        try:
            while written < len(data):
                written += os.write(self._fd, data[written:])
        except OSError as error:
            os.ftruncate(self._fd, size + data.rfind(b"\n", 0, written) + 1)
            mend = "all rows before are safe; make room and run the same command again"
            raise InputError(
                f"can't be written: {error.strerror}", file=self.file, mend=mend
            ) from None


def is_torn(line: bytes) -> bool:
    """Whether a line has neither its end nor all of its JSON."""
    if line.endswith(b"\n"):
        return False
    try:
        json.loads(line)
    except ValueError:
        return True
    return False


def _cut_torn_line(file: Path) -> bool:
    if not file.exists():
        return False
    with file.open("rb+") as lines:
        end = position = lines.seek(0, os.SEEK_END)
        while position > 0:
            start = max(0, position - (1 << 16))
            lines.seek(start)
            newline = lines.read(position - start).rfind(b"\n")
            position = start + newline + 1 if newline >= 0 else start
            if newline >= 0:
                break
        lines.truncate(position)
    return position != end


def replace_file(file: Path, text: str) -> None:
    """Write a whole file in one step: readers see the old text or the new.

    Raises:
        InputError: it can't be written.
    """
    if file.is_dir():
        raise InputError("can't be written: is a folder", file=file, mend="give a file's name")
    new = file.with_name(file.name + ".new")
    try:
        new.write_text(text, encoding="utf-8")
        new.replace(file)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise InputError(f"can't be written: {error.strerror}", file=file) from None
