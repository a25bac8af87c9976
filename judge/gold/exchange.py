"""What the importers of other tools' annotations share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from judge.errors import InputError
from judge.gold.model import LabelTask, RowKey
from judge.records import UnreadableRowError
from judge.rows import Row, whole_number

SKIP = "skip"
MEANINGS = ("3", "2", "1", SKIP)
Numbered = tuple[int, Row]
Marks = Callable[[Mapping[str, Any], "ImportOptions"], Iterator[dict[str, Any]]]


@dataclass(frozen=True)
class ImportOptions:
    """How another tool's annotations are read.

    Args:
        annotator_field: where the annotator stands, dots leading into objects; null for the
            tool's own.
        label_fields: the question, control or column of the label; a table may have several.
        adjudicated_field: a table's column with the adjudicated label.
        labels: what the tool's labels mean: 3, 2, 1, or `skip`.
        dimension: of rows that name none.
    """

    annotator_field: str | None = None
    label_fields: tuple[str, ...] = ("label",)
    adjudicated_field: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    dimension: str | None = None

    def label(self, value: object) -> object:
        """A label as gold has it; what isn't known is left, to be refused by its line."""
        if value is None or value == "":
            return None
        meaning = self.labels.get(whole_number(value) or str(value).strip(), value)
        return None if meaning == SKIP else meaning


def gold_rows(rows: Iterator[Numbered], marks: Marks, options: ImportOptions) -> Iterator[Numbered]:
    """Another tool's rows as rows of gold.jsonl, several for one where several people marked it."""
    for line, row in rows:
        if isinstance(row, UnreadableRowError):
            yield line, row
            continue
        try:
            found = list(marks(row, options))
        except UnreadableRowError as error:
            yield line, error
            continue
        yield from ((line, mark) for mark in found)


def row_name(row: Mapping[str, Any], options: ImportOptions) -> dict[str, Any]:
    """The fields that name a row, from an object that holds them."""
    named = {name: row.get(name) for name in ("record_id", "model", "dimension")}
    if named["record_id"] in (None, ""):
        named["record_id"] = row.get("id")
    if named["dimension"] in (None, ""):
        named["dimension"] = options.dimension
    return {name: value for name, value in named.items() if value not in (None, "")}


def at_path(row: Mapping[str, Any], path: str) -> object:
    """What stands at `a.b.c`, or None."""
    value: object = row
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def person(value: object) -> str | None:
    """An annotator's name: text, a number, or an object with `email`, `username` or `id`."""
    if isinstance(value, Mapping):
        known = (value.get(name) for name in ("email", "username", "id"))
        value = next((name for name in known if name not in (None, "")), None)
    return None if value is None or value == "" else str(value)


def with_designs(
    rows: Iterator[Numbered], tasks: Mapping[RowKey, LabelTask], file: object
) -> Iterator[Numbered]:
    """Gold rows with the design and inclusion of the tasks that they were made from.

    Raises:
        InputError: a row isn't one of the tasks.
    """
    by_id: dict[tuple[str | None, str], list[LabelTask]] = {}
    for key, task in tasks.items():
        by_id.setdefault((key.model, key.record_id), []).append(task)
    for line, row in rows:
        if isinstance(row, UnreadableRowError):
            yield line, row
            continue
        same = by_id.get((row.get("model"), str(row.get("record_id"))), [])
        fits = [t for t in same if row.get("dimension") in (None, t.dimension)]
        if len(fits) != 1:
            mend = "is --tasks the file that was exported?"
            raise InputError("is none of the tasks", file=file, line=line, mend=mend)
        drawn = fits[0].model_dump(include={"dimension", "design", "inclusion"})
        yield line, {**row, **drawn}
