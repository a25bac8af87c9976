"""Which of a command's files an error is about: what is computed from values knows no files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from judge.errors import InputError

if TYPE_CHECKING:
    from judge.rubric import Rubrics


@contextmanager
def naming(file: Path | None) -> Iterator[None]:
    """Let errors of the body that name no file name this one.

    Raises:
        InputError: the same, with the file.
    """
    try:
        yield
    except InputError as error:
        if error.file is not None or file is None:
            raise
        raise InputError(error.problem, file=file, line=error.line, mend=error.mend) from None


@contextmanager
def naming_gold(file: Path | None, rubrics: Rubrics) -> Iterator[None]:
    """Let errors of the body about gold name its file and, where it is one row's, its line.

    Raises:
        InputError: the same, with its place.
    """
    from judge.gold.files import line_of
    from judge.gold.model import GoldError

    try:
        yield
    except GoldError as error:
        if file is None:
            raise
        line = None if error.row is None else line_of(file, error.row, rubrics)
        raise InputError(error.problem, file=file, line=line, mend=error.mend) from None
