"""One run to its end, by the same code as `flames-judge score`."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from guard.log import raised_at
from guard.server.http.exchange import ANYONE
from guard.server.records.reading import of_a_size
from guard.server.runs.intake import SPARE, in_words, reading
from guard.server.runs.report import write_report
from guard.server.runs.store import RunRequest, RunStore
from guard.server.state import State
from guard.wire import Phase, RunProgress
from judge.errors import BudgetReached, FlamesJudgeError, InputError, JudgeUnavailable
from judge.llm.about import about
from judge.readers import read_records
from judge.records import BadRow, Record
from judge.run_folder import RunFolder
from judge.scoring import Progress, ScoreOptions, Scoring
from judge.verdict import FailureKind, Hazard

LOOK_S: Final = 0.25  # between looks at whether a run was cancelled, and words on how far it is
WIDTH: Final = 16
COUNTED_AT_ONCE: Final = 1000  # rows
_log = logging.getLogger("flames_judge.serve")


class Cancelled(Exception):
    """The caller has changed their mind."""


class Hopeless(Exception):
    """The run can't be done as it is, whatever is waited for; says why."""


class Job:
    """A run that this worker holds.

    Args:
        state: what all requests share.
        store: where the run is.
        request: what was asked.
        run: its folder, held.
    """

    def __init__(self, state: State, store: RunStore, request: RunRequest, run: RunFolder) -> None:
        self._state, self._store, self._request, self._run = state, store, request, run
        self._ref, self._rests_s = request.ref, state.limits.run_rests_s
        self._progress = store.progress(self._ref)
        self._settled: Counter[str] = Counter()  # rows of the log that are not judged again
        self._told = self._progress

    async def work(self) -> bool:
        """Work until the run has ended; gives whether its end could be written down."""
        try:
            end = await self._end()
        except asyncio.CancelledError:
            self._say("queued")  # another worker, or this server's next start, goes on with it
            raise
        if end.phase != "done":
            with suppress(FlamesJudgeError, OSError):
                await asyncio.to_thread(self._report, end.phase)
        return self._say(end.phase, end.problem)

    async def _end(self) -> _End:
        """Try, and try again where waiting may help."""
        rests, before = iter(self._rests_s), self._progress
        while True:
            if self._progress.judged > before.judged:  # it went on: patience begins anew
                rests, before = iter(self._rests_s), self._progress
            try:
                await self._attempt()
            except Cancelled:
                return _End("cancelled")
            except Hopeless as error:
                return _End("failed", str(error))
            except BudgetReached:
                await self._pause(
                    "the day's budget is spent", lambda: self._state.bench.budget.open
                )
            except (JudgeUnavailable, InputError, OSError) as error:
                problem, rest = self._setback(error), next(rests, None)
                if rest is None:
                    return _End("failed", problem)
                await self._pause(problem, _later(rest))
            except Exception as error:  # noqa: BLE001 - told without its text, which may be a user's
                _log.error("run %s: %s", self._ref.id, raised_at(error))
                return _End("failed", "the server has failed")
            else:
                return _End("done")

    def _setback(self, error: Exception) -> str:
        """What holds the run up, for its caller; of one that is wanted the operator hears too."""
        problem = _setback(error)
        if self._is_wanted():  # not one that was deleted, and so can't be written
            _log.warning("run %s: %s", self._ref.id, problem)
        return problem

    async def _attempt(self) -> None:
        """Judge what is not judged yet, and report on all.

        Raises:
            Cancelled, Hopeless: the run ends here.
            FlamesJudgeError, OSError: it may be tried again.
        """
        self._check()
        rows = await asyncio.to_thread(self._survey)
        try:
            scoring = await asyncio.to_thread(self._scoring)
        except InputError as error:  # the log holds another judge's rows
            told = f"{error.problem}: the server judges otherwise now"
            raise Hopeless(f"{told} (submit the file again)") from None
        self._progress = RunProgress(rows=rows)
        self._observe(scoring.progress)
        with about(self._request.caller or ANYONE):
            done = await self._watched(scoring.score(self._rows()))
        if not done:
            raise BudgetReached
        await asyncio.to_thread(self._report, "done")

    def _check(self) -> None:
        """Whether it may go on.

        Raises:
            Cancelled, Hopeless: it may not.
            InputError, OSError: not at the moment.
        """
        if self._store.cancelled(self._ref):
            raise Cancelled
        self._check_key()
        if not self._store.has_room(SPARE * self._state.limits.run_bytes):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _check_key(self) -> None:
        """What a key has asked for isn't done any more once the key is taken back.

        Raises:
            Hopeless: it is.
            InputError: the file of keys can't be read, so that nobody knows.
        """
        keys, caller = self._state.keys, self._request.caller
        if keys is not None and caller is not None and not keys.knows(caller):
            raise Hopeless("its key was taken back")

    async def _watched(self, scoring: Coroutine[Any, Any, bool]) -> bool:
        """Score until done, unless the run is cancelled or the disk fills."""
        task = asyncio.ensure_future(scoring)
        self._say("running")
        try:
            while not (await asyncio.wait([task], timeout=LOOK_S))[0]:
                self._check()
                if self._progress != self._told:
                    self._say("running")
            return task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _pause(self, problem: str, over: Callable[[], bool]) -> None:
        """Wait until that is over, or nobody wants the run any more."""
        self._say("paused", problem)
        while not over() and self._is_wanted():  # noqa: ASYNC110 - files tell
            await asyncio.sleep(min((LOOK_S, *self._rests_s)))

    def _is_wanted(self) -> bool:
        try:
            self._check_key()
        except Hopeless:
            return False
        except InputError:
            pass
        return not self._store.cancelled(self._ref)

    def _rows(self) -> Iterator[Record | BadRow]:
        """The file's rows.

        Raises:
            Hopeless: it can't be read as a whole.
        """
        options = reading(self._state.rubrics, self._request.options)
        try:
            yield from of_a_size(read_records([self._store.input(self._ref)], options))
        except InputError as error:
            raise Hopeless(in_words(error)) from None

    def _survey(self) -> int:
        """How many rows there are; of the log's, those that are not judged again are counted."""
        last: dict[int, str | None] = {}
        for entry in self._run.entries():
            again = entry.type == "withdrawn" or (entry.kind is not None and entry.kind.transient)
            last[entry.key] = None if again else entry.kind or entry.type
        self._settled = Counter(what for what in last.values() if what is not None)
        if self._progress.rows is not None:
            return self._progress.rows
        most, number = self._state.limits.run_rows, 0
        for number, _ in enumerate(self._rows(), 1):
            if number > most:
                raise Hopeless(f"the file has more than {most:,} rows (split it)")
            if number % COUNTED_AT_ONCE == 0:
                self._check()
        return number

    def _scoring(self) -> Scoring:
        bench = self._state.bench
        return Scoring(
            bench.judge,
            self._state.rubrics,
            self._run,
            ScoreOptions(
                hazard=Hazard.UNKNOWN if self._request.options.ordinary else Hazard.KNOWN,
                width=1 if bench.judge.batch_size > 1 else WIDTH,
            ),
            now=lambda: datetime.now(UTC),
            observe=self._observe,
        )

    def _report(self, phase: Phase) -> None:
        """Write the summary: of the whole run, or of what there is by now."""
        known = self._progress
        warnings: tuple[str, ...] = ()
        if phase != "done":
            if not self._run.log.stat().st_size:
                return
            total = "an unknown number of" if known.rows is None else f"{known.rows:,}"
            warnings = (f"the run is {phase}: {known.done:,} of {total} rows are through",)
        write_report(self._state, self._run, known.bad_rows, warnings)

    def _observe(self, now: Progress) -> None:
        """Called after each change."""
        failures = {
            kind: now.failures[kind] + self._settled[kind]
            for kind in FailureKind
            if now.failures[kind] + self._settled[kind]
        }
        self._progress = RunProgress(
            rows=self._progress.rows,
            done=max(now.done, self._settled.total()),
            judged=now.judged + self._settled["verdict"],
            filtered=now.filtered + self._settled["filtered"],
            failures=failures,
            bad_rows=now.bad,
        )

    def _say(self, phase: Phase, problem: str | None = None) -> bool:
        """Write down where the run is; gives whether that could be done."""
        self._told = self._progress
        told = self._progress.model_copy(update={"phase": phase, "problem": problem})
        try:
            self._store.tell(self._ref, told)
        except InputError:
            return False
        return True


class _End(NamedTuple):
    phase: Phase
    problem: str | None = None


def _later(seconds: float) -> Callable[[], bool]:
    """Whether so many seconds are over, from now on."""
    until = time.monotonic() + seconds
    return lambda: time.monotonic() >= until


def _setback(error: Exception) -> str:
    """What holds a run up, for its caller."""
    if isinstance(error, JudgeUnavailable):
        return "the judge can't be reached"
    why = error.strerror if isinstance(error, OSError) else getattr(error, "problem", "")
    return f"the server can't go on: {why}"
