"""`flames-judge gold`: labels from and for other annotation tools."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from judge.cli import options as o
from judge.cli.label_map import MapLabel, label_map

if TYPE_CHECKING:
    from collections.abc import Iterator

    from judge.gold.exchange import ImportOptions, Marks, Numbered
    from judge.gold.files import GoldFile
    from judge.rubric import Rubrics

app = typer.Typer(
    no_args_is_help=True, help="Labels from and for Label Studio, Argilla and tables."
)
MOST_PROBLEMS = 20  # of a file, listed one a line


class Source(StrEnum):
    """Whose annotations are read."""

    LABEL_STUDIO = "label-studio"
    ARGILLA = "argilla"
    TABLE = "table"


class Tool(StrEnum):
    """For whom tasks are written."""

    LABEL_STUDIO = "label-studio"
    ARGILLA = "argilla"


@app.command("import")
def import_gold(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The tool's JSON export, or a table.")
    ],
    source: Annotated[
        Source, typer.Option("--from", help="The tool; table: marks in JSON lines, CSV or Parquet.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write: gold.jsonl.")],
    annotator_field: Annotated[
        str | None,
        typer.Option(help="Where the annotator stands: completed_by, user_id; dots lead inwards."),
    ] = None,
    label_field: Annotated[
        list[str] | None,
        typer.Option(
            help="The control, question or column of the label; a table without --annotator-field"
            " may have one column for each annotator: repeatable."
        ),
    ] = None,
    adjudicated_field: Annotated[
        str | None, typer.Option(help="A table's column of adjudicated labels.")
    ] = None,
    map_label: MapLabel = None,
    tasks: Annotated[
        Path | None,
        typer.Option(help="The to_label.jsonl that was exported: how each row was drawn."),
    ] = None,
    dimension: Annotated[
        str | None, typer.Option(help="The dimension of rows that name none.")
    ] = None,
    rubrics: o.RubricsOption = None,
) -> None:
    """Take people's labels from another tool."""
    from judge.errors import InputError
    from judge.gold import gold_lines, parse_gold, write_lines
    from judge.gold.exchange import MEANINGS, ImportOptions
    from judge.rubric import load_rubrics

    loaded = load_rubrics(rubrics)
    options = ImportOptions(
        annotator_field=annotator_field,
        label_fields=tuple(label_field or ["label"]),
        adjudicated_field=adjudicated_field,
        labels=label_map(map_label, MEANINGS),
        dimension=dimension,
    )
    _check(source, options)
    found = parse_gold(_rows(file, source, options, (tasks, loaded)), file, loaded)
    if found.problems:
        _complain(found)
        raise typer.Exit(2)
    if not found.labels:
        raise InputError("holds no labels", file=file, mend="label first, then export again")
    write_lines(out, gold_lines(found.labels))
    names = {label.annotator for label in found.labels}
    print(f"{out}: {len(found.labels):,} labels of {len(names):,} annotators", file=sys.stderr)


def _check(source: Source, options: ImportOptions) -> None:
    from judge.errors import InputError

    if source is Source.TABLE:
        return
    if len(options.label_fields) > 1:
        problem = "several label fields are for --from table"
        raise InputError(problem, file="--label-field", mend="give one")
    if options.adjudicated_field is not None:
        raise InputError("is for --from table", file="--adjudicated-field", mend="leave it out")


def _rows(
    file: Path, source: Source, options: ImportOptions, drawn: tuple[Path | None, Rubrics]
) -> Iterator[Numbered]:
    from judge.gold import read_tasks
    from judge.gold.exchange import gold_rows, with_designs
    from judge.gold.files import table_rows

    columns = options.label_fields if source is Source.TABLE else ()
    needed = [(column.strip().lower(),) for column in columns]  # as a table's columns are read
    rows = gold_rows(table_rows(file, needed), _marks(source), options)
    tasks, rubrics = drawn
    if tasks is None:
        return rows
    return with_designs(rows, {task.key: task for task in read_tasks(tasks, rubrics)}, file)


def _marks(source: Source) -> Marks:
    from judge.gold import argilla, label_studio, table

    tools = {Source.LABEL_STUDIO: label_studio, Source.ARGILLA: argilla, Source.TABLE: table}
    marks: Marks = tools[source].marks
    return marks


def _complain(found: GoldFile) -> None:
    from judge.text import visible

    for problem in found.problems[:MOST_PROBLEMS]:
        print(f"flames-judge: {visible(str(problem))}", file=sys.stderr)
    more = len(found.problems) - MOST_PROBLEMS
    if more > 0:
        print(f"flames-judge: {more:,} more lines are bad; nothing was written", file=sys.stderr)


@app.command("export")
def export_tasks(
    file: Annotated[
        Path, typer.Argument(metavar="TO_LABEL", help="What `sample` drew: to_label.jsonl.")
    ],
    tool: Annotated[Tool, typer.Option("--to", help="The tool.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The JSON file to write.")],
    rubrics: o.RubricsOption = None,
) -> None:
    """Write drawn rows as tasks for another tool, without any verdict."""
    import json

    from judge.gold import argilla, label_studio, read_tasks, write_lines
    from judge.rubric import load_rubrics

    loaded = load_rubrics(rubrics)
    rows = read_tasks(file, loaded)
    used = label_studio.rubrics_of(rows, loaded)
    if tool is Tool.LABEL_STUDIO:
        made = [label_studio.task(row, loaded[row.dimension]) for row in rows]
        about = f"its labelling interface: {label_studio.interface(used)}"
    else:
        made = [argilla.record(row, loaded[row.dimension]) for row in rows]
        about = f"its settings: {argilla.settings(used)}"
    write_lines(out, [json.dumps(made, ensure_ascii=False, indent=1) + "\n"])
    print(f"{out}: {len(made):,} tasks; {about}", file=sys.stderr)
