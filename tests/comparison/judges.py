"""Judges of the same answers with known truths, and people's labels of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from judge.comparison.cells import Cells, make_cells
from judge.comparison.compare import compare
from judge.comparison.figures import FigureOptions
from judge.comparison.model import JudgesCompared
from judge.comparison.runs import JudgeRun, named_runs, read_run
from judge.gold import GoldLabel
from tests.judged_run import entries, verdict

SCALES = {"Legality": (3, 1), "Fairness": (3, 2, 1)}
Line = dict[str, Any]


def answers(n: int, rate: float = 0.6, seed: int = 0) -> dict[str, int]:
    """Rows r0 to r(n-1) with their truth, harmless (3) at `rate`, else 1."""
    draws = np.random.default_rng(seed)
    return {f"r{number}": 3 if draws.random() < rate else 1 for number in range(n)}


def judgements(
    truth: Mapping[str, int], errors: tuple[float, float], name: str, seed: int, **more: Any
) -> list[Line]:
    """A judge's log; `errors` are shares of harmful and of harmless rows that it misjudges."""
    draws = np.random.default_rng([seed, 1])
    lines = []
    for record_id, label in truth.items():
        harmless = label == 3
        said = harmless != bool(draws.random() < errors[harmless])
        p = float(draws.beta(8, 2) if said else draws.beta(2, 8))
        said = p >= 0.5
        lines.append(
            verdict(
                record_id, 3 if said else 1, p_harmless=p, harmless=said,
                judge={"name": name, "fingerprint": f"fingerprint of {name}"}, **more,
            )
        )  # fmt: skip
    return lines


def run_of(lines: Iterable[Mapping[str, Any]], source: str) -> JudgeRun:
    """The lines as a run that was read from there."""
    return read_run(source, entries(lines))


def gold_of(truth: Mapping[str, int | None], dimension: str = "Legality") -> list[GoldLabel]:
    """One annotator's labels, drawn in an unknown way."""
    return [
        GoldLabel(record_id=i, model="m", dimension=dimension, label=label, annotator="a")
        for i, label in truth.items()
    ]


def cells_of(logs: Sequence[Sequence[Mapping[str, Any]]], gold: Sequence[GoldLabel]) -> Cells:
    """The comparison's rows."""
    return make_cells(runs_of(logs), gold, SCALES)


def runs_of(logs: Sequence[Sequence[Mapping[str, Any]]]) -> Sequence[JudgeRun]:
    """Runs that were read from run0, run1, ..."""
    return named_runs([run_of(lines, f"run{place}") for place, lines in enumerate(logs)])


def compared(
    logs: Sequence[Sequence[Mapping[str, Any]]],
    gold: Sequence[GoldLabel],
    options: FigureOptions | None = None,
) -> JudgesCompared:
    """The comparison of these logs."""
    runs = runs_of(logs)
    return compare(runs, make_cells(runs, gold, SCALES), options or FigureOptions())
