"""The run that a command was given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from judge.errors import InputError

if TYPE_CHECKING:
    from judge.gold import RowKey
    from judge.judged import JudgedRow


def log_of(run: Path) -> Path:
    """The log that `run` is, or that its folder holds.

    Raises:
        InputError: there is none.
    """
    log = run / "verdicts.jsonl" if run.is_dir() else run
    if not log.is_file():
        problem = "holds no verdicts.jsonl" if run.is_dir() else "no such run"
        raise InputError(problem, file=run, mend="give the run's folder, or its verdicts.jsonl")
    return log


def rows_of_log(log: Path) -> dict[RowKey, JudgedRow]:
    """The rows of a run that a judge was asked about.

    Raises:
        InputError: the log can't be read, or has no such row.
    """
    from judge.judged import judged_rows
    from judge.runlog import read_log

    rows = judged_rows(read_log(log))
    if not rows:
        raise InputError("holds no judged row", file=log, mend="score some answers first")
    return rows
