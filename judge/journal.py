"""A file of lines that only grows: whole lines or none, whatever happens in between."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import filelock

from judge.errors import InputError

_AFRESH = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


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
        problem, mend = "another run is writing there", "wait for it, or write elsewhere"
        with alone(lock, InputError(problem, file=file, mend=mend)):
            try:
                journal = cls(file)
            except OSError as error:
                raise InputError(f"can't be written: {error.strerror}", file=file) from None
            try:
                yield journal
            finally:
                os.close(journal._fd)

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


@contextmanager
def alone(lock: Path, taken: InputError) -> Iterator[None]:
    """Keep other processes out by a lock, as long as this one lives; its folder is made if needed.

    Args:
        lock: the lock's file.
        taken: raised where another process has it; names the file that it would write.

    Raises:
        InputError: so it is, or the lock can't be made.
    """
    guard = filelock.FileLock(lock, blocking=False, thread_local=False)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        refuse_link(lock)
        guard.acquire()
    except filelock.Timeout:
        if not lock.exists():  # filelock takes a folder that makes no files for contention
            mend = "write elsewhere"
            raise InputError("can't be written", file=taken.file, mend=mend) from None
        raise taken from None
    except OSError as error:
        raise InputError(f"can't be written: {error.strerror}", file=taken.file) from None
    try:
        yield
    finally:
        guard.release()


def refuse_link(lock: Path) -> None:
    """A lock is never looked for, nor made, where a link leads.

    Raises:
        InputError: it is a link.
    """
    if lock.is_symlink():
        raise InputError("is a symbolic link", file=lock, mend="delete it")


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


def replace_file(file: Path, text: str, mode: int = 0o666) -> None:
    """Write a whole file in one step: readers see the old text or the new.

    Args:
        file: where.
        text: all of it.
        mode: who may read it, less what the process's umask takes.

    Raises:
        InputError: it can't be written.
    """
    if file.is_dir():
        raise InputError("can't be written: is a folder", file=file, mend="give a file's name")
    new = file.with_name(file.name + ".new")
    try:
        with os.fdopen(os.open(new, _AFRESH, mode), "w", encoding="utf-8") as out:
            out.write(text)
        new.replace(file)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise InputError(f"can't be written: {error.strerror}", file=file) from None
