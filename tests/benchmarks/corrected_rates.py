"""The README's table: judges that people checked, and what 300 of the labels make of their rates.

    python -m tests.benchmarks.corrected_rates [DRAWS]

For each judge: its own rate, people's, the corrected rate of the first draw, the share of DRAWS
(500) whose interval holds people's rate, and how many fewer labels give an interval of that width
than labels without a judge.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from tests import cold, xstest
from tests.many_draws import Known, corrected, covered, narrowed

DRAWS = 500


def cases() -> Mapping[str, Known]:
    """The judges, by the names of their rows."""
    return {
        "GPT-4 on XSTest": xstest.known(),
        "abuse head on COLD, its own cut": cold.known(cold.shipped_cut()),
        "abuse head on COLD, even odds": cold.known(cold.EVEN_ODDS),
    }


def first_draw(known: Known) -> str:
    """The cells that one draw gives: rows, the judge's rate, people's, the corrected one."""
    (figure,) = corrected(known, 1)[None]
    low, value, high = (f"{100 * x:.1f}" for x in (figure.low, figure.value, figure.high))
    rates = f"{100 * known.judges_rate:.1f} | {100 * known.rate():.1f}"
    return f"{len(known.rows):,} | {rates} | {value} [{low}, {high}]"


def all_draws(known: Known, draws: int) -> str:
    """The cells that many draws give, in percent: coverage, and labels saved."""
    figures = corrected(known, draws)[None]
    return f"{100 * covered(figures, known.rate()):.1f} | {100 * narrowed(figures, known):.0f}"


if __name__ == "__main__":
    for name, case in cases().items():
        told = all_draws(case, int(sys.argv[1]) if len(sys.argv) > 1 else DRAWS)
        print(f"| {name} | {first_draw(case)} | {told} |")
