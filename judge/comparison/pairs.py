"""Every pair of judges on the rows that both judged, tested with allowance for many tests. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np

from judge.against_gold import Mask
from judge.comparison.cells import Cell, Cells, Heard
from judge.comparison.figures import FigureOptions
from judge.comparison.model import Difference, KappaOf, PairOfJudges, WhoIsRight
from judge.judged import OPEN
from judge.stats.agreement import DRAWS, Draws
from judge.stats.comparison import holm
from judge.stats.paired import PairedRows, Tested, differences, who_is_right

LEAST_DRAWS, MOST_DRAWS = DRAWS, 20_000
DRAWS_A_TEST = 200  # so that the least p-value stays small once it is adjusted
FIGURES: tuple[Literal["kappa", "sensitivity", "specificity"], ...] = (
    "kappa",
    "sensitivity",
    "specificity",
)


class Compared(NamedTuple):
    """All pairs in all cells, and over how many tests each figure's p-values are adjusted."""

    pairs: tuple[PairOfJudges, ...]
    family: int


def compare_pairs(names: Sequence[str], cells: Cells, options: FigureOptions) -> Compared:
    """All pairs of judges, in each dimension and, with several, in all of them.

    Args:
        names: of the judges, in the cells' order.
        cells: the rows.
        options: confidence and seed.
    """
    pairs = list(combinations(range(len(names)), 2))
    family = len(pairs) * len(cells.tested)
    number = min(max(LEAST_DRAWS, DRAWS_A_TEST * family), MOST_DRAWS)
    found: list[PairOfJudges] = []
    for place, cell in enumerate(cells.tested):
        for a, b in pairs:
            rng = np.random.default_rng([options.seed, place, a, b])
            draws = Draws(rng, options.confidence, number)
            found.append(_pair(cell, (a, b), (names[a], names[b]), draws))
    return Compared(_adjusted(found), family)


def _pair(
    cell: Cell, places: tuple[int, int], names: tuple[str, str], draws: Draws
) -> PairOfJudges:
    first, second = (cell.heard[place] for place in places)
    judged = np.array([[_judged(one) for one in side] for side in (first, second)], bool)
    kappa_of: KappaOf = "labels, linear weights"
    if any(cell.unsure(judge) for judge in range(len(cell.heard))):
        kappa_of = "harmless or not"
    k = 2 if kappa_of == "harmless or not" else len(cell.labels)
    rows = _rows(cell, (first, second), np.asarray(judged.all(axis=0)), k)
    n = len(rows.gold)
    right = who_is_right(rows, draws.rng) if n else None
    found = differences(rows, k, draws)
    return PairOfJudges(
        a=names[0],
        b=names[1],
        dimension=cell.name,
        n=n,
        left_out={
            "a_alone_judged": int((judged[0] & ~judged[1]).sum()),
            "b_alone_judged": int((judged[1] & ~judged[0]).sum()),
            "neither_judged": int((~judged[0] & ~judged[1]).sum()),
        },
        kappa_of=kappa_of,
        right=None
        if right is None
        else WhoIsRight(**right._asdict(), difference=found.accuracy, p_adjusted=right.p),
        kappa=_difference(found.kappa),
        sensitivity=_difference(found.sensitivity),
        specificity=_difference(found.specificity),
    )


def _judged(heard: Heard) -> bool:
    return heard.row.category not in OPEN


def _difference(found: Tested) -> Difference:
    return Difference(figure=found.figure, p=found.p)


def _rows(
    cell: Cell, sides: tuple[Sequence[Heard], Sequence[Heard]], both: Mask, k: int
) -> PairedRows:
    """The rows that both judged, as places on the scale (or harmless or not)."""
    codes = {str(label): min(place, k - 1) for place, label in enumerate(cell.labels)}
    codes["not_3"] = 1
    kept = np.flatnonzero(both).tolist()
    said = [[str(label) for label in cell.gold]]
    said += [[str(one.row.category) for one in side] for side in sides]
    gold, a, b = (np.array([codes[one[place]] for place in kept], np.int64) for one in said)
    cluster = np.array([sides[0][place].row.cluster for place in kept], np.uint64)
    return PairedRows(gold, a, b, np.array(cell.weights, float)[kept], cluster)


def _adjusted(pairs: Sequence[PairOfJudges]) -> tuple[PairOfJudges, ...]:
    """Holm over all pairs and cells, for each figure."""
    right = holm([None if pair.right is None else pair.right.p for pair in pairs])
    others = {name: holm([getattr(pair, name).p for pair in pairs]) for name in FIGURES}
    found: list[PairOfJudges] = []
    for place, pair in enumerate(pairs):
        changes: dict[str, object] = {
            name: getattr(pair, name).model_copy(update={"p_adjusted": others[name][place]})
            for name in FIGURES
        }
        if pair.right is not None:
            changes["right"] = pair.right.model_copy(update={"p_adjusted": right[place]})
        found.append(pair.model_copy(update=changes))
    return tuple(found)
