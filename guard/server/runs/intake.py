"""How a file of records comes in: within its caller's quotas, written to disk as it arrives."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from guard.openai_api import ApiError
from guard.server.records.reading import BY_REQUEST, ROW_BYTES
from guard.server.runs.store import RunRef, RunRequest, RunStore, new_id, who_of
from guard.server.settings import Limits
from guard.wire import RunOptions
from judge.errors import InputError
from judge.readers import ReadOptions, read_records
from judge.rubric import Rubrics
from judge.run_folder import LOCK

if TYPE_CHECKING:
    from filelock import BaseFileLock

SPARE: Final = 4  # times the largest file must be free: the log repeats texts, and others write too
ARRIVING: Final = "arriving"
STALE_S: Final = 7200  # since a folder on its way in or out was touched: its worker is gone
LINES_A_ROW: Final = 10
_PACKED: Final = {b"\x1f\x8b": "gzip", b"PAR1": "Parquet"}


class Intake:
    """Takes runs in.

    Args:
        store: where they are kept.
        limits: how much one caller may have.
        rubrics: by which they will be judged.
    """

    def __init__(self, store: RunStore, limits: Limits, rubrics: Rubrics) -> None:
        self._store, self._limits, self._rubrics = store, limits, rubrics

    def open(self, caller: str | None, options: RunOptions, own: int | None = None) -> Upload:
        """A place for a caller's next run.

        Args:
            caller: whose it is.
            options: how it is to be judged.
            own: the caller's own number of open runs, in place of everybody's.

        Raises:
            ApiError: 429 the caller has as many as may be; 403; 507 the disk is full.
        """
        if not self._store.has_room(SPARE * self._limits.run_bytes):
            raise no_room()
        who = who_of(caller)
        try:
            with self._alone(who):
                self._check_quota(who, own)
                ref = RunRef(who, new_id())
                return Upload(self._store, ref, caller, options)
        except OSError:
            raise no_room() from None

    def accept(self, upload: Upload) -> RunRequest:
        """Keep an upload that is whole, as a run that waits to be judged.

        Raises:
            ApiError: 400 the file as a whole can't be read; 413 it has too many lines; 507.
        """
        try:
            upload.close()
            self._check_file(upload)
            return upload.keep()
        except OSError:
            raise no_room() from None

    def resume(self, ref: RunRef, own: int | None = None) -> None:
        """Have a run that has ended worked on again.

        Args:
            ref: which.
            own: as above.

        Raises:
            ApiError: 429 the caller has as many open runs as may be; 403.
            InputError: a worker still has it.
            OSError: that can't be written; `FileNotFoundError`: it is gone.
        """
        with self._alone(ref.who):
            self._check_open(ref.who, own)
            self._store.resume(ref)

    def _check_open(self, who: str, own: int | None) -> None:
        """Refuse a caller who has as many open runs as may be.

        Args:
            who: the caller's folder.
            own: the caller's own number, in place of everybody's.

        Raises:
            ApiError: 429; 403 where it is none at all.
        """
        # In this order, and each once: one that is being kept is both for a moment, and never none.
        open_ = {place.name.removeprefix(".") for place in self._folders(who) if arrives(place)}
        mine = (ref for ref in self._store.waiting() if ref.who == who)
        open_ |= {ref.id for ref in mine if not self._store.progress(ref).ended}
        most = self._limits.open_runs if own is None else own
        if not most:
            raise ApiError(
                "no runs are taken from this caller", status=403, code="runs_not_allowed"
            )
        if len(open_) >= most:
            raise ApiError(
                f"{most} runs have not ended yet: wait, or cancel one",
                status=429,
                code="too_many_runs",
            )

    def _check_quota(self, who: str, own: int | None) -> None:
        sweep(self._store.home(who))
        self._check_open(who, own)
        most = self._limits.kept_runs
        if len(self._store.ids(who)) >= most:
            raise ApiError(
                f"{most} runs are kept: delete one", status=429, code="too_many_kept_runs"
            )

    def _check_file(self, upload: Upload) -> None:
        if upload.lines > LINES_A_ROW * self._limits.run_rows:
            most = self._limits.run_rows
            raise ApiError(
                f"the file has more than {most:,} rows: split it", status=413, code="too_many_rows"
            )
        kind = next((kind for magic, kind in _PACKED.items() if upload.head.startswith(magic)), "")
        if kind:
            raise ApiError(
                f"{kind} is not read here: send JSON lines, JSON or CSV, uncompressed",
                status=415,
                code="unsupported_media_type",
            )
        try:
            read_records([upload.input], reading(self._rubrics, upload.options))
        except InputError as error:
            raise ApiError(in_words(error), status=400, code="unreadable_file") from None

    @contextmanager
    def _alone(self, who: str) -> Iterator[None]:
        """No two requests of one caller are counted at once, in whatever worker."""
        import filelock

        home = self._store.home(who)
        home.mkdir(mode=0o700, exist_ok=True)
        with filelock.FileLock(home / LOCK, timeout=10):
            yield

    def _folders(self, who: str) -> list[Path]:
        home = self._store.home(who)
        return [place for place in home.iterdir() if place.is_dir()] if home.exists() else []


class Upload:
    """A run that is on its way in.

    Args:
        store: where it will be kept.
        ref: its place there.
        caller: whose it is.
        options: how it is to be judged.

    Raises:
        OSError: its folder can't be made.
    """

    def __init__(
        self, store: RunStore, ref: RunRef, caller: str | None, options: RunOptions
    ) -> None:
        self.options, self.lines, self.head = options, 0, b""
        self._store, self._ref, self._caller = store, ref, caller
        self._place = store.home(ref.who) / f".{ref.id}"
        self._place.mkdir(mode=0o700)
        self._arriving = _mark(self._place)
        self._arriving.acquire(timeout=10)  # who asks whether it is held holds it for a moment
        self.input = self._place / "input"
        self._file: BinaryIO = self.input.open("xb")

    def write(self, piece: bytes) -> None:
        """Another piece of the file.

        Raises:
            ApiError: 507; the disk is full.
        """
        try:
            self._file.write(piece)
        except OSError:
            raise no_room() from None
        self.lines += piece.count(b"\n")
        if len(self.head) < 4:
            self.head += piece[:4]

    def close(self) -> None:
        """The file is whole: have it on the disk.

        Raises:
            OSError: it can't be written.
        """
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def keep(self) -> RunRequest:
        """Make it a run; workers see it only once it is whole.

        Raises:
            OSError: it can't be written.
        """
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        request = RunRequest(
            id=self._ref.id, caller=self._caller, created=now, options=self.options
        )
        folder = self._place / "run"
        folder.mkdir(mode=0o700)
        (folder / LOCK).touch(mode=0o600)
        text = request.model_dump_json() + "\n"
        (self._place / "run.json").write_text(text, encoding="utf-8")
        self._store.opened(self._ref)
        place = self._store.place(self._ref)
        self._place.rename(place)
        self._arriving.release()
        (place / ARRIVING).unlink(missing_ok=True)
        return request

    def drop(self) -> None:
        """Leave nothing of what was not kept."""
        with suppress(OSError):
            self._file.close()
        self._arriving.release()
        if self._place.exists():
            shutil.rmtree(self._place, ignore_errors=True)
            self._store.ended(self._ref)


def arrives(place: Path) -> bool:
    """Whether a folder of a caller's is an upload whose worker lives; a killed one's is no run."""
    import filelock

    if not (place / ARRIVING).exists():
        return False
    try:
        with _mark(place):
            return False
    except filelock.Timeout:
        return True
    except OSError:  # gone meanwhile
        return False


def _mark(place: Path) -> BaseFileLock:
    """What a worker holds as long as it takes an upload in."""
    import filelock

    return filelock.FileLock(place / ARRIVING, timeout=0, mode=0o600, thread_local=False)


def reading(rubrics: Rubrics, options: RunOptions) -> ReadOptions:
    """How a run's file is read: as `score` reads it, under the name that its caller gave it."""
    return ReadOptions(
        rubrics,
        dimension=options.dimension,
        called=options.name,
        row_bytes=ROW_BYTES,
        mends=BY_REQUEST,
    )


def in_words(error: InputError) -> str:
    """What is wrong with a file, without its place here."""
    said = f"{error.problem} ({error.mend})" if error.mend else error.problem
    return f"the file: {said}" if said.startswith("its ") else f"the file {said}"


def no_room() -> ApiError:
    """The refusal of a run that the disk can't hold."""
    return ApiError("there is no room for another run", status=507, code="no_room")


def sweep(home: Path) -> None:
    """Delete what a killed worker left half in or half out of a caller's folder."""
    with suppress(OSError):
        for place in home.iterdir():
            old = place.name.startswith(".") and place.is_dir()
            if old and time.time() - place.stat().st_mtime > STALE_S and not arrives(place):
                shutil.rmtree(place, ignore_errors=True)
