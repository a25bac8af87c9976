"""Tables of marks, CSV, Parquet or JSON lines: a mark a row, or a column for each annotator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from judge.gold.exchange import ImportOptions, at_path, person, row_name
from judge.gold.model import ADJUDICATOR
from judge.records import UnreadableRowError


def marks(row: Mapping[str, Any], options: ImportOptions) -> Iterator[dict[str, Any]]:
    """The marks in a row, as rows of gold.jsonl.

    With an annotator's field the row is one mark. Without it each label field is an annotator's
    column, whose name is the annotator's; an empty cell is no mark.

    Raises:
        UnreadableRowError: it lacks one of the fields.
    """
    name = row_name(row, options)
    for column in options.label_fields:
        value = _cell(row, column)
        if options.annotator_field is not None:
            who = person(_annotator(row, options.annotator_field))
            told = {field: row.get(field) for field in ("at", "note") if row.get(field)}
            yield {**name, "label": options.label(value), "annotator": who, **told}
        elif value not in (None, ""):
            yield {**name, "label": options.label(value), "annotator": column}
    if options.adjudicated_field is not None:
        decided = _cell(row, options.adjudicated_field)
        if decided not in (None, ""):
            yield {**name, "label": options.label(decided), "annotator": ADJUDICATOR}


def _cell(row: Mapping[str, Any], column: str) -> object:
    for name in (column, column.strip().lower()):  # a table's columns are in lower case
        if name in row:
            return row[name]
    mend = "name the columns of labels with --label-field"
    raise UnreadableRowError(f"has no `{column}`", mend)


def _annotator(row: Mapping[str, Any], path: str) -> object:
    first, *inwards = path.split(".")
    for name in (first, first.strip().lower()):
        if name in row:
            return at_path(row, ".".join((name, *inwards)))
    raise UnreadableRowError(f"has no `{path}`", "name the annotator's column")
