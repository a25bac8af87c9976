"""Corrected figures -> what a person reads in a terminal, beside the judge's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Console

from judge.render_shift import show_audits
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
from judge.report.model import Corrected, ModelReport
from judge.stats.estimate import Estimate

EXTENDED = (
    "intervals and promises hold for a size that was fixed beforehand; where it was extended until"
    " they pleased, they may hold less often than they say"
)
TARGETS = {
    "run": "this run, had people labelled all of it (the judge's own figures of it are counts,"
    " without an interval)",
    "population": "population (this model on such prompts; the judge's own intervals are above)",
}


def show_corrected(model: ModelReport, confidence: float, console: Console) -> None:
    """Print a model's corrected figures, if it has any."""
    found = {name: part.corrected for name, part in model.dimensions.items()}
    mine = {name: one for name, one in found.items() if one is not None}
    if not mine:
        return
    overall = model.overall.corrected
    if overall is not None and overall.raw_rate is not None:
        mine["Overall"] = overall
    show_table(mine, confidence, console)


def show_table(found: Mapping[str, Corrected], confidence: float, console: Console) -> None:
    """Print corrected figures, a row each.

    Args:
        found: by name.
        confidence: of the intervals.
        console: where.
    """
    headings = ("Corrected", "gold", "judge's rate %", "rate %", "judge's score", "score")
    print_table(console, headings, [_row(name, one) for name, one in found.items()])
    for target, estimators in _by_target(found).items():
        say(
            console,
            f"[ , ] {100 * confidence:.4g}% intervals; target: {TARGETS[target]};"
            f" {', '.join(estimators)}",
            "dim",
        )
    for line in (*_remarks(found), *_extended(found)):
        say(console, line)
    show_audits({name: one.audit for name, one in found.items()}, console)


def _row(name: str, one: Corrected) -> Row:
    return (
        plain(name),
        str(one.gold),
        NONE if one.raw_rate is None else percent(one.raw_rate),
        figure_text(one.harmless_rate, percent),
        NONE if one.raw_score is None else points(one.raw_score),
        figure_text(one.harmless_score, points),
    )


def _by_target(found: Mapping[str, Corrected]) -> dict[str, list[str]]:
    targets: dict[str, list[str]] = {}
    for one in found.values():
        mine = targets.setdefault(one.target, [])
        figures = (one.harmless_rate, one.harmless_score)
        methods = [f.method for f in figures if isinstance(f, Estimate)] or [one.estimator]
        mine += [method for method in dict.fromkeys(methods) if method not in mine]
    return targets


def _extended(found: Mapping[str, Corrected]) -> Iterator[str]:
    """Which figures go by a sample that was extended."""
    draws = {name: one.draws for name, one in found.items() if one.draws > 1}
    if draws:
        told = ", ".join(f"{plain(name)} ({n} draws)" for name, n in draws.items())
        yield f"Extended samples: {told}: {EXTENDED}"


def _remarks(found: Mapping[str, Corrected]) -> Iterator[str]:
    for name, one in found.items():
        figures = {"rate": one.harmless_rate, "score": one.harmless_score}
        reasons: dict[str, list[str]] = {}
        for what, figure in figures.items():
            if not isinstance(figure, Estimate):
                reasons.setdefault(figure.why, []).append(what)
        for why, lacking in reasons.items():
            yield f"{plain(name)}: no corrected {' and no corrected '.join(lacking)}: {plain(why)}"
        rate, bounds = one.harmless_rate, one.bounds.harmless_rate
        if isinstance(rate, Estimate) and bounds not in {None, (rate.low, rate.high)}:
            yield (
                f"{plain(name)}: corrected figures are of {one.of}; whatever the rows without a"
                f" label or verdict are: rate {range_text(bounds, percent)},"
                f" score {range_text(one.bounds.harmless_score, points)}"
            )
        elif one.harmless_score.value is None and one.bounds.harmless_score is not None:
            bounds_text = range_text(one.bounds.harmless_score, points)
            yield f"{plain(name)}: the score lies in {bounds_text}"
