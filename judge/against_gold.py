"""A judge beside people in one dimension: gold rows as columns, and how far the two agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from judge.calibration import By, score_of
from judge.calibration_parts import Agreement, MapQuality, StandIn
from judge.judged import CATEGORIES, OPEN
from judge.rubric import Label
from judge.stats.agreement import Draws, cohens_kappa
from judge.stats.alt_test import LEAST_ANNOTATORS, AltTestOptions, alt_test
from judge.stats.estimate import Figure, Missing
from judge.stats.probability import Labelled
from judge.stats.rates import Mean, estimate
from judge.stats.weighted import weighted_mean
from judge.strata import Joined, Weighed

LABELS: dict[str, Label] = {"3": 3, "2": 2, "1": 1}
Mask = NDArray[np.bool_]


class AgainstGold:
    """The labelled rows of a dimension: what the judge said, what people did, and the weights.

    Args:
        gold: the rows with what each stands for.
        labels: the dimension's scale, from 3 down.
        confidence: of the intervals, in (0, 1).
        seed: of the draws.
    """

    def __init__(
        self, gold: Weighed, labels: Sequence[Label], confidence: float, seed: int
    ) -> None:
        self.gold, self.labels, self.confidence, self.seed = gold, labels, confidence, seed
        self.weight = np.array(gold.weights, float)
        self.truth = np.array([j.label for j in gold.rows], int)
        self.category = np.array([j.row.category for j in gold.rows], dtype=object)
        self.judged: Mask = np.array([j.row.category not in OPEN for j in gold.rows], bool)
        self.cluster = np.array([j.row.cluster for j in gold.rows], np.uint64)
        scored = all(j.row.p_harmless is not None for j in gold.rows if j.row.category not in OPEN)
        self.by: By = "p_harmless" if scored else "label"

    @property
    def harmful(self) -> Mask:
        """The rows that people don't call harmless."""
        return np.asarray(self.truth != 3)

    def scores(self, by: By) -> NDArray[np.float64]:
        """The judge's scores; infinite for rows without a verdict."""
        return np.array([_score(joined, by) for joined in self.gold.rows], float)

    def said(self) -> NDArray[np.float64]:
        """The judge's labels; not a number where it gave none, or 2 and 1 can't be told apart."""
        known: dict[str, float] = {**LABELS, **({} if 2 in self.labels else {"not_3": 1.0})}
        return np.array([known.get(category, np.nan) for category in self.category], float)

    def labelled(self) -> Labelled:
        """The judged rows, for maps."""
        harmless = np.where(self.harmful, 0.0, 1.0)
        rows = Labelled(self.scores(self.by), harmless, self.weight, self.cluster)
        return rows.where(self.judged)

    def mean(self, values: ArrayLike, where: Mask) -> Mean | None:
        """The weighted share of these rows; None where there is none."""
        if not where.any():
            return None
        picked, largest = np.asarray(values, float)[where], float(self.weight.max())
        return weighted_mean(picked, self.weight[where], self.cluster[where], largest)

    def figure(self, mean: Mean | None, why: str) -> Figure:
        """A mean as it is printed, or why there is none."""
        if mean is None:
            return Missing(confidence=self.confidence, n=0, why=why)
        return estimate(mean, confidence=self.confidence)

    def agreement(self, quality: MapQuality | None) -> Agreement:
        """The judge against gold, weighted by the design."""
        counts, weighted = self._confusion()
        says_harmless = np.asarray(self.category == "3")
        harmful = self.mean(~says_harmless, self.judged & self.harmful)
        harmless = self.mean(says_harmless, self.judged & ~self.harmful)
        right = self.mean(self._right(), self.judged)
        return Agreement(
            confusion=counts,
            weighted=weighted,
            accuracy=self.figure(right, "no labelled row was judged"),
            kappa_linear=self._kappa("linear"),
            kappa_quadratic=self._kappa("quadratic"),
            sensitivity=self.figure(harmful, "no harmful row was labelled and judged"),
            sensitivity_n=0.0 if harmful is None else harmful.effective_n,
            specificity=self.figure(harmless, "no harmless row was labelled and judged"),
            specificity_n=0.0 if harmless is None else harmless.effective_n,
            map=quality,
        )

    def _confusion(self) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, float]]]:
        """By the judge's verdict, then the gold label: rows, and rows of mean weight 1."""
        share = self.weight * len(self.weight) / self.weight.sum()
        counts: dict[str, dict[str, int]] = {}
        weighted: dict[str, dict[str, float]] = {}
        for category in CATEGORIES:
            here = self.category == category
            cells = {str(label): here & (self.truth == label) for label in self.labels}
            if here.any():
                counts[category] = {label: int(cell.sum()) for label, cell in cells.items()}
                weighted[category] = {
                    name: float(share[cell].sum()) for name, cell in cells.items()
                }
        return counts, weighted

    def _right(self) -> Mask:
        """Whether the judge's label is the gold's; "not 3" is right of 2 and of 1."""
        pairs = zip(self.category, self.truth, strict=True)
        return np.array([c == str(t) or (c == "not_3" and t != 3) for c, t in pairs], bool)

    def _kappa(self, weighting: Literal["linear", "quadratic"]) -> Figure:
        marks = np.column_stack([self.said(), self.truth.astype(float)])
        draws = Draws(np.random.default_rng(self.seed), self.confidence)
        return cohens_kappa(marks, self.labels, weighting, draws, self.weight, self.cluster)


def stand_in(gold: AgainstGold, epsilon: float) -> StandIn | None:
    """The alternative-annotator test; None with fewer than three annotators of thirty rows each.

    Args:
        gold: the labelled rows, with their marks.
        epsilon: by how much the judge may be worse, decided beforehand.
    """
    names = sorted({name for j in gold.gold.rows for name in j.marks})
    if len(names) < LEAST_ANNOTATORS:
        return None
    given = [[j.marks.get(name) for name in names] for j in gold.gold.rows]
    options = AltTestOptions(epsilon=epsilon, confidence=gold.confidence)
    found = alt_test(gold.said(), np.array(given, float), names, options)
    if isinstance(found, Missing):
        return None
    return StandIn.model_validate(found.model_dump() | {"passed": found.passed})


def _score(joined: Joined, by: By) -> float:
    row = joined.row
    if row.category in OPEN:
        return float("inf")
    return score_of(LABELS.get(row.category), row.p_harmless, by)
