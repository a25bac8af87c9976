"""The folder that all workers of a server share, and other servers may share with them.

counters.sqlite, runs/   everybody's; see `Counters` and `RunStore`
servers/lock             held while a server begins
servers/ID/              one server's own, gone when it ends
    *.lock               each held by one of its processes, as long as that lives
    *.db                 what its workers have counted, for `/metrics`
    judging              which judge, and whose keys: the same for all who share the runs
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import filelock

from guard.server.settings import Settings
from judge.errors import InputError
from judge.journal import refuse_link

_SERVERS: Final = "servers"
_JUDGING: Final = "judging"
_METRICS: Final = "PROMETHEUS_MULTIPROC_DIR"


@contextmanager
def sharing(settings: Settings, workers: int) -> Iterator[Settings]:
    """The settings with a folder that all workers share: the data's, or one for this server.

    Raises:
        InputError: the folder can't be used, or another server works there that judges otherwise.
    """
    with ExitStack() as stack:
        shared = settings.data
        if shared is None and workers > 1:
            shared = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="flames-judge-")))
        if shared is not None:
            own = stack.enter_context(_own(shared, _judging(settings)))
            settings = replace(settings, shared=shared, own=own)
            if workers > 1:
                os.environ[_METRICS] = str(own)
                stack.callback(os.environ.pop, _METRICS, None)
        yield settings


@contextmanager
def alive(own: Path | None) -> Iterator[None]:
    """Keep a server's own folder from being taken for a dead one's, as long as this process lives.

    Args:
        own: the folder; None where there is none.
    """
    if own is None:
        yield
        return
    with filelock.FileLock(own / f"{secrets.token_hex(4)}.lock"):
        yield


@contextmanager
def _own(shared: Path, judging: str) -> Iterator[Path]:
    own = shared / _SERVERS / secrets.token_hex(8)
    with ExitStack() as stack:
        try:
            shared.mkdir(parents=True, exist_ok=True, mode=0o700)
            own.parent.mkdir(exist_ok=True, mode=0o700)
            refuse_link(own.parent / "lock")
            with filelock.FileLock(own.parent / "lock"):  # so that none is swept as it begins
                _check_others(shared, judging)
                own.mkdir(mode=0o700)
                stack.callback(shutil.rmtree, own, ignore_errors=True)
                (own / _JUDGING).write_text(judging, encoding="utf-8")
                stack.enter_context(alive(own))
        except OSError as error:
            why = "is no folder" if shared.is_file() else error.strerror
            raise InputError(f"can't be used: {why}", file=shared) from None
        yield own


def _check_others(shared: Path, judging: str) -> None:
    """Delete what dead servers left.

    Raises:
        InputError: one that lives shares the runs, and judges them otherwise.
    """
    for place in (shared / _SERVERS).iterdir():
        if not place.is_dir():
            continue
        if not _lives(place):
            shutil.rmtree(place, ignore_errors=True)
            continue
        with suppress(FileNotFoundError):  # it has just ended
            if (place / _JUDGING).read_bytes() != judging.encode():
                problem = "another server works there, with another judge or other keys"
                mend = "give each its own --data, or end the other one first"
                raise InputError(problem, file=shared, mend=mend)


def _lives(place: Path) -> bool:
    """Whether a process holds one of the locks in a server's own folder."""
    for file in place.glob("*.lock"):
        try:
            with filelock.FileLock(file, blocking=False):
                pass
        except filelock.Timeout:
            return True
    return False


def _judging(settings: Settings) -> str:
    """A hash of what a run's rows are judged by, and of whose keys its caller has one."""
    policy = settings.plan.policy
    files = [policy.calibration, policy.rubrics, settings.keys]
    places = [None if file is None else str(Path(file).resolve()) for file in files]
    judge = policy.model_dump_json(include={"judge", "band", "llm"})
    return hashlib.sha256(f"{judge}{places}".encode()).hexdigest()
