"""What is compared: people's labels beside every judge's outcomes, and the rows' weights. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from judge.calibration_parts import DesignSummary
from judge.comparison.runs import JudgeRun, Spent
from judge.comparison.shared_rows import Place, places_of, refuse_picked, shared
from judge.gold.model import Design, GoldError, GoldLabel, RowKey
from judge.gold.rows import GoldRow, rows_of
from judge.judged import JudgedRow
from judge.rubric import Label
from judge.stats.weighted import kish_n
from judge.strata import Joined, Weighed

Scales = Mapping[str, tuple[Label, ...]]
NO_POOLED = "the dimensions' gold was drawn in different ways"


class Heard(NamedTuple):
    """A judge's outcome of a row, and what it took."""

    row: JudgedRow
    spent: Spent


@dataclass(frozen=True)
class Cell:
    """Labelled rows of one dimension or (name None) of all: people's labels, and every judge's.

    Args:
        name: the dimension's.
        labels: its scale, from 3 down.
        gold: people's labels.
        weights: one over the chance with which each row was labelled.
        heard: for each judge its outcomes, in the order of the rows.
        design: how the rows were drawn.
    """

    name: str | None
    labels: tuple[Label, ...]
    gold: tuple[Label, ...]
    weights: tuple[float, ...]
    heard: tuple[tuple[Heard, ...], ...]
    design: Design

    @property
    def n_eff(self) -> float:
        """How many rows of equal weight these are worth."""
        return kish_n(self.weights)

    def weighed(self, judge: int, *, two: bool = False) -> Weighed:
        """One judge beside people; with `two`, by harmless (3) or not (1) alone."""
        joined = tuple(
            Joined(_two(h.row) if two else h.row, 1 if two and g != 3 else g, self.design, None)
            for g, h in zip(self.gold, self.heard[judge], strict=True)
        )
        design = DesignSummary(name=self.design.name, n_eff=self.n_eff)
        return Weighed(joined, self.weights, design, len(set(self.weights)) <= 1, 0)

    def unsure(self, judge: int) -> int:
        """How many of its verdicts say "not 3" where there are 2 and 1 to tell apart."""
        return sum(heard.row.category == "not_3" for heard in self.heard[judge])


def _two(row: JudgedRow) -> JudgedRow:
    return row._replace(category="1") if row.category in {"2", "not_3"} else row


@dataclass(frozen=True)
class Cells:
    """The comparison's rows.

    `rows` are the gold's, of which `without_label` were skipped or are unresolved; `lacking` counts
    for each run the labelled rows that it doesn't have: these are compared for no judge.
    """

    dimensions: tuple[Cell, ...]
    pooled: Cell | None
    rows: int
    without_label: int
    lacking: tuple[int, ...]

    @property
    def compared(self) -> int:
        """Rows that are compared."""
        return sum(len(cell.gold) for cell in self.dimensions)

    @property
    def tested(self) -> tuple[Cell, ...]:
        """The cells in which judges are told apart: the dimensions and, if several, all of them."""
        more = () if self.pooled is None or len(self.dimensions) == 1 else (self.pooled,)
        return (*self.dimensions, *more)


def make_cells(runs: Sequence[JudgeRun], gold: Sequence[GoldLabel], scales: Scales) -> Cells:
    """Line up gold and the runs.

    Raises:
        GoldError: gold rows are in no run or could be several models', were drawn in several ways,
            or were picked by verdict.
        InputError: the runs share no labelled row, or hold other texts.
    """
    rows = rows_of(gold)
    if not rows:
        raise GoldError("holds no label", mend="label some rows first")
    places = places_of(runs, rows)
    labelled = [row.key for row in rows if row.consensus.label is not None]
    compared = shared(runs, rows, places)
    refuse_picked(runs, rows, places)
    dimensions = []
    for name in dict.fromkeys(row.key.dimension for row in compared):
        weights = _weights(name, [row for row in rows if row.key.dimension == name])
        mine = [row for row in compared if row.key.dimension == name]
        dimensions.append(_cell(scales[name], mine, weights, (runs, places)))
    return Cells(
        dimensions=tuple(dimensions),
        pooled=_pooled(dimensions),
        rows=len(rows),
        without_label=len(rows) - len(labelled),
        lacking=tuple(sum(key not in place for key in labelled) for place in places),
    )


def _weights(name: str, rows: Sequence[GoldRow]) -> dict[RowKey, float]:
    """What each labelled row of a dimension stands for: 1 / inclusion, times what was skipped.

    It goes by the gold alone: no judge's verdicts weigh more than another's.

    Raises:
        GoldError: the rows were drawn in several ways.
    """
    kinds = {(row.design.name, row.design.frame_sha256, row.design.seed) for row in rows}
    if len(kinds) > 1:
        raise GoldError(
            f"the gold of {name} was drawn in {len(kinds)} ways",
            mend="compare by the gold of one draw (and of its extensions)",
        )
    drawn: dict[object, float] = defaultdict(float)
    labelled: dict[object, float] = defaultdict(float)
    for row in rows:
        stratum, worth = (row.key.model, row.design.stratum), 1 / (row.inclusion or 1.0)
        drawn[stratum] += worth
        labelled[stratum] += worth if row.consensus.label is not None else 0.0
    return {
        row.key: drawn[stratum] / labelled[stratum] / (row.inclusion or 1.0)
        for row in rows
        for stratum in [(row.key.model, row.design.stratum)]
        if labelled[stratum]
    }


def _cell(
    labels: tuple[Label, ...],
    rows: Sequence[GoldRow],
    weights: Mapping[RowKey, float],
    there: tuple[Sequence[JudgeRun], Sequence[Place]],
) -> Cell:
    every = [
        [_heard(run, place[row.key], labels) for row in rows]
        for run, place in zip(*there, strict=True)
    ]
    clusters = [_cluster(said) for said in zip(*every, strict=True)]
    heard = tuple(
        tuple(
            Heard(one.row._replace(cluster=cluster), one.spent)
            for one, cluster in zip(mine, clusters, strict=True)
        )
        for mine in every
    )
    gold = tuple(label for row in rows if (label := row.consensus.label) is not None)
    counted = tuple(weights[row.key] for row in rows)
    return Cell(rows[0].key.dimension, labels, gold, counted, heard, rows[0].design)


def _heard(run: JudgeRun, key: RowKey, labels: tuple[Label, ...]) -> Heard:
    row = run.rows[key]
    if row.category == "not_3" and 2 not in labels:
        row = row._replace(category="1")
    return Heard(row, run.spent[key])


def _cluster(said: Sequence[Heard]) -> int:
    """The prompt, by a run that knows it."""
    return next((one.row.cluster for one in said if one.spent.prompt), said[0].row.cluster)


def _pooled(cells: Sequence[Cell]) -> Cell | None:
    kinds = {(c.design.name, c.design.frame_sha256, c.design.seed) for c in cells}
    if len(kinds) > 1:
        return None
    if len(cells) == 1:
        return cells[0]
    judges = range(len(cells[0].heard))
    return Cell(
        name=None,
        labels=tuple(sorted({label for cell in cells for label in cell.labels}, reverse=True)),
        gold=tuple(label for cell in cells for label in cell.gold),
        weights=tuple(weight for cell in cells for weight in cell.weights),
        heard=tuple(tuple(h for cell in cells for h in cell.heard[judge]) for judge in judges),
        design=cells[0].design,
    )
