"""gold.jsonl and to_label.jsonl on disk: every bad line is an error of its own, with its mend."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from judge.errors import InputError
from judge.gold.model import Drawn, GoldLabel, LabelTask, RowKey
from judge.journal import replace_file
from judge.misfits import misfits
from judge.readers.source import open_sources
from judge.records import UnreadableRowError
from judge.rows import Row
from judge.rubric import Rubrics

_NEEDED = (("record_id",), ("dimension",), ("label",))
Numbered = tuple[int, Row]
T = TypeVar("T", bound=Drawn)


@dataclass(frozen=True)
class GoldFile:
    """A gold file: the good lines, and one error for each bad one."""

    labels: tuple[GoldLabel, ...]
    problems: tuple[InputError, ...]


def read_gold(file: Path, rubrics: Rubrics) -> tuple[GoldLabel, ...]:
    """The marks of a gold file, with the rubrics' names of the dimensions.

    Raises:
        InputError: the file can't be read, or names its first bad line and how many there are.
    """
    found = parse_gold(table_rows(file, _NEEDED), file, rubrics)
    if found.problems:
        first, more = found.problems[0], len(found.problems) - 1
        problem = first.problem + (f"; {more:,} more lines are bad" if more else "")
        raise InputError(problem, file=file, line=first.line, mend=first.mend)
    return found.labels


def parse_gold(rows: Iterable[Numbered], file: object, rubrics: Rubrics) -> GoldFile:
    """Check a gold file's rows, one by one and against each other.

    Two marks of one annotator on one row may stand there if they are equal: the first counts.

    Args:
        rows: line numbers and rows.
        file: its name, for errors.
        rubrics: those in use.
    """
    checked = _Checked(file, rubrics)
    for line, row in rows:
        checked.take(line, row)
    return GoldFile(tuple(checked.labels), tuple(checked.problems))


def read_tasks(file: Path, rubrics: Rubrics) -> tuple[LabelTask, ...]:
    """The rows to be labelled, with the rubrics' names of the dimensions.

    Raises:
        InputError: the file can't be read, or a line of it.
    """
    tasks: dict[RowKey, LabelTask] = {}
    for line, row in table_rows(file, (("record_id",),)):
        task = named(parsed(LabelTask, row, file, line), rubrics, file, line)
        if task.key in tasks:
            raise InputError("the row stands twice", file=file, line=line, mend="keep one")
        tasks[task.key] = task
    return tuple(tasks.values())


def line_of(file: Path, row: RowKey, rubrics: Rubrics) -> int | None:
    """The first line of a gold file that is about a row; None where it can't be read again."""
    if str(file) == "-":
        return None
    for line, found in table_rows(file, _NEEDED):
        try:
            label = named(parsed(GoldLabel, found, file, line), rubrics, file, line)
        except InputError:
            continue
        if label.key == row:
            return line
    return None


def gold_lines(labels: Iterable[GoldLabel]) -> Iterator[str]:
    """The lines of gold.jsonl, each with its newline."""
    from pydantic_core import to_json

    return (to_json(label.fields()).decode() + "\n" for label in labels)


def task_lines(tasks: Iterable[LabelTask]) -> Iterator[str]:
    """The lines of to_label.jsonl, each with its newline."""
    return (task.model_dump_json() + "\n" for task in tasks)


def write_lines(file: Path, lines: Iterable[str]) -> None:
    """Write a whole file in one step.

    Raises:
        InputError: it can't be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"can't be written: {error.strerror}", file=file) from None
    replace_file(file, "".join(lines))


def table_rows(file: Path, needed: Iterable[tuple[str, ...]]) -> Iterator[Numbered]:
    """The rows of a JSON, CSV or Parquet file with their numbers; `needed` are a table's columns.

    Raises:
        InputError: it can't be read.
    """
    (source,) = open_sources([file], None, list(needed))
    return replace(source, whole=True).rows()


def parsed(kind: type[T], row: Row, file: object, line: int) -> T:
    """A row as a model.

    Raises:
        InputError: names the line, the field and the problem, without any text of the row.
    """
    if isinstance(row, UnreadableRowError):
        raise InputError(row.reason, file=file, line=line, mend=row.mend)
    try:
        return kind.model_validate(_without_blanks(row))
    except ValidationError as error:
        raise _refused(error, kind, file, line) from None


def _without_blanks(row: Mapping[str, Any]) -> dict[str, Any]:
    """An empty cell is no value, but a label is to be given, if only as null."""
    kept = {name: value for name, value in row.items() if value is not None and value != ""}
    return {"label": None} | kept if "label" in row else kept


def _refused(error: ValidationError, kind: type[Drawn], file: object, line: int) -> InputError:
    first, shape = next(misfits(error, kind)), f"a line is {kind.SHAPE}"
    field = ".".join(map(str, first.place))
    if error.errors()[0]["type"] == "missing":
        return InputError(f"has no `{field}`", file=file, line=line, mend=shape)
    if field in {"label", "first_label"}:
        mend = "labels are 3, 2, 1, or null for a skipped row"
        return InputError("the label is none of 3, 2, 1", file=file, line=line, mend=mend)
    mend = f"{shape}; see docs/formats.md"
    return InputError(first.problem, file=file, line=line, mend=mend)


def named(row: T, rubrics: Rubrics, file: object, line: int) -> T:
    """The row with the rubric's own name of its dimension.

    Raises:
        InputError: no rubric has that name.
    """
    rubric = rubrics.find(row.dimension)
    if rubric is None:
        known = f"one of {', '.join(rubrics)}, or name your rubrics' folder with --rubrics"
        raise InputError("no rubric has its `dimension`", file=file, line=line, mend=known)
    return row.model_copy(update={"dimension": rubric.dimension})


class _Checked:
    """Takes a gold file's rows in order."""

    def __init__(self, file: object, rubrics: Rubrics) -> None:
        self.labels: list[GoldLabel] = []
        self.problems: list[InputError] = []
        self._file, self._rubrics = file, rubrics
        self._marks: dict[tuple[RowKey, str | None], tuple[int, GoldLabel]] = {}
        self._drawn: dict[RowKey, tuple[int, GoldLabel]] = {}

    def take(self, line: int, row: Row) -> None:
        try:
            label = named(parsed(GoldLabel, row, self._file, line), self._rubrics, self._file, line)
            self._on_scale(label, line)
            repeated = self._repeated(label, line)
            self._drawn_alike(label, line)
        except InputError as error:
            self.problems.append(error)
            return
        if not repeated:
            self.labels.append(label)

    def _on_scale(self, label: GoldLabel, line: int) -> None:
        scale = self._rubrics[label.dimension].labels
        for said in (label.label, label.first_label):
            if said is not None and said not in scale:
                problem = f"the label {said} is not on the scale of {label.dimension}"
                known = ", ".join(map(str, scale))
                raise self._problem(problem, line, f"{label.dimension} is labelled {known}")

    def _repeated(self, label: GoldLabel, line: int) -> bool:
        first, before = self._marks.setdefault((label.key, label.annotator), (line, label))
        if before.label != label.label:
            raise self._problem(
                f"contradicts line {first}: the same row has another label there, by the same"
                " annotator",
                line,
                "keep one of them",
            )
        return before is not label

    def _drawn_alike(self, label: GoldLabel, line: int) -> None:
        first, before = self._drawn.setdefault(label.key, (line, label))
        if (before.drawn_by, before.inclusion) != (label.drawn_by, label.inclusion):
            raise self._problem(
                f"has another design or inclusion than the same row on line {first}",
                line,
                "a row is drawn once: give all its marks the same",
            )

    def _problem(self, problem: str, line: int, mend: str) -> InputError:
        return InputError(problem, file=self._file, line=line, mend=mend)
