"""Report -> what a person reads in a terminal. `Report.to_json` is what a program reads.

Names come from files and may hold anything: they go through `plain` and are never read as markup.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console

from judge.board import Standing
from judge.render_corrected import show_corrected, show_table
from judge.render_table import (
    NONE,
    Row,
    figure_text,
    percent,
    plain,
    points,
    print_table,
    range_text,
    say,
)
from judge.report.model import Comparison, Cost, Difference, ModelReport, Part, Report
from judge.stats.estimate import Estimate, Figure

COLUMNS = ("judged", "3", "2", "1", "not 3", "rate %", "score")
MOST_PAIRS = 3  # with more, the terminal shows the overall comparisons alone


def show(report: Report, console: Console) -> None:
    """Print the report.

    Args:
        report: what to print.
        console: where; its width and colours are kept to.
    """
    say(console, f"Judge: {plain(report.judge.name)}", "bold")
    if report.judge.trust:
        say(console, f"How far to trust it: {plain(report.judge.trust)}")
    for name, model in report.models.items():
        say(console, f"\nModel: {plain(name)}", "bold")
        _show_model(model, report.confidence, console)
    if report.pooled:
        say(console, "\nAll models together", "bold")
        show_table(report.pooled, report.confidence, console)
    if report.comparisons:
        _show_comparisons(report, console)
    say(console, "\n" + _cost(report.cost))
    if report.bad_rows:
        say(console, f"Bad rows: {report.bad_rows:,} of the input couldn't be read", "yellow")
    for warning in report.warnings:
        say(console, f"Warning: {plain(warning)}", "yellow")


def _show_model(model: ModelReport, confidence: float, console: Console) -> None:
    rows = [
        (f"{plain(name)}\n{plain(part.name_zh)}", *_cells(part))
        for name, part in model.dimensions.items()
    ]
    overall = model.overall
    figures = (
        figure_text(overall.harmless_rate, percent),
        figure_text(overall.harmless_score, points),
    )
    n = overall.harmless_rate.n
    rows.append(("Overall\n总体", f"n {n}" if n else "", "", "", "", "", *figures))
    print_table(console, ("Dimension", *COLUMNS), rows)
    say(console, _about_intervals(model, confidence), "dim")
    for line in (*_missing(model), *_filtered(model)):
        say(console, line)
    show_corrected(model, confidence, console)
    _show_open(model, confidence, console)
    _show_subcomponents(model, console)
    say(console, _standing(model.board))


def _cells(part: Part) -> tuple[str, ...]:
    counts = part.counts
    labels = (counts.three, counts.two, counts.one, counts.not_3)
    rate, score = figure_text(part.harmless_rate, percent), figure_text(part.harmless_score, points)
    return (f"{part.judged}/{part.n}", *map(str, labels), rate, score)


def _figures(model: ModelReport) -> Iterator[tuple[str, Figure, Figure]]:
    for name, part in model.dimensions.items():
        yield name, part.harmless_rate, part.harmless_score
    yield "Overall", model.overall.harmless_rate, model.overall.harmless_score


def _about_intervals(model: ModelReport, confidence: float) -> str:
    *parts, (_, *overall) = _figures(model)
    within = dict.fromkeys(f.method for _, *pair in parts for f in pair if isinstance(f, Estimate))
    across = dict.fromkeys(f.method for f in overall if isinstance(f, Estimate))
    return (
        f"[ , ] {100 * confidence:.4g}% intervals; target: population (this model on such prompts);"
        f" n: judged rows; {', '.join(within) or 'none'}; overall (unweighted mean of the suite's"
        f" dimensions): {', '.join(across) or 'none'}"
    )


def _missing(model: ModelReport) -> Iterator[str]:
    for name, rate, score in _figures(model):
        reasons: dict[str, list[str]] = {}
        for what, figure in (("rate", rate), ("score", score)):
            if not isinstance(figure, Estimate):
                reasons.setdefault(figure.why, []).append(what)
        for why, lacking in reasons.items():
            yield f"{plain(name)}: no harmless {' and no harmless '.join(lacking)}: {plain(why)}"


def _filtered(model: ModelReport) -> Iterator[str]:
    readings = [(name, part.filtered_as_declined) for name, part in model.dimensions.items()]
    readings.append(("Overall", model.overall.filtered_as_declined))
    for name, second in readings:
        if second is not None:
            rate = figure_text(second.harmless_rate, percent, " ")
            score = figure_text(second.harmless_score, points, " ")
            yield (
                f"{plain(name)}: left out: {second.n} stopped by the tested provider's filter;"
                f" counted as declined: rate {rate}, score {score}"
            )


def _show_open(model: ModelReport, confidence: float, console: Console) -> None:
    """Dimensions with rows that have no verdict, or whose 2 and 1 can't be told apart."""
    rows: list[Row] = []
    for name, part in model.dimensions.items():
        if part.unjudged or part.counts.not_3:
            reasons = [f"{count} {k.replace('_', ' ')}" for k, count in part.unjudged.items()]
            bounds = part.bounds
            ends = (
                range_text(bounds.harmless_rate, percent),
                range_text(bounds.harmless_score, points),
            )
            share = (part.n - part.judged) / part.n
            unjudged = f"{share:.1%}: {', '.join(reasons)}" if reasons else NONE
            rows.append((plain(name), unjudged, *ends))
    if not rows:
        return
    whole = model.overall.bounds
    ends = range_text(whole.harmless_rate, percent), range_text(whole.harmless_score, points)
    rows.append(("Overall", "", *ends))
    console.print()
    print_table(
        console, ("Open rows", "unjudged", "rate %, all rows", "score, all rows"), rows, left=2
    )
    note = (
        "Bounds whatever the open rows are: all harmful to all harmless, from the ends of the"
        f" {100 * confidence:.4g}% intervals (where 2 and 1 can't be told apart, from the score's"
        " range). Unjudged rows are rarely like the judged ones."
    )
    say(console, note, "dim")


def _show_subcomponents(model: ModelReport, console: Console) -> None:
    rows: list[Row] = []
    for dimension, part in model.dimensions.items():
        if part.subcomponents:
            rows.append((f"{plain(dimension)}:", *[""] * len(COLUMNS)))
        rows += [(plain(name), *_cells(piece)) for name, piece in part.subcomponents.items()]
    if rows:
        console.print()
        print_table(console, ("Subcomponent", *COLUMNS), rows)


def _standing(board: Standing) -> str:
    if board.rank is None:
        return f"Published board: no standing: {plain(board.why or '')}"
    return (
        f"Published board: rank {board.rank} of {board.of} by overall harmless rate"
        f" ({board.best} to {board.worst} within its interval). {board.note}"
    )


def _show_comparisons(report: Report, console: Console) -> None:
    found = report.comparisons
    pairs = list(dict.fromkeys((c.a, c.b) for c in found))
    shown = [c for c in found if len(pairs) <= MOST_PAIRS or c.dimension is None]
    say(console, "\nPaired differences (first model minus second, same prompts)", "bold")
    headings = ("", "prompts", "rate, points", "p", "score", "p")
    rows: list[Row] = []
    for a, b in pairs:
        rows.append((f"{plain(a)} - {plain(b)}:", *[""] * (len(headings) - 1)))
        rows += [_comparison(c) for c in shown if (c.a, c.b) == (a, b)]
    print_table(console, headings, rows)
    note = (
        f"{100 * report.confidence:.4g}% intervals, not adjusted; p: sign flips by prompt, adjusted"
        " over all pairs of models (Holm) within each dimension and figure"
    )
    if len(shown) < len(found):
        note += f"; {len(found) - len(shown)} comparisons by dimension are in summary.json"
    say(console, note, "dim")
    for reason in dict.fromkeys(_comparison_reasons(shown)):
        say(console, reason)


def _comparison(comparison: Comparison) -> tuple[str, ...]:
    where = "Overall" if comparison.dimension is None else plain(comparison.dimension)
    rate, score = comparison.harmless_rate, comparison.harmless_score
    figures = (
        figure_text(rate.figure, percent),
        _p(rate),
        figure_text(score.figure, points),
        _p(score),
    )
    return (where, str(comparison.prompts), *figures)


def _comparison_reasons(shown: list[Comparison]) -> Iterator[str]:
    for comparison in shown:
        where = "Overall" if comparison.dimension is None else plain(comparison.dimension)
        for what in (comparison.harmless_rate, comparison.harmless_score):
            if not isinstance(what.figure, Estimate):
                yield f"{where}: not compared: {plain(what.figure.why)}"


def _p(difference: Difference) -> str:
    p = difference.p_adjusted
    if p is None:
        return NONE
    return "<.001" if p < 0.001 else f"{p:.3f}"


def _cost(cost: Cost) -> str:
    tokens = [
        f"{count:,} {what} tokens"
        for what, count in (
            ("prompt", cost.prompt_tokens),
            ("cached prompt", cost.cached_tokens),
            ("completion", cost.completion_tokens),
        )
        if count is not None
    ]
    unpriced = "no price known" if tokens else "none, no model was asked"
    money = unpriced if cost.usd is None else f"${cost.usd:,.4f}"
    if cost.usd is not None and cost.rows_without_usd:
        money += f" ({cost.rows_without_usd:,} rows without a known price)"
    return f"Cost: {'; '.join([money, *tokens])}"
