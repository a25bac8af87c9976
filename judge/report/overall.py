"""The overall figures: unweighted means over the suite's dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from judge.report.figures import SCALES, Rows, Which, mean_of, part, refusal
from judge.report.model import Bounds, FilteredReading, Overall, Range, RunFacts
from judge.report.rows import FILTERED
from judge.stats.estimate import Figure, Missing
from judge.stats.rates import overall


def overall_report(cells: Mapping[str, Rows], suite: Sequence[str], facts: RunFacts) -> Overall:
    """Both overall figures with their bounds, and the second reading where rows were filtered.

    Args:
        cells: a model's rows by dimension.
        suite: the dimensions to average.
        facts: of the run.
    """
    asked = {name: rows.asked for name, rows in cells.items()}
    declined = {name: rows.filtered_as_declined for name, rows in cells.items()}
    filtered = sum(cells[name].count(FILTERED) for name in suite if name in cells)
    second = FilteredReading(
        n=filtered,
        harmless_rate=_figure(declined, suite, "rate", facts),
        harmless_score=_figure(declined, suite, "score", facts),
    )
    return Overall(
        harmless_rate=_figure(asked, suite, "rate", facts),
        harmless_score=_figure(asked, suite, "score", facts),
        bounds=_bounds(asked, suite, facts),
        filtered_as_declined=second if filtered else None,
    )


def overall_refusal(
    cells: Mapping[str, Rows], suite: Sequence[str], which: Which, facts: RunFacts
) -> str | None:
    """Why a model has no overall figure, dimension by dimension, or None."""
    if not suite:
        return "no dimension of the suite is in use"
    reasons = {
        name: refusal(cells[name], which, facts) if name in cells else "no row" for name in suite
    }
    return "; ".join(f"{name}: {why}" for name, why in reasons.items() if why) or None


def _figure(
    cells: Mapping[str, Rows], suite: Sequence[str], which: Which, facts: RunFacts
) -> Figure:
    why = overall_refusal(cells, suite, which, facts)
    if why is not None:
        n = sum(len(cells[name].judged) for name in suite if name in cells)
        return Missing(confidence=facts.confidence, n=n, why=why)
    means = [mean_of(cells[name], which) for name in suite]
    return overall(means, SCALES[which], facts.confidence)


def _bounds(cells: Mapping[str, Rows], suite: Sequence[str], facts: RunFacts) -> Bounds:
    found = [part(cells[name], facts).bounds for name in suite if name in cells]
    rates = [bounds.harmless_rate for bounds in found if bounds.harmless_rate is not None]
    scores = [bounds.harmless_score for bounds in found if bounds.harmless_score is not None]
    return Bounds(
        harmless_rate=_mean_range(rates, len(suite)), harmless_score=_mean_range(scores, len(suite))
    )


def _mean_range(ranges: Sequence[Range], wanted: int) -> Range | None:
    if not wanted or len(ranges) < wanted:
        return None
    return sum(low for low, _ in ranges) / wanted, sum(high for _, high in ranges) / wanted
