"""Shift audits -> what a person reads in a terminal, under the corrected figures."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console

from judge.render_table import plain, say
from judge.report.model import ShiftAudit

QUIET = frozenset({"NOT_NEEDED"})


def show_audits(audits: Mapping[str, ShiftAudit | None], console: Console) -> None:
    """Print whether the run looks like the gold, a line each; nothing where it is that gold's own.

    Args:
        audits: by dimension.
        console: where.
    """
    found = {n: one for n, one in audits.items() if one is not None and one.verdict not in QUIET}
    for name, one in found.items():
        style = "yellow" if one.verdict == "FAIL" else ""
        verdict = one.verdict.replace("_", " ")
        say(console, f"{plain(name)}: shift audit {verdict}: {_told(one)}", style)
    compared = dict.fromkeys(what for one in found.values() for what in one.compared)
    if compared:
        first = next(iter(found.values()))
        say(
            console,
            f"Shift audit: do the run's rows fit a mixture of the gold's harmless and harmful ones"
            f" ({', '.join(compared)})? Margin {_points(first.margin)}, confidence"
            f" {100 * first.confidence:.4g}%; {first.unseen}.",
            "dim",
        )


def _told(one: ShiftAudit) -> str:
    if one.deviation is None or one.worst is None:
        return "; ".join(map(plain, one.why))
    low, high = one.deviation
    worst = f"{one.worst.kind}: {one.worst.run:.1%} of rows, {one.worst.expected:.1%} by the gold"
    told = {
        "PASS": f"no share of rows is off by more than {_points(high)}",
        "FAIL": f"the error rates that the correction goes by hardly hold here: a share of rows is"
        f" off by {_points(low)} or more ({worst})",
        "INCONCLUSIVE": f"the largest difference is between {_points(low)} and {_points(high)}"
        f" ({one.rows} rows, {one.gold} of gold; {worst})",
    }[one.verdict]
    return "; ".join([told, *map(plain, one.why)])


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"
