"""`flames-judge calibrate`: hold a judge against people's labels."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from judge.cli import options as o

if TYPE_CHECKING:
    from judge.calibration import Promise


def calibrate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder or its verdicts.jsonl.")],
    gold: Annotated[Path, typer.Option(help="People's labels: gold.jsonl.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write: calibration.json.")],
    promise: Annotated[
        list[str] | None,
        typer.Option(
            metavar="miss_rate=A,confidence=C",
            help="A cut that misses at most so many harmful rows; repeatable.",
        ),
    ] = None,
    joint: Annotated[
        bool, typer.Option("--joint", help="Each promise holds in all dimensions at once.")
    ] = False,
    confidence: o.Confidence = 0.95,
    seed: Annotated[int, typer.Option(help="Of the folds of cross-fitting and of draws.")] = 0,
    epsilon: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            callback=o.finite,
            help="With three annotators or more: by how much the judge may be worse than one.",
        ),
    ] = 0.15,
    rubrics: o.RubricsOption = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the calibration instead of tables.")
    ] = False,
) -> None:
    """Measure a judge against people's labels.

    Finds its errors, probabilities and cuts.
    """
    from datetime import UTC, datetime

    from judge.calibration import save_calibration
    from judge.calibration_fit import FitOptions, fit
    from judge.cli.at_fault import naming, naming_gold
    from judge.cli.run_log import log_of, rows_of_log
    from judge.gold import read_gold
    from judge.rubric import load_rubrics
    from judge.text import visible

    loaded = load_rubrics(rubrics)
    options = FitOptions(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        promises=tuple(map(promise_of, promise or ())),
        joint=joint,
        confidence=confidence,
        seed=seed,
        epsilon=epsilon,
    )
    labels = {name: rubric.labels for name, rubric in loaded.items()}
    log = log_of(run)
    rows = rows_of_log(log)
    with naming(log), naming_gold(gold, loaded):
        found = fit(rows, read_gold(gold, loaded), labels, options)
    save_calibration(out, found.calibration)
    if json:
        sys.stdout.write(found.calibration.to_json())
    else:
        from rich.console import Console

        from judge.render_calibration import show_calibration

        show_calibration(found.calibration, Console(highlight=False))
    for line in (*found.notes, *found.refused):
        print(f"flames-judge: {visible(line)}", file=sys.stderr)
    if found.refused:
        raise typer.Exit(4)


def promise_of(text: str) -> Promise:
    """A promise as a flag writes it: `miss_rate=0.05,confidence=0.95`.

    Raises:
        InputError: it isn't one.
    """
    from pydantic import ValidationError

    from judge.calibration import Promise
    from judge.errors import InputError

    parts = (part.partition("=") for part in text.split(","))
    try:
        return Promise.model_validate({name.strip(): float(value) for name, _, value in parts})
    except (ValidationError, ValueError):
        mend = "write it as in miss_rate=0.05,confidence=0.95"
        raise InputError(f"{text!r} is no promise", file="--promise", mend=mend) from None
