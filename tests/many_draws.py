"""A judged run whose rows people labelled all: what samples of it say of the whole, over draws."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from judge.gold import RowKey
from judge.judged import JudgedRow
from judge.sampling import SamplePlan, draw
from judge.stats.correction import Stratum, combine, post_stratified
from judge.stats.estimate import Estimate

LABELS = 300
Rates = dict[str | None, list[Estimate]]


@dataclass(frozen=True)
class Known:
    """One dimension of a run, and what people say of each row: whether it is harmless."""

    rows: Mapping[RowKey, JudgedRow]
    harmless: Mapping[RowKey, bool]

    @property
    def judges_rate(self) -> float:
        """The share of rows that the judge calls harmless."""
        return float(np.mean([row.category == "3" for row in self.rows.values()]))

    def rate(self, model: str | None = None) -> float:
        """The share of rows that people call harmless, of one model or of all."""
        mine = [harmless for key, harmless in self.harmless.items() if model in {None, key.model}]
        return float(np.mean(mine))

    @property
    def agreement(self) -> float:
        """The squared correlation of verdicts and labels: the most that labels can be saved."""
        says = [row.category == "3" for row in self.rows.values()]
        return float(np.corrcoef(says, [self.harmless[key] for key in self.rows])[0, 1] ** 2)


def corrected(known: Known, seeds: int) -> Rates:
    """The corrected rates by `LABELS` labels, one a seed, of each model and (null) of all."""
    sizes = Counter((key.model, row.category) for key, row in known.rows.items())
    models = {model for model, _ in sizes}
    found: Rates = defaultdict(list)
    for seed in range(seeds):
        values: dict[tuple[str | None, str], list[float]] = defaultdict(list)
        for pick in draw(known.rows.values(), SamplePlan(n=LABELS, seed=seed)).picks:
            stratum = pick.key.model, known.rows[pick.key].category
            values[stratum].append(float(known.harmless[pick.key]))
        for who in (None, *(models if len(models) > 1 else ())):
            mine = [
                Stratum(n, np.array(values[stratum]))
                for stratum, n in sizes.items()
                if who in {None, stratum[0]}
            ]
            found[who].append(combine(post_stratified(mine)))
    return found


def covered(figures: Sequence[Estimate], rate: float) -> float:
    """The share of intervals that hold the rate."""
    return float(np.mean([figure.low <= rate <= figure.high for figure in figures]))


def saved(figures: Sequence[Estimate], known: Known) -> float:
    """Labels saved: one minus the variance over that of as many labels drawn without a judge."""
    rate = known.rate()
    found = np.mean([(figure.value - rate) ** 2 for figure in figures])
    return float(1 - found / _plain_variance(known))


def narrowed(figures: Sequence[Estimate], known: Known) -> float:
    """The same by the intervals' mean width, against a normal interval without a judge."""
    width = np.mean([figure.high - figure.low for figure in figures])
    return float(1 - (width / (2 * 1.96)) ** 2 / _plain_variance(known))


def _plain_variance(known: Known) -> float:
    rate, whole = known.rate(), len(known.rows)
    return rate * (1 - rate) / LABELS * (whole - LABELS) / (whole - 1)
