"""A lock that processes share: a file beside what it guards, which stays where it is."""

from __future__ import annotations

import errno
import math
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

from guard.audit.owner import give

POLL_S = 0.0005  # a line takes less to write


@contextmanager
def locked(file: Path, wait_s: float = math.inf, like: Path | None = None) -> Iterator[None]:
    """Hold the lock; not twice in one thread.

    It excludes filelock's, whose 50 ms between two tries are too long for whoever answers a
    request, as are the 0.3 ms that each of its locks takes.

    Args:
        file: the lock's; made if needed, with its folder.
        wait_s: for others who hold it.
        like: what it guards; one that is made belongs to the same user.

    Raises:
        TimeoutError: they hold it on.
        OSError: it can't be made, or is a link, which is never followed.
    """
    if sys.platform == "win32":  # which has no flock
        with filelock.FileLock(file, timeout=min(wait_s, threading.TIMEOUT_MAX)):
            yield
        return
    import fcntl

    until = time.monotonic() + wait_s
    while (fd := _held(file, like)) is None:
        if time.monotonic() >= until:
            raise TimeoutError(f"{file} is held by others")
        time.sleep(POLL_S)
    try:
        yield
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)  # a child that was forked meanwhile has it open, too
        os.close(fd)


def _held(file: Path, like: Path | None) -> int | None:
    """The open file of the lock that is now held; None where others hold it."""
    import fcntl

    try:
        fd = os.open(file, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        try:
            fd = _made(file, like)
        except FileExistsError:
            return None
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise OSError(errno.ELOOP, "the lock is a symbolic link", str(file)) from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(fd).st_ino == file.stat().st_ino:  # else it was deleted, and is nobody's
            return fd
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:
        os.close(fd)
        raise
    os.close(fd)
    return None


def _made(file: Path, like: Path | None) -> int:
    """The open file of a lock that was not there.

    Raises:
        FileExistsError: another process was faster.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    if like is not None:
        with suppress(FileNotFoundError, PermissionError):  # it locks all the same
            give(fd, like.stat())
    return fd
