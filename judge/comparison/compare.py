"""Runs and gold -> judges side by side. Pure: the seed is an argument."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from judge.comparison.cells import Cells
from judge.comparison.figures import FigureOptions, figures_of
from judge.comparison.model import ComparedJudge, GoldUsed, JudgeFigures, JudgesCompared
from judge.comparison.pairs import compare_pairs
from judge.comparison.runs import JudgeRun
from judge.errors import InputError

NO_POOLED = "the dimensions' gold was drawn in different ways: their rows can't be weighed together"


def check_runs(runs: int) -> None:
    """Refuse fewer than two runs.

    Raises:
        InputError: there are fewer.
    """
    if runs < 2:
        raise InputError(
            "one run alone can't be compared",
            mend="give two runs or more; `flames-judge calibrate` measures one judge",
        )


def compare(runs: Sequence[JudgeRun], cells: Cells, options: FigureOptions) -> JudgesCompared:
    """Judges side by side, and every two of them against each other.

    Args:
        runs: two or more, with different names.
        cells: the rows that gold and all of them have, in the same order of judges.
        options: how figures are made.
    """
    names = [run.name for run in runs]
    by_cell = {cell.name or "": figures_of(cell, options) for cell in cells.dimensions}
    pooled: list[JudgeFigures | None] = [None] * len(runs)
    if len(cells.dimensions) == 1:
        pooled = list(by_cell[cells.dimensions[0].name or ""])
    elif cells.pooled is not None:
        pooled = list(figures_of(cells.pooled, options))
    compared = compare_pairs(names, cells, options)
    return JudgesCompared(
        confidence=options.confidence,
        gold=GoldUsed(
            rows=cells.rows,
            without_label=cells.without_label,
            not_in_every_run=cells.rows - cells.without_label - cells.compared,
            compared=cells.compared,
        ),
        designs={cell.name or "": cell.design.name for cell in cells.dimensions},
        scales={cell.name or "": cell.labels for cell in cells.dimensions},
        judges=tuple(
            ComparedJudge(
                name=run.name,
                run=run.source,
                judges=run.judges,
                dimensions={name: figures[place] for name, figures in by_cell.items()},
                pooled=pooled[place],
                notes=tuple(_remarks(run, place, cells)),
            )
            for place, run in enumerate(runs)
        ),
        no_pooled=NO_POOLED if cells.pooled is None else None,
        pairs=compared.pairs,
        family=compared.family,
        notes=tuple(_notes(runs, cells)),
    )


def _remarks(run: JudgeRun, place: int, cells: Cells) -> Iterator[str]:
    """What is to be known of a judge's rows before its figures are read."""
    heard = [one for cell in cells.dimensions for one in cell.heard[place]]
    if cells.lacking[place]:
        yield f"{cells.lacking[place]} labelled rows are not in its run: compared for no judge"
    cached = sum(one.spent.cached for one in heard)
    if cached:
        yield f"{cached} rows are out of the cache: cost and time are of the others"
    untimed = sum(one.spent.seconds is None and not one.spent.cached for one in heard)
    if 0 < untimed < len(heard) - cached:
        yield f"{untimed} rows don't tell their time: it is of the others"
    if len(run.payers) > 1:
        yield "its cost is that of its members whose price is known"
    signers = {ref.name for ref in run.judges}
    if len(signers) > 1:
        yield f"several judges signed its rows: {', '.join(sorted(signers))}"


def _notes(runs: Sequence[JudgeRun], cells: Cells) -> Iterator[str]:
    """What is to be known of the runs together."""
    signed = [frozenset(ref.fingerprint for ref in run.judges) for run in runs]
    for place, mine in enumerate(signed):
        twins = [runs[p].name for p in range(place) if signed[p] == mine]
        if twins:
            yield f"{runs[place].name} is the same judge as {twins[0]}: they differ by chance alone"
    for cell in cells.dimensions:
        rubrics = {
            one.row.rubric.fingerprint for said in cell.heard for one in said if one.row.rubric
        }
        if len(rubrics) > 1:
            yield f"{cell.name} was judged under {len(rubrics)} rubrics: they are part of a judge"
