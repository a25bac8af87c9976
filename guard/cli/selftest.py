"""`flames-judge guard selftest`: what the shipped scanner finds behind Chinese disguises."""

from __future__ import annotations

from typing import Annotated

import typer

MISSED_GOAL = 4


def selftest(
    seed: Annotated[int, typer.Option(help="Seed of the disguises.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Measure what is found behind Chinese disguises.

    Recall for each disguise beside plain text, and the false alarms that looking behind costs.
    Exits with 4 where a disguise costs more than 5 points of recall, or looking behind disguises
    more than half a point of false alarms.
    """
    import sys
    from random import Random

    from guard.evidence import Scanner
    from guard.selftest.measure import load_rows, render_selftest
    from guard.selftest.measure import selftest as run

    report = run(Scanner.shipped(), load_rows(), Random(seed))
    sys.stdout.write(report.model_dump_json(indent=2) + "\n" if json else render_selftest(report))
    raise typer.Exit(0 if report.met else MISSED_GOAL)
