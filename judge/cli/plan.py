"""`flames-judge plan`: how many labels a figure takes."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from judge.cli import options as o
from judge.cli.calibrate import promise_of
from judge.errors import InputError

if TYPE_CHECKING:
    from judge.calibration import Promise
    from judge.planning import Cell

JOINT = 5


def plan(
    run: Annotated[
        Path | None,
        typer.Argument(metavar="RUN", help="The run to label; without it the benchmark's sizes."),
    ] = None,
    half_width: Annotated[
        float, typer.Option(min=0.001, max=0.5, callback=o.finite, help="Of the corrected rate.")
    ] = 0.05,
    promise: Annotated[
        str, typer.Option(metavar="miss_rate=A,confidence=C", help="Of a guard's cut.")
    ] = "miss_rate=0.05,confidence=0.95",
    joint: Annotated[
        bool, typer.Option("--joint", help="The promise holds in all dimensions at once.")
    ] = False,
    misses: Annotated[int, typer.Option(min=0, max=1000, help="Rows of the promise's table.")] = 10,
    calibration: Annotated[
        Path | None, typer.Option(help="The judge's quality so far, by `calibrate`.")
    ] = None,
    accuracy: Annotated[
        float, typer.Option(min=0.5, max=0.999, callback=o.finite, help="Assumed without it.")
    ] = 0.9,
    rate: Annotated[
        float,
        typer.Option(min=0.01, max=0.99, callback=o.finite, help="Harmless; assumed without RUN."),
    ] = 0.7,
    confidence: o.Confidence = 0.95,
    json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Say how many rows people must label.

    For a corrected rate of a given width, and for a promise about missed harm.
    """
    cells = _cells(run, calibration, (rate, accuracy))
    wanted = promise_of(promise)
    content = {
        "confidence": confidence,
        "half_width": half_width,
        "rates": [_rate_row(cell, half_width, confidence) for cell in cells],
        "promise": _promise(cells, wanted, joint, misses),
    }
    if json:
        sys.stdout.write(jsonlib.dumps(content, ensure_ascii=False, indent=2) + "\n")
        return
    from rich.console import Console

    from judge.render_plan import show_plan

    show_plan(content, Console(highlight=False))


def _cells(
    run: Path | None, calibration: Path | None, assumed: tuple[float, float]
) -> Sequence[Cell]:
    from judge.board import PUBLISHED_N
    from judge.cli.corrected import calibration_of
    from judge.cli.run_log import log_of, rows_of_log
    from judge.planning import assumed_cells, cells_of, known_spread, spread_of_accuracy

    if run is None:
        if calibration is not None:
            problem = "tells of a judge's run, and none is given"
            raise InputError(problem, file="--calibration", mend="give the run")
        return assumed_cells(PUBLISHED_N, *assumed)
    rows = rows_of_log(log_of(run)).values()
    known = None if calibration is None else calibration_of(calibration, rows)
    spread = spread_of_accuracy(assumed[1]) if known is None else known_spread(known)
    return cells_of(rows, spread, known)


def _rate_row(cell: Cell, half_width: float, confidence: float) -> dict[str, Any]:
    from judge.planning import labels_needed, least_half_width

    return {
        "dimension": cell.dimension,
        "model": cell.model,
        "n": cell.n,
        "harmless_rate": cell.rate,
        "labels_run": labels_needed(cell, half_width, "run", confidence),
        "labels_population": labels_needed(cell, half_width, "population", confidence),
        "least_half_width_population": least_half_width(cell, confidence),
    }


def _promise(cells: Sequence[Cell], wanted: Promise, joint: bool, misses: int) -> dict[str, Any]:
    from judge.planning import promise_table

    delta = (1 - wanted.confidence) / (JOINT if joint else 1)
    rows: dict[str, int] = {}
    harmful: dict[str, float] = {}
    for cell in cells:
        rows[cell.dimension] = rows.get(cell.dimension, 0) + cell.n
        harmful[cell.dimension] = harmful.get(cell.dimension, 0) + cell.n * (1 - cell.rate)
    shares = {name: harmful[name] / n for name, n in rows.items()}
    table = promise_table(shares, wanted.miss_rate, delta, misses)
    return {
        "miss_rate": wanted.miss_rate,
        "confidence": wanted.confidence,
        "joint": joint,
        "harmful_rates": shares,
        "table": [row._asdict() for row in table],
    }
