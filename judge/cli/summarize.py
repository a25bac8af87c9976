"""`flames-judge summarize`: the same statistics from labels that are there already."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from judge.cli import options as o
from judge.cli.status import left_unjudged

if TYPE_CHECKING:
    from judge.readers import ReadOptions
    from judge.records import BadRow, Record
    from judge.report.model import Report, RunFacts
    from judge.rubric import Rubrics


def summarize(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE", help="Labelled files, or run folders; - for standard input."
        ),
    ],
    label_field: Annotated[
        str | None,
        typer.Option(help="The label's field: label, human_label or predicted without it."),
    ] = None,
    dimension: o.Dimension = None,
    map: o.CategoryMap = None,
    rubrics: o.RubricsOption = None,
    calibration: o.CalibrationOption = None,
    gold: o.GoldOption = None,
    target: o.TargetOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    max_unjudged: o.MaxUnjudged = 0.2,
    confidence: o.Confidence = 0.95,
) -> None:
    """Print harmless rates and scores of labelled rows.

    No judge is asked.
    """
    from judge.cli.corrected import Wanted, corrected_report
    from judge.errors import InputError
    from judge.readers import ReadOptions, load_category_map
    from judge.records import BadRow
    from judge.report.model import RunFacts
    from judge.rubric import load_rubrics

    loaded = load_rubrics(rubrics)
    logs = [log for log in map_logs(files) if log is not None]
    facts = RunFacts(judge="labels", confidence=confidence, max_unjudged=max_unjudged)
    if logs:
        if len(files) != 1:
            raise InputError(
                "one run folder is summarized at a time", file=files[0], mend="give it alone"
            )
        report, bad = _of_log(logs[0], loaded, facts), list[BadRow]()
        if calibration is not None:
            report = corrected_report(report, logs[0], loaded, Wanted(calibration, gold, target))
    else:
        if calibration is not None:
            problem = "corrects a run, not a file of labels"
            raise InputError(problem, file="--calibration", mend="give the run's folder")
        categories = None if map is None else load_category_map(map, loaded)
        read = ReadOptions(
            rubrics=loaded,
            dimension=dimension,
            categories=categories,
            labelled=True,
            label_field=label_field,
        )
        report, bad = _of_labels(files, read, facts)
    _print(report, bad, json)
    if bad or left_unjudged(report):
        raise typer.Exit(3)


def map_logs(files: Iterable[str]) -> Iterator[Path | None]:
    """For each file the log that it is, or that its folder holds; None for a file of labels."""
    for name in files:
        path = Path(name)
        log = path / "verdicts.jsonl" if path.is_dir() else path
        yield log if log.name == "verdicts.jsonl" and log.is_file() else None


def _of_log(log: Path, rubrics: Rubrics, facts: RunFacts) -> Report:
    from judge.report.from_log import run_report
    from judge.runlog import read_log

    names = {entry.judge.name for entry in read_log(log) if entry.judge is not None}
    judge = ", ".join(sorted(names)) or "labels"
    told = facts.model_copy(update={"judge": judge, "embedded": judge == "embedded"})
    return run_report(read_log(log), rubrics, told)


def _of_labels(files: list[str], read: ReadOptions, facts: RunFacts) -> tuple[Report, list[BadRow]]:
    from judge.readers import read_records
    from judge.records import BadRow
    from judge.report.from_log import label_report

    bad: list[BadRow] = []

    def good() -> Iterator[Record]:
        for row in read_records(files, read):
            if isinstance(row, BadRow):
                bad.append(row)
            else:
                yield row

    report = label_report(good(), read.rubrics, facts)
    return report.model_copy(update={"bad_rows": len(bad)}), bad


def _print(report: Report, bad: list[BadRow], json: bool) -> None:
    from rich.console import Console

    from judge.render import show
    from judge.text import visible

    if json:
        sys.stdout.write(report.to_json())
    else:
        show(report, Console(highlight=False))
    for row in bad:
        print(
            f"flames-judge: {visible(f'{row.source}: {row.reason} ({row.mend})')}", file=sys.stderr
        )
