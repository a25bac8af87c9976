"""Takes runs up: of several workers one has a run, and what a dead one left another goes on with.

A run is taken by holding its run folder, which the system lets go of when its holder dies.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import Final

from guard.server.runs.intake import sweep
from guard.server.runs.job import LOOK_S, Job
from guard.server.runs.store import RunRef, RunRequest, RunStore
from guard.server.state import State
from judge.errors import InputError
from judge.run_folder import RunFolder

REST_S: Final = 60.0  # for a run whose end could not be written down
SWEEP_S: Final = 3600.0
DAY_S: Final = 86_400.0
_log = logging.getLogger("flames_judge.serve")


class RunWorker:
    """Judges what waits, on the bench, as long as it is entered.

    Args:
        state: what all requests share.
        store: the runs.
    """

    def __init__(self, state: State, store: RunStore) -> None:
        self._state, self._store = state, store
        self._tasks: dict[RunRef, asyncio.Task[None]] = {}
        self._resting: dict[RunRef, float] = {}
        self._looking: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Take up runs until the body ends; those that are not done are left to be resumed."""
        bench = self._state.bench
        await bench.do(self._begin())
        try:
            yield
        finally:
            await bench.do(self._end())

    async def _begin(self) -> None:
        self._looking = asyncio.create_task(self._look())

    async def _end(self) -> None:
        tasks = [*self._tasks.values(), *([self._looking] if self._looking else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self) -> None:
        swept = float("-inf")
        while True:
            try:
                if time.monotonic() - swept >= SWEEP_S:
                    swept = time.monotonic()
                    await asyncio.to_thread(self._sweep)
                self._take_up()
            except OSError as error:
                _log.error("runs can't be looked through: %s", error.strerror)
            await asyncio.sleep(LOOK_S)

    def _take_up(self) -> None:
        """Begin what there is room for: the oldest first, of who has the fewest in hand."""
        now = time.monotonic()
        self._resting = {ref: until for ref, until in self._resting.items() if until > now}
        waiting = [
            ref
            for ref in self._store.waiting()
            if ref not in self._tasks and ref not in self._resting
        ]
        for ref in filter(self._store.cancelled, list(waiting)):  # these need no turn
            waiting.remove(ref)
            self._begin_run(ref)
        while waiting and len(self._tasks) < self._state.limits.runs_at_once:
            busy = Counter(ref.who for ref in self._tasks)
            ref = min(waiting, key=lambda one: (busy[one.who], one.id))
            waiting.remove(ref)
            self._begin_run(ref)

    def _begin_run(self, ref: RunRef) -> None:
        """Begin a run, unless another worker has it or there is nothing to do for it."""
        request = self._store.request(ref)
        if request is None:  # deleted, or not in its place yet
            self._forget_mark(ref)
            return
        with ExitStack() as stack:
            try:
                run = stack.enter_context(RunFolder.hold(self._store.run(ref)))
            except InputError:
                return  # another worker has it
            if self._store.request(ref) is None:  # deleted meanwhile: holding made it anew
                shutil.rmtree(self._store.place(ref), ignore_errors=True)
                return
            if self._store.progress(ref).ended:  # its worker died just then
                self._store.ended(ref)
                return
            task = asyncio.create_task(self._run(request, run, stack.pop_all()))
        self._tasks[ref] = task
        task.add_done_callback(lambda _: self._tasks.pop(ref, None))

    async def _run(self, request: RunRequest, run: RunFolder, held: ExitStack) -> None:
        """One run to its end."""
        ref = request.ref
        with held:
            told = await Job(self._state, self._store, request, run).work()
            if told:
                self._store.ended(ref)
            elif self._store.request(ref) is None:  # deleted
                self._store.ended(ref)
                shutil.rmtree(self._store.place(ref), ignore_errors=True)
            else:
                _log.error("run %s: its end can't be written down", ref.id)
                self._resting[ref] = time.monotonic() + REST_S

    def _forget_mark(self, ref: RunRef) -> None:
        """A mark whose run was deleted; one that is just coming in has its own place still."""
        if not (self._store.home(ref.who) / f".{ref.id}").exists() and not self._store.request(ref):
            self._store.ended(ref)

    def _sweep(self) -> None:
        """Delete what killed workers left half done, and runs that are older than they are kept."""
        for who in self._store.callers():
            sweep(self._store.home(who))
            if self._state.retain_days is not None:
                self._retain(who, time.time() - self._state.retain_days * DAY_S)

    def _retain(self, who: str, since: float) -> None:
        for run in self._store.ids(who):
            ref = RunRef(who, run)
            with suppress(OSError):
                told = self._store.place(ref) / "progress.json"
                if told.stat().st_mtime < since and self._store.progress(ref).ended:
                    self._store.delete(ref)
