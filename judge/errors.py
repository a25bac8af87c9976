"""The errors that end a run; a failure of one row is a value (`judge.verdict.Failure`).

    FlamesJudgeError            anything that the product says to its user
    ├── InputError              the user's file, flag or configuration; says how to mend it
    ├── JudgeUnavailable        no row can be judged: refused key, unknown model, unreachable server
    └── BudgetReached           the budget was spent; the run is complete up to here and resumable

Command-line exit statuses: 2 for the first two, 3 for a stopped budget.
"""

from __future__ import annotations


class FlamesJudgeError(Exception):
    """Base of every error that is shown to the user as one line, without a traceback."""


class InputError(FlamesJudgeError):
    """A user's mistake: names the place, what is wrong there, and the mend.

    Args:
        problem: what is wrong, in a few words.
        file: the file (or flag) that it is about.
        line: 1-based line or row number in `file`.
        mend: what the user can do about it.
    """

    def __init__(
        self, problem: str, *, file: object = None, line: int | None = None, mend: str = ""
    ) -> None:
        self.problem, self.file, self.line, self.mend = problem, file, line, mend
        place = "" if file is None else f"{file}:{line}: " if line is not None else f"{file}: "
        super().__init__(f"{place}{problem}" + (f" ({mend})" if mend else ""))


class JudgeUnavailable(FlamesJudgeError):
    """No row can be judged as things stand; trying the next row would fail in the same way."""


class BudgetReached(FlamesJudgeError):
    """The budget is spent: no further call is made."""
