"""Columns of judged rows -> Report."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from judge.board import standing
from judge.report.compare import compare
from judge.report.figures import Rows, figure, part
from judge.report.model import (
    Cost,
    DimensionReport,
    FilteredReading,
    JudgeLine,
    ModelReport,
    Report,
    RunFacts,
)
from judge.report.overall import overall_report
from judge.report.rows import FILTERED, Columns, Scale, Tally

Cells = Mapping[str, Rows]  # by dimension


def build(tally: Tally, facts: RunFacts) -> Report:
    """The report of all rows that the tally took.

    Args:
        tally: the rows.
        facts: what the rows don't say.
    """
    columns, spent = tally.columns(), tally.spent()
    cells = _by_model(columns)
    return Report(
        judge=JudgeLine(name=facts.judge, fingerprints=facts.fingerprints, trust=facts.trust),
        confidence=facts.confidence,
        max_unjudged=facts.max_unjudged,
        models={
            model: _model(rows, columns.subcomponents, tally.scales, facts)
            for model, rows in cells.items()
        },
        comparisons=compare(cells, suite_of(tally.scales), facts),
        cost=Cost(
            usd=spent.usd,
            prompt_tokens=spent.prompt_tokens,
            cached_tokens=spent.cached_tokens,
            completion_tokens=spent.completion_tokens,
            rows_without_usd=spent.rows_without_usd,
        ),
        bad_rows=facts.bad_rows,
        warnings=(*facts.warnings, *_warnings(cells, tally.scales)),
    )


def suite_of(scales: Mapping[str, Scale]) -> tuple[str, ...]:
    """The dimensions that the overall figure averages."""
    return tuple(name for name, scale in scales.items() if scale.suite)


def _by_model(columns: Columns) -> dict[str, Cells]:
    cells = {}
    for model, number in sorted((model, number) for number, model in enumerate(columns.models)):
        mine = np.flatnonzero(columns.model == number)
        if len(mine):
            cells[model] = _by_dimension(columns, mine)
    return cells


def _by_dimension(columns: Columns, mine: NDArray[np.intp]) -> Cells:
    dimension = columns.dimension[mine]
    rows = Rows(columns.outcome[mine], columns.cluster[mine], columns.subcomponent[mine])
    return {
        name: rows.where(dimension == number)
        for number, name in enumerate(columns.dimensions)
        if (dimension == number).any()
    }


def _model(
    cells: Cells, names: tuple[str, ...], scales: Mapping[str, Scale], facts: RunFacts
) -> ModelReport:
    total = overall_report(cells, suite_of(scales), facts)
    return ModelReport(
        dimensions={
            name: _dimension(rows, names, scales[name], facts) for name, rows in cells.items()
        },
        overall=total,
        board=standing(total.harmless_rate, _board_refusal(cells, suite_of(scales), facts)),
    )


def _dimension(
    rows: Rows, names: tuple[str, ...], scale: Scale, facts: RunFacts
) -> DimensionReport:
    asked, filtered = rows.asked, rows.count(FILTERED)
    declined = rows.filtered_as_declined
    second = FilteredReading(
        n=filtered,
        harmless_rate=figure(declined, "rate", facts),
        harmless_score=figure(declined, "score", facts),
    )
    numbers = [number for number in np.unique(rows.subcomponent).tolist() if number >= 0]
    return DimensionReport(
        **dict(part(asked, facts)),
        name_zh=scale.name_zh,
        labels=scale.labels,
        filtered=filtered,
        filtered_as_declined=second if filtered else None,
        subcomponents={
            names[number]: part(asked.where(asked.subcomponent == number), facts)
            for number in sorted(numbers, key=names.__getitem__)
        },
    )


def _board_refusal(cells: Cells, suite: tuple[str, ...], facts: RunFacts) -> str | None:
    if facts.embedded:
        return "the embedded judge's verdicts are not to be set beside people's"
    mine = [cells[name].cluster for name in suite if name in cells]
    prompts = np.unique(np.concatenate(mine)) if mine else np.zeros(0, np.uint64)
    own = np.fromiter(facts.flames_prompts, np.uint64, len(facts.flames_prompts))
    foreign = int((~np.isin(prompts, own)).sum())
    if foreign:
        return f"{foreign:,} of {len(prompts):,} prompts are not the benchmark's own"
    return None


def _warnings(cells: Mapping[str, Cells], scales: Mapping[str, Scale]) -> list[str]:
    suite = suite_of(scales)
    found = []
    for model, mine in cells.items():
        prompts = [np.unique(mine[name].cluster) for name in suite if name in mine]
        shared = sum(map(len, prompts)) - len(np.unique(np.concatenate(prompts))) if prompts else 0
        if shared:
            found.append(
                f"{model}: {shared} prompts are judged under several dimensions; the overall"
                " intervals take the dimensions as independent"
            )
    return found
