"""The runs on disk, which all workers share: who finds what, and how far it is.

open/WHO.RUN        one for each run that has not ended, so that workers need not look at all
WHO/                a caller's runs; WHO is the hash of its key's name
    RUN/
        run.json        what was asked, by whom
        input           the records, as they were sent
        arriving        held by the worker that takes them in, and gone when they are whole
        progress.json   how far it is, rewritten now and then
        cancel          its caller has changed their mind
        run/            the run folder as `flames-judge score` writes it; who holds it has the run

A folder whose name begins with a dot is on its way in or out.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from guard.wire import Run, RunOptions, RunProgress
from judge.errors import InputError
from judge.journal import replace_file
from judge.run_folder import BAD_ROWS, LOG, SUMMARY, RunFolder

_ID: Final = re.compile(r"[0-9a-f]{32}")
_OPEN: Final = "open"
_LETS_GO_S: Final = 2.0
Stamp = tuple[tuple[int, int] | None, ...]


class RunRef(NamedTuple):
    """A run's place: the caller's folder, and the run's own."""

    who: str
    id: str


class RunRequest(BaseModel):
    """A run as it was submitted; `caller` is the name of a key, or null where there are none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    id: str
    caller: str | None
    created: str
    options: RunOptions

    @property
    def ref(self) -> RunRef:
        """Its place."""
        return RunRef(who_of(self.caller), self.id)


def who_of(caller: str | None) -> str:
    """The name of a caller's folder: a key's name may hold anything."""
    if caller is None:
        return "anyone"
    return hashlib.sha256(caller.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def new_id() -> str:
    """An id that nobody can guess; later ones sort after earlier ones."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


class RunStore:
    """The folder of all runs.

    Args:
        folder: it; made if needed, its owner's alone.

    Raises:
        InputError: it can't be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            (folder / _OPEN).mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)  # also one that others made before
        except OSError as error:
            raise InputError(f"can't be made: {error.strerror}", file=folder) from None

    def home(self, who: str) -> Path:
        """A caller's folder."""
        return self.folder / who

    def place(self, ref: RunRef) -> Path:
        """A run's folder."""
        return self.folder / ref.who / ref.id

    def run(self, ref: RunRef) -> Path:
        """The run folder, as `score` has it."""
        return self.place(ref) / "run"

    def log(self, ref: RunRef) -> Path:
        """Its verdicts."""
        return self.run(ref) / LOG

    def summary(self, ref: RunRef) -> Path:
        """Its summary."""
        return self.run(ref) / SUMMARY

    def bad_rows(self, ref: RunRef) -> Path:
        """Its rows that can't be read."""
        return self.run(ref) / BAD_ROWS

    def input(self, ref: RunRef) -> Path:
        """Its records."""
        return self.place(ref) / "input"

    def find(self, run: str, caller: str | None) -> RunRequest | None:
        """A caller's own run; one of another's is as if there were none."""
        if _ID.fullmatch(run) is None:
            return None
        request = self.request(RunRef(who_of(caller), run))
        return request if request is not None and request.caller == caller else None

    def request(self, ref: RunRef) -> RunRequest | None:
        """What was asked; None where there is no such run."""
        try:
            text = (self.place(ref) / "run.json").read_bytes()
            return RunRequest.model_validate_json(text)
        except (OSError, ValidationError):
            return None

    def of(self, caller: str | None) -> list[RunRequest]:
        """A caller's runs, newest first."""
        who = who_of(caller)
        found = (self.request(RunRef(who, name)) for name in sorted(self.ids(who), reverse=True))
        return [request for request in found if request is not None]

    def ids(self, who: str) -> list[str]:
        """The ids of all runs of a caller's folder."""
        return [name for name in _names(self.home(who)) if _ID.fullmatch(name)]

    def callers(self) -> Iterator[str]:
        """The folders of all callers."""
        return (name for name in _names(self.folder) if name != _OPEN)

    def waiting(self) -> list[RunRef]:
        """The runs that have not ended, oldest first; some may have by now."""
        pairs = (name.partition(".") for name in _names(self.folder / _OPEN))
        refs = [RunRef(who, run) for who, _, run in pairs if _ID.fullmatch(run)]
        return sorted(refs, key=lambda ref: ref.id)

    def opened(self, ref: RunRef) -> None:
        """The run is to be worked on.

        Raises:
            OSError: that can't be written.
        """
        self._mark(ref).touch(mode=0o600)

    def ended(self, ref: RunRef) -> None:
        """The run is no longer to be worked on."""
        self._mark(ref).unlink(missing_ok=True)

    def progress(self, ref: RunRef) -> RunProgress:
        """How far a run is."""
        try:
            text = (self.place(ref) / "progress.json").read_bytes()
            return RunProgress.model_validate_json(text)
        except (OSError, ValidationError):
            return RunProgress()

    def stamp(self, ref: RunRef) -> Stamp:
        """What is another one as soon as there is something else to tell of a run."""
        place = self.place(ref)
        return tuple(_written(place / name) for name in ("run.json", "progress.json"))

    def tell(self, ref: RunRef, progress: RunProgress) -> None:
        """Write down how far a run is.

        Raises:
            InputError: it can't be written, or the run was deleted.
        """
        replace_file(self.place(ref) / "progress.json", progress.model_dump_json() + "\n")

    def cancel(self, ref: RunRef) -> None:
        """Ask the worker that has the run to stop it.

        Raises:
            OSError: that can't be written.
        """
        (self.place(ref) / "cancel").touch(mode=0o600)

    def cancelled(self, ref: RunRef) -> bool:
        """Whether it was asked to stop; a deleted run was."""
        place = self.place(ref)
        return (place / "cancel").exists() or not (place / "run.json").exists()

    def resume(self, ref: RunRef) -> None:
        """Have a run that failed or was cancelled worked on again, from where it stopped.

        Raises:
            InputError: a worker still has it, or that can't be written.
            OSError: that can't be written.
        """
        from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

        patient = Retrying(  # a worker that has just told the end is about to let go
            stop=stop_after_delay(_LETS_GO_S),
            wait=wait_fixed(0.02),
            retry=retry_if_exception_type(InputError),
            reraise=True,
        )
        with ExitStack() as stack:
            patient(lambda: stack.enter_context(RunFolder.hold(self.run(ref))))
            if self.request(ref) is None:  # deleted meanwhile: holding made it anew
                shutil.rmtree(self.place(ref), ignore_errors=True)
                raise FileNotFoundError(ref.id)
            (self.place(ref) / "cancel").unlink(missing_ok=True)
            known = self.progress(ref)
            self.tell(ref, known.model_copy(update={"phase": "queued", "problem": None}))
            self.opened(ref)

    def delete(self, ref: RunRef) -> None:
        """Delete all that is kept of a run: records, verdicts and all.

        Raises:
            OSError: it can't be moved away, as when it was deleted before.
        """
        gone = self.home(ref.who) / f".{ref.id}-{secrets.token_hex(4)}"
        self.place(ref).rename(gone)  # at once, whatever a worker is writing there
        self.ended(ref)
        shutil.rmtree(gone, ignore_errors=True)

    def has_room(self, spare: int) -> bool:
        """Whether so many bytes are free on the disk."""
        return shutil.disk_usage(self.folder).free >= spare

    def _mark(self, ref: RunRef) -> Path:
        return self.folder / _OPEN / f"{ref.who}.{ref.id}"


def as_run(request: RunRequest, progress: RunProgress) -> Run:
    """A run, as its caller is told of it."""
    return Run(
        id=request.id, created=request.created, **request.options.model_dump(), **dict(progress)
    )


def _written(file: Path) -> tuple[int, int] | None:
    """When a file was written, and which one it is; None without one."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def _names(folder: Path) -> list[str]:
    try:
        return [place.name for place in folder.iterdir()]
    except OSError:
        return []
