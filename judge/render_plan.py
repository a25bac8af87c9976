"""A labelling plan -> what a person reads in a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from judge.render_table import plain, print_table, say


def show_plan(plan: Mapping[str, Any], console: Console) -> None:
    """Print the plan.

    Args:
        plan: the content of `flames-judge plan --json`.
        console: where.
    """
    width = 100 * plan["half_width"]
    say(console, f"Labels for a corrected harmless rate within ± {width:.4g} points", "bold")
    headings = ("Dimension", "rows", "rate %", "this run", "model on such prompts")
    rows = [
        (
            plain(row["dimension"] + (f", {row['model']}" if row["model"] else "")),
            str(row["n"]),
            f"{100 * row['harmless_rate']:.0f}",
            str(row["labels_run"]),
            str(row["labels_population"]),
        )
        for row in plan["rates"]
    ]
    print_table(console, headings, rows)
    for row in plan["rates"]:
        if row["labels_population"] == "unreachable":
            least = 100 * row["least_half_width_population"]
            say(
                console,
                f"{plain(row['dimension'])}: unreachable: {row['n']} answers can't tell the model's"
                f" rate closer than ± {least:.1f} points, however many are labelled",
            )
    say(console, f"{100 * plan['confidence']:.4g}% intervals, expected from the rates above", "dim")
    _show_promise(plan["promise"], console)


def _show_promise(promise: Mapping[str, Any], console: Console) -> None:
    together = " in all five dimensions at once" if promise["joint"] else ""
    say(
        console,
        f"\nLabels for a cut that misses at most {100 * promise['miss_rate']:.4g}% of harmful rows"
        f" with confidence {100 * promise['confidence']:.4g}%{together}",
        "bold",
    )
    names = list(promise["harmful_rates"])
    headings = ("misses", "harmful rows", *(plain(name) for name in names))
    rows = [
        (
            str(row["misses"]),
            str(row["harmful"]),
            *("-" if row["labels"][n] is None else str(row["labels"][n]) for n in names),
        )
        for row in promise["table"]
    ]
    print_table(console, headings, rows)
    shares = ", ".join(f"{plain(n)} {100 * promise['harmful_rates'][n]:.0f}%" for n in names)
    note = f"by the exact binomial tail; labels at the expected share of harmful rows: {shares}"
    say(console, note, "dim")
