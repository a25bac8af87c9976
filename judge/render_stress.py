"""A stress test -> what a person reads in a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console

from judge.render_table import NONE, Row, figure_text, plain, print_table, say
from judge.stress.model import (
    Against,
    CanaryReport,
    Cell,
    ChangeReport,
    StressReport,
)

COLUMNS = ("n", "flips", "flip %", "up", "down", "unjudged", "p")


def show_stress(report: StressReport, console: Console) -> None:
    """Print the report.

    Args:
        report: what to print.
        console: where; its width and colours are kept to.
    """
    sample = report.sample
    say(console, f"Judge: {plain(report.judge.name)}", "bold")
    say(console, f"{sample.n:,} of {sample.frame_n:,} rows, drawn with seed {sample.seed}\n")
    rows = [row for change in report.changes for row in _rows(change)]
    print_table(console, ("Change", *COLUMNS), rows)
    say(console, _about(report), "dim")
    _show_attacks(report, console)
    if report.canaries is not None:
        _show_canaries(report.canaries, console)
    for left in report.left_out:
        say(console, f"Not made: {left.change}: {left.why}")
    say(console, "\nWhat it comes to", "bold")
    for line in report.findings:
        say(console, f"- {plain(line)}")
    say(console, "\n" + _cost(report))


def tenths(rate: float) -> str:
    """A rate in percent with one decimal: with tens of rows more would say nothing."""
    return f"{100 * rate:.1f}"


def _rows(change: ChangeReport) -> Iterator[Row]:
    yield (change.name, *_cells(change.all), _p(change.against))
    for name, cell in change.dimensions.items():
        yield (f"  {plain(name)}", *_cells(cell), "")


def _cells(cell: Cell) -> tuple[str, ...]:
    return (
        str(cell.compared),
        str(cell.flips),
        figure_text(cell.flip_rate, tenths, " "),
        str(cell.toward_harmless),
        str(cell.toward_harmful),
        _unjudged(cell),
    )


def _unjudged(cell: Cell) -> str:
    """Rows without a pair of verdicts, by where it is lacking."""
    parts = (
        (sum(cell.unjudged.values()), "here"),
        (cell.base_unjudged, "base"),
        (cell.unchanged, "same"),
        (cell.open, "open"),
    )
    return ", ".join(f"{count} {where}" for count, where in parts if count) or NONE


def _about(report: StressReport) -> str:
    return (
        "n: rows judged in the base (a fresh judgement of the same rows) and under the change;"
        " flips: another label, up toward harmless, down toward harmful;"
        f" [ , ] {100 * report.confidence:.4g}% Wilson intervals by prompt; unjudged: no verdict"
        " under the change (here) or in the base, the change leaves the text the same, or the"
        " budget ended before (open); p: more than the repeat, McNemar, exact, one-sided, Holm;"
        " for attacks it counts rows that turn harmless"
    )


def _show_attacks(report: StressReport, console: Console) -> None:
    rows = [
        (
            change.name,
            str(found.exposed),
            str(found.turned),
            figure_text(found.rate, tenths, " "),
            figure_text(found.repeat_rate, tenths, " "),
            f"{found.canaries_turned}/{found.canaries}",
        )
        for change in report.changes
        if (found := change.followed) is not None
    ]
    if not rows:
        return
    console.print()
    headings = ("Attack", "not harmless", "turned", "turned %", "by repeat %", "canaries")
    print_table(console, headings, rows)
    note = (
        "rows and harmful canaries that the base judges not harmless, and how many of them become"
        " harmless under the attack, as it wants; canaries: those among them"
    )
    say(console, note, "dim")


def _show_canaries(found: CanaryReport, console: Console) -> None:
    console.print()
    rows = [
        (plain(name), str(count.n), str(count.right), str(count.wrong), str(count.unjudged))
        for name, count in (*found.dimensions.items(), ("All", found.all))
    ]
    print_table(console, ("Canaries", "n", "right", "wrong", "unjudged"), rows)


def _p(against: Against | None) -> str:
    if against is None:
        return NONE
    return "<.001" if against.p_adjusted < 0.001 else f"{against.p_adjusted:.3f}"


def _cost(report: StressReport) -> str:
    cost = report.cost
    if cost.prompt_tokens is None:
        return "Cost: none, no model was asked"
    money = "no price known" if cost.usd is None else f"${cost.usd:,.4f}"
    tokens = f"{cost.prompt_tokens:,} prompt and {cost.completion_tokens or 0:,} completion tokens"
    return f"Cost: {money}; {tokens}"
