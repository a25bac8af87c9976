"""How far the annotators of a gold file agree: by dimension and subcomponent, and where not. Pure.

Marks are each annotator's first, before adjudication. Where the gold was drawn with
unequal probabilities, rows count 1 / inclusion.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Literal

from pydantic import BaseModel, ConfigDict

from judge.gold.model import FORMAT, RowKey
from judge.gold.rows import GoldRow
from judge.rubric import Label, Rubrics
from judge.stats.agreement import (
    Draws,
    cohens_kappas,
    confusion,
    krippendorff_alpha,
    observed_agreement,
)
from judge.stats.coefficients import Metric
from judge.stats.estimate import Figure, Missing
from judge.stats.rates import estimate, row_mean

NAN = float("nan")
Part = Callable[[RowKey], str | None]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Confusion(_Value):
    """Two annotators' marks: `counts[i][j]` rows with the first's label i and the second's j.

    `shares` are the cells' shares of these rows, each with its interval.
    """

    labels: tuple[int, ...]
    counts: tuple[tuple[int, ...], ...]
    shares: tuple[tuple[Figure, ...], ...]


class Kappas(_Value):
    """Cohen's kappa with disagreements weighted alike, by distance, and by its square.

    On a scale of two labels the three are one.
    """

    unweighted: Figure
    linear: Figure
    quadratic: Figure


class Pair(_Value):
    """Two annotators, on the `n` rows that both marked."""

    annotators: tuple[str, str]
    n: int
    observed: Figure
    kappa: Kappas
    confusion: Confusion


class PartAgreement(_Value):
    """A dimension or a subcomponent: `compared` of its `rows` have two marks or more.

    `observed` and `alpha` are those of all annotators; `kappa` is that of the two annotators, or
    null where they are not two: then each of the `pairs` has its own. Pairs begin with the one that
    agrees least.
    """

    rows: int
    compared: int
    skipped: int
    annotators: tuple[str, ...]
    observed: Figure
    kappa: Kappas
    alpha: Figure
    alpha_metric: Metric
    pairs: tuple[Pair, ...]


class DimensionAgreement(PartAgreement):
    """A dimension, with its subcomponents where they are known."""

    labels: tuple[int, ...]
    subcomponents: dict[str, PartAgreement]


class Agreement(_Value):
    """What `flames-judge agreement --json` prints."""

    format: Literal[1] = FORMAT
    confidence: float
    weighted: bool
    dimensions: dict[str, DimensionAgreement]


def agreement(
    rows: Sequence[GoldRow], rubrics: Rubrics, draws: Draws, part: Part = lambda _: None
) -> Agreement:
    """The annotators' agreement.

    Args:
        rows: of the gold.
        rubrics: give each dimension its scale.
        draws: for the intervals of kappa and alpha.
        part: the subcomponent of a row, or None where it isn't known.
    """
    weighted = _unequal(rows)
    dimensions = {}
    for name, rubric in rubrics.items():
        mine = [row for row in rows if row.key.dimension == name]
        if mine:
            parts: dict[str, list[GoldRow]] = {}
            for row in mine:
                parts.setdefault(part(row.key) or "", []).append(row)
            figures = _Part(rubric.labels, draws, weighted=weighted)
            dimensions[name] = DimensionAgreement(
                **dict(figures.of(mine)),
                labels=rubric.labels,
                subcomponents={name: figures.of(parts[name]) for name in sorted(parts) if name},
            )
    return Agreement(confidence=draws.confidence, weighted=weighted, dimensions=dimensions)


def _unequal(rows: Sequence[GoldRow]) -> bool:
    chances = {row.inclusion for row in rows}
    return None not in chances and len(chances) > 1


class _Part:
    """The figures of some rows of one dimension."""

    def __init__(self, labels: Sequence[Label], draws: Draws, *, weighted: bool) -> None:
        self._labels, self._draws, self._weighted = labels, draws, weighted
        self._scale = sorted(labels)
        self._metric: Metric = "ordinal" if len(labels) > 2 else "nominal"

    def of(self, rows: Sequence[GoldRow]) -> PartAgreement:
        names = tuple(sorted({name for row in rows for name in row.marks}))
        marks = [[row.first_marks.get(name) or NAN for name in names] for row in rows]
        weights = self._weights(rows)
        pairs = [self._pair(rows, pair) for pair in combinations(names, 2)]
        pairs = sorted((pair for pair in pairs if pair.n), key=_observed)
        return PartAgreement(
            rows=len(rows),
            compared=sum(len(_given(row)) >= 2 for row in rows),
            skipped=sum(mark is None for row in rows for mark in row.marks.values()),
            annotators=names,
            observed=observed_agreement(marks, weights, self._draws.confidence),
            kappa=pairs[0].kappa if len(names) == 2 and pairs else self._no_kappa(len(names)),
            alpha=krippendorff_alpha(marks, self._scale, self._metric, self._draws, weights),
            alpha_metric=self._metric,
            pairs=tuple(pairs),
        )

    def _weights(self, rows: Sequence[GoldRow]) -> list[float] | None:
        return [1 / (row.inclusion or 1.0) for row in rows] if self._weighted else None

    def _no_kappa(self, annotators: int) -> Kappas:
        why = "no row has two marks"
        if annotators > 2:
            why = f"kappa is for two annotators, and these are {annotators}: see pairs, or alpha"
        none = Missing(confidence=self._draws.confidence, n=0, why=why)
        return Kappas(unweighted=none, linear=none, quadratic=none)

    def _pair(self, rows: Sequence[GoldRow], names: tuple[str, str]) -> Pair:
        both = [row for row in rows if all(row.first_marks.get(name) for name in names)]
        marks = [[row.first_marks[name] or NAN for name in names] for row in both]
        matrix = marks or [[NAN, NAN]]
        weights = self._weights(both) if both else None

        return Pair(
            annotators=names,
            n=len(both),
            observed=observed_agreement(matrix, weights, self._draws.confidence),
            kappa=Kappas(**cohens_kappas(matrix, self._scale, self._draws, weights)),
            confusion=self._confusion(matrix, len(both)),
        )

    def _confusion(self, matrix: Sequence[Sequence[float]], n: int) -> Confusion:
        counts = confusion(matrix, self._labels).tolist()
        return Confusion(
            labels=tuple(self._labels),
            counts=tuple(tuple(line) for line in counts),
            shares=tuple(tuple(self._share(count, n) for count in line) for line in counts),
        )

    def _share(self, count: int, n: int) -> Figure:
        confidence = self._draws.confidence
        if n == 0:
            return Missing(confidence=confidence, n=0, why="no row has two marks")
        return estimate(row_mean([True] * count + [False] * (n - count)), confidence=confidence)


def _observed(pair: Pair) -> float:
    return pair.observed.value if pair.observed.value is not None else 1.0


def widest(rows: Sequence[GoldRow], most: int) -> list[GoldRow]:
    """The rows on which the annotators differ most: by the span of their labels, then their mix."""

    def apart(row: GoldRow) -> tuple[int, float]:
        given = _given(row)
        middle = sum(given) / len(given)
        return max(given) - min(given), sum((label - middle) ** 2 for label in given) / len(given)

    differing = [row for row in rows if len(set(_given(row))) > 1]
    return sorted(differing, key=apart, reverse=True)[:most]


def _given(row: GoldRow) -> list[Label]:
    return [label for label in row.first_marks.values() if label is not None]
