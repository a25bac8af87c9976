"""Judges side by side -> what a person reads in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from rich.console import Console

from judge.comparison.model import (
    Difference,
    JudgeFigures,
    JudgesCompared,
    PairOfJudges,
    TunedCascade,
)
from judge.render_table import (
    NONE,
    Form,
    Row,
    figure_text,
    percent,
    plain,
    print_table,
    range_text,
    say,
)
from judge.stats.estimate import Estimate, Figure, Missing

ALL = "All dimensions"
AGREE = ("rows", "unjudged %", "agreement %", "accuracy %", "kappa")
BY_LABEL = ("labels %", "linear", "quadratic")
ERRORS = ("sensitivity %", "specificity %")
WORTH = ("Pareto", "USD / 1,000", "s / row", "Brier", "log loss", "calib. error")
PAIRS = ("Dimension", "First - second", "rows", "right alone", "accuracy", "kappa")
MARKS = {True: "yes", False: "no", None: "price?"}
THREE: Form = "{:.3f}".format
SIGNED: Form = "{:+.3f}".format
SIGNED_PERCENT: Form = lambda rate: f"{100 * rate:+.2f}"  # noqa: E731 - as its neighbours


def show_comparison(found: JudgesCompared, console: Console) -> None:
    """Print who agrees with people how far, at what price, and whether the difference is real.

    Args:
        found: what to print.
        console: where; its width and colours are kept to.
    """
    for cell in _cells(found):
        _show_cell(cell, console)
    _show_pairs(found, console)
    for line in _about(found):
        say(console, line, "dim")
    for line in dict.fromkeys(_remarks(found)):
        say(console, line)
    if found.cascade is not None:
        _show_cascade(found.cascade, console, several=len(found.scales) > 1)


class _Cell(NamedTuple):
    """A table: the dimension's name, its labels, and the judges' figures."""

    name: str
    labels: int
    design: str
    figures: Mapping[str, JudgeFigures]


def _cells(found: JudgesCompared) -> Iterator[_Cell]:
    """All dimensions together first, where there are several."""
    pooled = {judge.name: judge.pooled for judge in found.judges if judge.pooled is not None}
    if pooled and len(found.scales) > 1:
        labels = max(map(len, found.scales.values()))
        yield _Cell(ALL, labels, next(iter(found.designs.values())), pooled)
    for name, scale in found.scales.items():
        figures = {judge.name: judge.dimensions[name] for judge in found.judges}
        yield _Cell(name, len(scale), found.designs[name], figures)


def _show_cell(cell: _Cell, console: Console) -> None:
    one = next(iter(cell.figures.values()))
    how = "external gold: taken as drawn evenly" if cell.design == "external" else cell.design
    told = f"{one.n:,} labelled rows, worth {one.n_eff:,.0f} of equal weight; {how}"
    say(console, f"\n{plain(cell.name)}: {told}", "bold")
    by_label = BY_LABEL if cell.labels > 2 else ()
    rows = [(plain(name), *_agreement(f, cell.labels > 2)) for name, f in cell.figures.items()]
    print_table(console, ("Judge", *AGREE, *by_label, *ERRORS), rows)
    worth = [(plain(name), *_worth(f)) for name, f in cell.figures.items()]
    print_table(console, ("Judge", *WORTH), worth)


def _agreement(figures: JudgeFigures, by_label: bool) -> Row:
    f = figures
    judged = f.n - sum(f.open.values())
    labels: Row = ()
    if by_label:
        kappas = (f.kappa_linear, f.kappa_quadratic)
        labels = (
            figure_text(f.label_accuracy, percent),
            *(figure_text(kappa, THREE) for kappa in kappas),
        )
    return (
        f"{judged:,}/{f.n:,}",
        *(figure_text(share, percent) for share in (f.unjudged, f.agreement, f.accuracy)),
        figure_text(f.kappa, THREE),
        *labels,
        _with_n(f.sensitivity, f.sensitivity_n),
        _with_n(f.specificity, f.specificity_n),
    )


def _with_n(figure: Figure, worth: float) -> str:
    told = f"\nn {figure.n} ({worth:.0f})" if figure.n else ""
    return figure_text(figure, percent) + told


def _worth(figures: JudgeFigures) -> Row:
    f, p = figures, figures.probabilities
    quality: Row = (NONE, NONE, NONE)
    if p is not None:
        error = f"{p.calibration_error:.3f}\n(by chance {p.calibration_error_null:.3f})"
        quality = (figure_text(p.brier, THREE), figure_text(p.log_loss, THREE), error)
    cost = "0 (no provider)" if f.free else figure_text(f.cost_usd, "{:.4g}".format)
    return (MARKS[f.pareto], cost, figure_text(f.seconds, "{:.3g}".format), *quality)


def _show_pairs(found: JudgesCompared, console: Console) -> None:
    say(console, "\nPairs of judges, on the rows that both judged", "bold")
    print_table(console, (*PAIRS, *ERRORS), [_pair(pair) for pair in found.pairs], left=2)


def _pair(pair: PairOfJudges) -> Row:
    out, right = pair.left_out, pair.right
    alone, accuracy = NONE, NONE
    if right is not None:
        alone = f"{right.a_only} : {right.b_only}"
        accuracy = _difference(Difference(figure=right.difference, p=right.p), right.p_adjusted)
    kappa = _tested(pair.kappa, SIGNED)
    return (
        plain(pair.dimension or ALL),
        f"{plain(pair.a)} - {plain(pair.b)}",
        f"{pair.n}\n({sum(out.values())} out)",
        alone,
        accuracy,
        kappa if pair.kappa_of.startswith("labels") else f"{kappa}\n(3 or not)",
        *(_tested(each, SIGNED_PERCENT) for each in (pair.sensitivity, pair.specificity)),
    )


def _tested(difference: Difference, form: Form) -> str:
    return _difference(difference, difference.p_adjusted, form)


def _difference(difference: Difference, p: float | None, form: Form = SIGNED_PERCENT) -> str:
    told = figure_text(difference.figure, form)
    return told if p is None else f"{told}\np {p:.3g}"


def _about(found: JudgesCompared) -> Iterator[str]:
    gold = found.gold
    yield (
        f"[ , ] {100 * found.confidence:.4g}% intervals (population), one at a time; rows count"
        " 1 / inclusion; agreement: harmless or not as people say, of all labelled rows, where one"
        " without a verdict isn't agreement; accuracy, kappa, sensitivity (1 - misses) and"
        " specificity (1 - false alarms): of judged rows, by harmless or not; n (worth in rows of"
        " equal weight); labels %, linear, quadratic: accuracy and weighted kappa of 3, 2, 1;"
        " calib. error: beside what a perfectly calibrated judge stays under"
    )
    yield "Pareto: no judge of known price costs less and agrees more; cost and time are the runs'"
    exact = {pair.right.method for pair in found.pairs if pair.right is not None}
    yield (
        f"p: Holm over {found.family} tests a figure (pairs x dimensions, and all together);"
        f" accuracy by {' or '.join(sorted(exact)) or 'none'}; the others and the intervals by a"
        " paired bootstrap of the prompts (kappa with linear weights; 3 or not: of harmless or not,"
        " where a judge can't tell 2 from 1); rows that one of a pair left unjudged are out of its"
        " tests (how many: in brackets) and stand in the unjudged share"
    )
    yield (
        f"gold: {gold.rows:,} rows, of which {gold.without_label:,} have no label and"
        f" {gold.not_in_every_run:,} are not in every run; {gold.compared:,} are compared"
    )


def _remarks(found: JudgesCompared) -> Iterator[str]:
    for judge in found.judges:
        yield from (f"{plain(judge.name)}: {plain(note)}" for note in judge.notes)
        known: set[str] = set()
        if judge.pooled is not None:
            yield from (f"{plain(judge.name)}: {told}" for told in _reasons(judge.pooled, known))
        for name, figures in judge.dimensions.items():
            where = f"{plain(judge.name)}, {plain(name)}"
            yield from (f"{where}: {told}" for told in _reasons(figures, set(known)))
    if found.no_pooled is not None:
        yield f"No figures of all dimensions: {found.no_pooled}"
    for pair in found.pairs:
        figure = pair.kappa.figure
        if isinstance(figure, Missing):
            names = f"{plain(pair.a)} - {plain(pair.b)}, {plain(pair.dimension or ALL)}"
            yield f"{names}: no difference of kappa: {plain(figure.why)}"
    yield from map(plain, found.notes)


def _reasons(figures: JudgeFigures, known: set[str]) -> Iterator[str]:
    """Why figures are missing, beyond those that are `known` to be; these are added to it."""
    named = {
        "kappa": figures.kappa,
        "kappa of labels": figures.kappa_linear,
        "sensitivity": figures.sensitivity,
        "specificity": figures.specificity,
        "price (give it with --cost RUN=USD)": figures.cost_usd,
        "time": figures.seconds,
    }
    given: dict[str, list[str]] = {}
    for what, figure in named.items():
        if isinstance(figure, Missing) and what not in known:
            given.setdefault(figure.why, []).append(what)
    if figures.no_probabilities is not None and "calibration" not in known:
        given.setdefault(figures.no_probabilities, []).append("calibration")
    known.update(what for lacking in given.values() for what in lacking)
    for why, lacking in given.items():
        yield f"no {', '.join(lacking)}: {plain(why)}"


def _show_cascade(found: TunedCascade, console: Console, *, several: bool) -> None:
    say(console, f"\nCascade: {plain(found.cheap)} first, {plain(found.strong)} in doubt", "bold")
    for line in _cascade_lines(found):
        say(console, line)
    if several and found.refused is None:
        say(console, "The margin is that of all dimensions together: one alone may lose more")


def _cascade_lines(found: TunedCascade) -> Iterator[str]:
    if found.refused is not None or found.band is None or found.gain is None:
        return
    low, high = found.band
    difference = SIGNED_PERCENT(found.gain.value or 0.0)
    inside = f"{low:g} < P(harmless) < {high:g}, and rows" if low < high else "none, but rows"
    yield f"Doubt band: {inside} without a label or a P(harmless)"
    yield (
        f"lined up on {found.n_lined_up} labelled rows, held to its margin on {found.n_held}"
        f" others: agreement {_percent(found.agreement)} beside"
        f" {_percent(found.strong_agreement)} of {plain(found.strong)} alone, a difference of"
        f" {difference} {range_text(_ends(found.gain), SIGNED_PERCENT)} points"
    )
    yield (
        f"a band that loses more than {100 * found.margin:.4g} points is given with a chance of at"
        f" most {100 * found.risk:.4g}%"
    )
    cost, alone = found.cost or 0.0, found.strong_cost or 0.0
    yield (
        f"{_percent(found.going_up)} of rows go up; 1,000 rows: {cost:.4g} {found.unit} instead of"
        f" {alone:.4g}"
    )
    if found.command is not None:
        yield f"Use it: flames-judge score ... {plain(found.command)}"
        yield "The band holds for the judges of these runs, under their rubrics and settings"
    else:
        yield "its cheap judge is a cascade, which `--judge` can't hold inside of another"


def _percent(figure: Figure | None) -> str:
    if not isinstance(figure, Estimate):
        return NONE
    return f"{percent(figure.value)}% {range_text((figure.low, figure.high), percent)}"


def _ends(figure: Figure) -> tuple[float, float] | None:
    return (figure.low, figure.high) if isinstance(figure, Estimate) else None
