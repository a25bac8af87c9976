"""A calibration -> what a person reads in a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console

from judge.calibration import Calibration, DimensionCalibration
from judge.calibration_parts import MapQuality, StandIn
from judge.render_corrected import EXTENDED
from judge.render_table import NONE, Row, figure_text, percent, plain, print_table, say
from judge.stats.estimate import Figure


def show_calibration(calibration: Calibration, console: Console) -> None:
    """Print what a calibration found, dimension by dimension.

    Args:
        calibration: what to print.
        console: where; its width and colours are kept to.
    """
    say(console, f"Judge: {plain(calibration.judge.name)}", "bold")
    for name, dimension in calibration.dimensions.items():
        say(console, f"\n{plain(name)}: {_design(dimension)}", "bold")
        if dimension.design.draws > 1:
            say(console, f"The sample was extended ({dimension.design.draws} draws): {EXTENDED}")
        _show_confusion(dimension, console)
        _show_quality(dimension, console)
        if dimension.agreement.map is not None:
            _show_map(dimension.agreement.map, dimension, console)
        _show_stand_in(dimension.agreement.stand_in, console)
        _show_thresholds(dimension, console)


def _design(dimension: DimensionCalibration) -> str:
    design = dimension.design
    told = f"{dimension.n} labelled rows, worth {design.n_eff:.0f} of equal weight; "
    if design.name == "external":
        return told + "external gold: taken as drawn evenly from its source"
    if design.name == "census":
        return told + "the whole run is labelled"
    of = "of this run" if design.strata else "of another run"
    return told + f"{design.name} sample of {design.frame_n:,} rows {of}"


def _show_confusion(dimension: DimensionCalibration, console: Console) -> None:
    agreement = dimension.agreement
    labels = [str(label) for label in dimension.labels]
    rows: list[Row] = []
    for category, counts in agreement.confusion.items():
        weighted = agreement.weighted[category]
        cells = [f"{counts[label]} ({weighted[label]:.1f})" for label in labels]
        rows.append((category.replace("_", " "), *cells))
    print_table(console, ("judge \\ people", *labels), rows)
    say(console, "in brackets: weighted by the design, to the same total", "dim")


def _show_quality(dimension: DimensionCalibration, console: Console) -> None:
    found = dimension.agreement
    figures: dict[str, Figure] = {
        "accuracy %": found.accuracy,
        "sensitivity for harm %": found.sensitivity,
        "specificity for harm %": found.specificity,
    }
    rows = [(name, _n(f), figure_text(f, percent, " ")) for name, f in figures.items()]
    kappas = {"linear": found.kappa_linear, "quadratic": found.kappa_quadratic}
    rows += [
        (f"kappa, {name} weights", _n(f), figure_text(f, lambda k: f"{k:.3f}", " "))
        for name, f in kappas.items()
    ]
    print_table(console, ("", "n", "value"), rows)
    for name, figure in {**figures, "kappa": found.kappa_linear}.items():
        if figure.value is None:
            say(console, f"no {name.removesuffix(' %')}: {plain(figure.why)}")


def _n(figure: Figure) -> str:
    return str(figure.n) if figure.n else NONE


def _show_map(quality: MapQuality, dimension: DimensionCalibration, console: Console) -> None:
    kind = dimension.map.method if dimension.map is not None else ""
    say(
        console,
        f"P(harmless) by {kind}, on rows that it wasn't fitted on:"
        f" Brier {figure_text(quality.brier, lambda v: f'{v:.3f}', ' ')},"
        f" log loss {figure_text(quality.log_loss, lambda v: f'{v:.3f}', ' ')},"
        f" calibration error {quality.calibration_error:.3f}"
        f" (a perfectly calibrated judge: {quality.calibration_error_expected:.3f} on average,"
        f" up to {quality.calibration_error_null:.3f})",
    )
    rows = [
        (f"{b.p:.3f}", str(b.n), f"{100 * b.rate:.1f} [{100 * b.low:.1f}, {100 * b.high:.1f}]")
        for b in quality.reliability
    ]
    print_table(console, ("P(harmless)", "n", "harmless %"), rows)


def _show_stand_in(found: StandIn | None, console: Console) -> None:
    if found is None:
        return
    beaten = sum(one.beaten for one in found.annotators)
    say(
        console,
        f"Alternative-annotator test: the judge {'may' if found.passed else 'may not'} stand in for"
        f" one annotator: it is as good as {beaten} of {len(found.annotators)}, being allowed to be"
        f" worse by {found.epsilon:g} (false discovery rate {found.q:g}); it agrees with the others"
        f" in {percent(found.advantage)}% of rows",
    )


def _show_thresholds(dimension: DimensionCalibration, console: Console) -> None:
    for line in _threshold_lines(dimension):
        say(console, line)


def _threshold_lines(dimension: DimensionCalibration) -> Iterator[str]:
    for cut in dimension.thresholds:
        yield (
            f"Promise: at most {100 * cut.alpha:.4g}% of harmful rows missed, with confidence"
            f" {100 * (1 - cut.delta):.4g}%: act where P(harmless) < {cut.cut:.6g};"
            f" {cut.misses} of {cut.n} harmful rows missed, which bounds the miss rate at"
            f" {100 * cut.attained:.2f}%; acts on"
            f" {figure_text(cut.false_alarm, percent, ' ')}% of harmless rows"
        )
