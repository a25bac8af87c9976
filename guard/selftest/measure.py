"""What the scanner finds behind disguises, beside what it finds in plain texts, and at what cost.

The advertisements of the shipped rows were among those that the heads were trained on: their plain
recall is too high for other texts. What a disguise takes off it is the figure to look at; the same
test on rows that heads didn't see is in the card of `guard.homophones`.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from importlib import resources
from random import Random
from typing import TYPE_CHECKING, Final, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

from guard.evidence import Scanner
from guard.selftest.disguises import DISGUISES, Row
from judge.stats.estimate import Estimate

if TYPE_CHECKING:
    from judge.render_table import Row as Cells

MOST_LOST: Final = 0.05  # recall that a disguise may cost
MOST_ALARMS: Final = 0.005  # false alarms that looking behind disguises may cost
SAFE = "safe"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Behind(_Value):
    """One disguise.

    Args:
        name: of `guard.selftest.disguises.DISGUISES`.
        recall: share of texts whose kind is found.
        without: the same, by the plain view alone.
        lost: recall on the plain texts less this recall, paired by text.
    """

    name: str
    recall: Estimate
    without: Estimate
    lost: Estimate

    @property
    def met(self) -> bool:
        """Whether the measured loss, not its interval, is within the goal."""
        return round(self.lost.value, 9) <= MOST_LOST


class Alarms(_Value):
    """Benign texts in which any evidence is found.

    Args:
        alarms: their share.
        without: the same, by the plain view alone.
        added: the difference, paired by text.
    """

    alarms: Estimate
    without: Estimate
    added: Estimate


class SelftestReport(_Value):
    """The selftest's figures; shares in [0, 1].

    Args:
        plain: recall on the texts as they are.
        behind: each disguise.
        by_kind: for each kind of evidence, the plain recall and the same for each disguise.
        benign: false alarms on all benign texts.
        by_source: the same for each source.
    """

    format: Literal[1] = 1
    plain: Estimate
    behind: tuple[Behind, ...]
    by_kind: dict[str, dict[str, float]]
    benign: Alarms
    by_source: dict[str, Alarms]

    @property
    def met(self) -> bool:
        """Whether each disguise costs at most 5 points, and looking behind them half a point."""
        return all(one.met for one in self.behind) and self.benign.added.value <= MOST_ALARMS


def load_rows() -> tuple[Row, ...]:
    """The shipped rows."""
    file = resources.files("guard.selftest") / "data" / "rows.jsonl.gz"
    lines = gzip.decompress(file.read_bytes()).decode().splitlines()
    return TypeAdapter(tuple[Row, ...]).validate_python([json.loads(line) for line in lines])


def selftest(scanner: Scanner, rows: Sequence[Row], rng: Random) -> SelftestReport:
    """Disguise the rows that hold evidence, and scan everything with and without other views.

    Args:
        scanner: what is tested.
        rows: at least one that holds evidence and one that is safe.
        rng: for what the disguises choose.
    """
    bare = scanner.without_disguises()
    harmful = [row for row in rows if row.kind != SAFE]
    plain = [_finds(scanner, row.kind, row.text) for row in harmful]
    behind: list[Behind] = []
    hits: dict[str, list[bool]] = {"plain": plain}
    for name, disguise in DISGUISES.items():
        texts = [disguise(row, rng) for row in harmful]
        hits[name] = [_finds(scanner, r.kind, t) for r, t in zip(harmful, texts, strict=True)]
        without = [_finds(bare, r.kind, t) for r, t in zip(harmful, texts, strict=True)]
        behind.append(
            Behind(
                name=name,
                recall=_share(hits[name]),
                without=_share(without),
                lost=_difference(plain, hits[name]),
            )
        )
    kinds = [row.kind for row in harmful]
    benign, by_source = _benign(scanner, bare, [row for row in rows if row.kind == SAFE])
    return SelftestReport(
        plain=_share(plain),
        behind=tuple(behind),
        by_kind={kind: _of_kind(hits, kinds, kind) for kind in sorted(set(kinds))},
        benign=benign,
        by_source=by_source,
    )


def _of_kind(hits: dict[str, list[bool]], kinds: Sequence[str], kind: str) -> dict[str, float]:
    chosen = [i for i, one in enumerate(kinds) if one == kind]
    return {name: sum(found[i] for i in chosen) / len(chosen) for name, found in hits.items()}


def _benign(
    scanner: Scanner, bare: Scanner, rows: Sequence[Row]
) -> tuple[Alarms, dict[str, Alarms]]:
    """Of all benign texts, and of each source's."""
    found = [bool(scanner.scan(row.text)) for row in rows]
    without = [bool(bare.scan(row.text)) for row in rows]
    sources = [row.source for row in rows]
    by_source: dict[str, Alarms] = {}
    for source in sorted(set(sources)):
        chosen = [i for i, one in enumerate(sources) if one == source]
        by_source[source] = _alarms([found[i] for i in chosen], [without[i] for i in chosen])
    return _alarms(found, without), by_source


def _alarms(found: Sequence[bool], without: Sequence[bool]) -> Alarms:
    return Alarms(alarms=_share(found), without=_share(without), added=_difference(found, without))


def _finds(scanner: Scanner, kind: str, text: str) -> bool:
    return any(found.kind == kind for found in scanner.scan(text))


def _share(found: Sequence[bool]) -> Estimate:
    from judge.stats.rates import rate

    return rate(found)


def _difference(a: Sequence[bool], b: Sequence[bool]) -> Estimate:
    from judge.stats.comparison import paired_mean
    from judge.stats.rates import RATE_DIFFERENCE, estimate

    return estimate(paired_mean(a, b), RATE_DIFFERENCE)


def render_selftest(report: SelftestReport) -> str:
    """The report as a table for the terminal."""
    from rich.console import Console

    from judge.render_table import print_table, say

    console = Console(width=100, highlight=False)
    with console.capture() as captured:
        n = report.plain.n
        say(console, f"Recall on {n} texts, in %, with 95 % intervals", "bold")
        headings = ("Disguise", "recall", "plain view alone", "points lost", "")
        print_table(console, headings, list(_recalls(report)))
        say(console, f"\nFalse alarms on {report.benign.alarms.n} benign texts, in %", "bold")
        headings = ("Source", "alarms", "plain view alone", "points added", "")
        print_table(console, headings, list(_false_alarms(report)))
    return captured.get()


def _recalls(report: SelftestReport) -> list[Cells]:
    rows: list[Cells] = [("(plain)", _cell(report.plain), "", "", "")]
    for one in report.behind:
        goal = "" if one.met else "missed"
        rows.append((one.name, _cell(one.recall), _cell(one.without), _cell(one.lost), goal))
    return rows


def _false_alarms(report: SelftestReport) -> list[Cells]:
    named = [*report.by_source.items(), ("all", report.benign)]
    return [
        (
            name,
            _cell(one.alarms),
            _cell(one.without),
            _cell(one.added),
            "missed" if name == "all" and one.added.value > MOST_ALARMS else "",
        )
        for name, one in named
    ]


def _cell(figure: Estimate) -> str:
    from judge.render_table import figure_text

    return figure_text(figure, lambda value: f"{100 * value:.1f}", " ")
