"""How far a run is: a bar on a terminal, quiet lines elsewhere; always on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from judge.text import visible

LINES = 10  # quiet lines over a whole run


class Reporter(Protocol):
    """Shows where the run is."""

    def update(self, done: int, note: str) -> None:
        """`done` rows are through; `note` holds cost and failures so far."""

    def say(self, message: str) -> None:
        """A line that stays."""


@contextmanager
def reporting(total: int | None, unit: str, clock: Callable[[], float]) -> Iterator[Reporter]:
    """A reporter fit for standard error as it is.

    Args:
        total: how many rows there will be, or None.
        unit: what is counted, for people.
        clock: seconds, for the rate.
    """
    if not sys.stderr.isatty():
        yield _Lines(total, unit, clock)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True, markup=False, highlight=False)
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TextColumn("{task.fields[rate]}"),
    )
    rest = (TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.fields[note]}"))
    with Progress(*columns, *rest, console=console, transient=True) as bar:
        task = bar.add_task("", total=total, note="", rate="")
        yield _Bar(bar, task, clock)


class _Bar:
    def __init__(self, bar: object, task: object, clock: Callable[[], float]) -> None:
        from rich.progress import Progress, TaskID

        assert isinstance(bar, Progress)
        self._bar, self._task = bar, TaskID(int(str(task)))
        self._clock, self._start = clock, clock()

    def update(self, done: int, note: str) -> None:
        seconds = self._clock() - self._start
        rate = f"{done / seconds:.1f}/s" if seconds > 0 else ""
        self._bar.update(self._task, completed=done, note=note, rate=rate)

    def say(self, message: str) -> None:
        self._bar.console.print(f"flames-judge: {visible(message)}")


class _Lines:
    def __init__(self, total: int | None, unit: str, clock: Callable[[], float]) -> None:
        self._total, self._unit, self._clock = total, unit, clock
        self._start, self._next = clock(), self._step(0)

    def _step(self, done: int) -> int:
        """When the next line is due: each tenth, or at doubled counts when the end is unknown."""
        if self._total is None:
            return max(100, done * 2)
        return done + max(1, self._total // LINES)

    def update(self, done: int, note: str) -> None:
        if done < self._next:
            return
        self._next = self._step(done)
        seconds = self._clock() - self._start
        rate = done / seconds if seconds > 0 else 0.0
        total = "" if self._total is None else f" of {self._total:,}"
        left = self._total - done if self._total is not None and rate else None
        eta = f", {left / rate:.0f} s left" if left else ""
        self.say(f"{done:,}{total} {self._unit}, {rate:.1f}/s{eta}{', ' + note if note else ''}")

    def say(self, message: str) -> None:
        print(f"flames-judge: {visible(message)}", file=sys.stderr, flush=True)
