"""`flames-judge compare`: which judge agrees with people, how far, and at what price."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from judge.cli import options as o
from judge.errors import InputError

if TYPE_CHECKING:
    from judge.comparison.cells import Cells
    from judge.comparison.figures import FigureOptions
    from judge.comparison.model import TunedCascade
    from judge.comparison.runs import JudgeRun

MARGIN = 0.02


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN", help="Run folders, or their verdicts.jsonl: a judge each."),
    ],
    gold: Annotated[Path, typer.Option(help="People's labels: gold.jsonl.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the figures to this JSON file.")
    ] = None,
    cost: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RUN=USD", help="Price of 1,000 rows where the run doesn't tell; repeatable."
        ),
    ] = None,
    tune_cascade: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="CHEAP STRONG",
            help="Two of the runs: find the doubt band of a cascade of their judges.",
        ),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            max=0.5,
            callback=o.finite,
            help="With --tune-cascade: agreement that it may lose against STRONG alone; 0.02.",
        ),
    ] = None,
    confidence: o.Confidence = 0.95,
    seed: Annotated[int, typer.Option(min=0, help="Of the intervals' draws, and of halves.")] = 0,
    rubrics: o.RubricsOption = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the figures as JSON instead of tables.")
    ] = False,
) -> None:
    """Compare judges on labelled rows.

    Agreement, errors, calibration, cost and time, side by side, with paired tests.
    """
    from judge.cli.at_fault import naming_gold
    from judge.comparison.cells import make_cells
    from judge.comparison.compare import check_runs
    from judge.comparison.compare import compare as compared
    from judge.comparison.figures import FigureOptions
    from judge.gold import read_gold
    from judge.rubric import load_rubrics

    loaded = load_rubrics(rubrics)
    check_runs(len(runs))
    if margin is not None and tune_cascade is None:
        raise InputError("is for --tune-cascade", file="--margin", mend="give that too, or neither")
    read = _read(runs)
    figures = FigureOptions(confidence, seed, _costs(cost or (), read))
    labels = {name: rubric.labels for name, rubric in loaded.items()}
    with naming_gold(gold, loaded):
        cells = make_cells(read, read_gold(gold, loaded), labels)
    cascade = None
    if tune_cascade is not None:
        cascade = _tuned(read, cells, (tune_cascade, margin or MARGIN, figures))
    found = compared(read, cells, figures).model_copy(update={"cascade": cascade})
    if out is not None:
        from judge.gold import write_lines

        write_lines(out, [found.to_json()])
    if json:
        sys.stdout.write(found.to_json())
    else:
        from rich.console import Console

        from judge.render_compare import show_comparison

        show_comparison(found, Console(highlight=False))
    if cascade is not None and cascade.refused is not None:
        from judge.text import visible

        print(f"flames-judge: {visible(cascade.refused)}", file=sys.stderr)
        raise typer.Exit(4)


def _read(runs: Sequence[Path]) -> Sequence[JudgeRun]:
    """The runs, with names that tell them apart.

    Raises:
        InputError: one can't be read or holds nothing, or is given twice.
    """
    from judge.cli.run_log import log_of
    from judge.comparison.runs import named_runs, read_run
    from judge.runlog import read_log

    logs = [log_of(run) for run in runs]
    for place, log in enumerate(logs):
        if any(log.samefile(other) for other in logs[:place]):
            raise InputError("is given twice", file=runs[place], mend="give each judge's run once")
    found = [read_run(str(run), read_log(log)) for run, log in zip(runs, logs, strict=True)]
    for log, run in zip(logs, found, strict=True):
        if not run.rows:
            raise InputError("holds no judged row", file=log, mend="score some answers first")
    return named_runs(found)


def _costs(given: Sequence[str], runs: Sequence[JudgeRun]) -> dict[int, float]:
    """Prices by the runs' places.

    Raises:
        InputError: one isn't RUN=USD, or names none of the runs.
    """
    from judge.comparison.runs import find_run

    found: dict[int, float] = {}
    for text in given:
        name, _, usd = text.rpartition("=")
        try:
            price = float(usd)
        except ValueError:
            price = -1.0
        if not name or not 0 <= price < float("inf"):
            mend = "write it as in my.flames=0.35"
            raise InputError(f"{text!r} is no run with a price", file="--cost", mend=mend)
        found[find_run(runs, name, "--cost")] = price
    return found


def _tuned(
    runs: Sequence[JudgeRun],
    cells: Cells,
    wanted: tuple[tuple[str, str], float, FigureOptions],
) -> TunedCascade:
    from judge.comparison.runs import find_run
    from judge.comparison.tuning import FLAG, TuneOptions, tune

    (cheap, strong), margin, figures = wanted
    first, second = find_run(runs, cheap, FLAG), find_run(runs, strong, FLAG)
    return tune(runs, cells, TuneOptions(first, second, margin, figures))
