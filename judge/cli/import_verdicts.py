"""`flames-judge import-verdicts`: another judge's verdicts as a run like our own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from judge.cli import options as o
from judge.cli.label_map import MapLabel, label_map

if TYPE_CHECKING:
    from judge.imported import Imported, ImportOptions, Records
    from judge.records import BadRow
    from judge.report.model import Report, RunFacts
    from judge.rubric import Rubrics
    from judge.run_folder import RunFolder


def import_verdicts(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="JSONL, CSV or Parquet: id, dimension, label, ..."),
    ],
    judge: Annotated[str, typer.Option(metavar="NAME", help="Whose verdicts they are.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="RUN", help="The run's folder.")],
    records: Annotated[
        Path | None, typer.Option(help="The answers that were judged, for their texts.")
    ] = None,
    label_field: Annotated[str, typer.Option(help="The label's field.")] = "label",
    map_label: MapLabel = None,
    dimension: Annotated[
        str | None, typer.Option(help="The dimension of rows that name none.")
    ] = None,
    rubrics: o.RubricsOption = None,
    max_unjudged: o.MaxUnjudged = 0.2,
    confidence: o.Confidence = 0.95,
    json: Annotated[
        bool, typer.Option("--json", help="Print summary.json instead of tables.")
    ] = False,
) -> None:
    """Take another judge's verdicts as a run.

    Such a run can be calibrated, compared and reported.
    """
    from judge.cli.status import left_unjudged
    from judge.imported import MEANINGS, ImportOptions
    from judge.report.from_log import flames_prompts
    from judge.report.model import RunFacts
    from judge.rubric import load_rubrics
    from judge.run_folder import RunFolder

    loaded = load_rubrics(rubrics)
    options = ImportOptions(
        judge=judge,
        rubrics=loaded,
        model=_stem(file),
        dimension=dimension,
        label_field=label_field,
        labels=label_map(map_label, MEANINGS),
        records=None if records is None else _records(records, loaded, dimension),
    )
    rows = _rows(file, options)
    facts = RunFacts(
        judge=judge,
        fingerprints={name: options.ref(rubric).fingerprint for name, rubric in loaded.items()},
        flames_prompts=flames_prompts(),
        confidence=confidence,
        max_unjudged=max_unjudged,
    )
    with RunFolder.hold(out) as run:
        bad = _write(run, rows, judge)
        report = _summary(run, loaded, facts.model_copy(update={"bad_rows": len(bad)}))
    _print(report, bad, json=json)
    if bad or left_unjudged(report):
        raise typer.Exit(3)


def _stem(file: Path) -> str:
    """The model of a file's rows that name none, as the readers have it."""
    plain = file.name.removesuffix(".gz")
    return Path(plain).stem or plain


def _rows(file: Path, options: ImportOptions) -> Iterator[Imported | BadRow]:
    """The file's rows; the first is read before this returns: a file without one makes no run."""
    from judge.gold.files import table_rows
    from judge.imported import VerdictParser

    parser = VerdictParser(options)
    label = options.label_field.strip().lower()  # as a table's columns are read
    numbered = table_rows(file, [("id", "record_id"), (label,)])
    whole = chain([next(numbered)], numbered)
    return (parser.parse(row, f"{file}:{line}") for line, row in whole)


def _records(file: Path, rubrics: Rubrics, dimension: str | None) -> Records:
    """The records that were judged.

    Raises:
        InputError: the file, or a row of it, can't be read.
    """
    from judge.errors import InputError
    from judge.imported import Records
    from judge.readers import ReadOptions, read_records
    from judge.records import BadRow

    found = []
    for row in read_records([file], ReadOptions(rubrics=rubrics, dimension=dimension)):
        if isinstance(row, BadRow):
            raise InputError(row.reason, file=row.source, mend=row.mend)
        found.append(row)
    return Records(found, frozenset({_stem(file)}))


def _write(run: RunFolder, rows: Iterator[Imported | BadRow], judge: str) -> list[BadRow]:
    """Append the rows; those of an earlier import that are no longer there are withdrawn.

    Raises:
        InputError: the folder holds another judge's run.
    """
    from datetime import UTC, datetime

    from judge.errors import InputError
    from judge.records import BadRow
    from judge.runlog import outcome_line, row_key

    earlier = set()
    for entry in run.entries() if run.log.exists() else ():
        if entry.judge is not None and entry.judge.name != judge:
            mend = "give another folder, or delete this one"
            raise InputError(f"holds verdicts of {entry.judge.name}", file=run.folder, mend=mend)
        earlier.add(entry.key)
    bad: list[BadRow] = []
    now = datetime.now(UTC)
    with run.bad_rows() as note:
        for row in rows:
            if isinstance(row, BadRow):
                note(row)
                bad.append(row)
                continue
            record = row.case.record
            run.append([outcome_line(row.case, row.outcome, now)])
            earlier.discard(row_key(record.model, record.id, row.outcome.dimension))
    run.withdraw(earlier, now)
    return bad


def _summary(run: RunFolder, rubrics: Rubrics, facts: RunFacts) -> Report:
    from judge.report.from_log import run_report

    report = run_report(run.entries(), rubrics, facts)
    run.write_summary(report.to_json())
    return report


def _print(report: Report, bad: list[BadRow], *, json: bool) -> None:
    from rich.console import Console

    from judge.render import show
    from judge.text import visible

    if json:
        sys.stdout.write(report.to_json())
    else:
        show(report, Console(highlight=False))
    for row in bad:
        told = visible(f"{row.source}: {row.reason} ({row.mend})")
        print(f"flames-judge: {told}", file=sys.stderr)
