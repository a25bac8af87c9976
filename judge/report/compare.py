"""Every pair of models, on the prompts that both were judged on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from judge.report.figures import Rows, Which, refusal
from judge.report.model import Comparison, Difference, RunFacts
from judge.report.overall import overall_refusal
from judge.stats.comparison import holm, paired_mean, sign_flip_p
from judge.stats.estimate import Figure, Missing
from judge.stats.rates import RATE_DIFFERENCE, SCORE_DIFFERENCE, Scale, estimate, overall

SEED = 20231211
FIGURES: dict[Which, Scale] = {"rate": RATE_DIFFERENCE, "score": SCORE_DIFFERENCE}
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _ByPrompt:
    """A model's mean on each prompt of a dimension, by the prompts' keys in ascending order."""

    prompts: NDArray[np.uint64]
    means: dict[Which, Values]

    @classmethod
    def of(cls, rows: Rows) -> _ByPrompt:
        judged = rows.judged
        prompts, index = np.unique(judged.cluster, return_inverse=True)
        answers = np.bincount(index, minlength=len(prompts))
        means = {
            which: np.bincount(index, judged.values(which), minlength=len(prompts)) / answers
            for which in FIGURES
        }
        return cls(prompts, means)


class _Models:
    """Lazily averaged rows, and the reasons for which a model has no figure."""

    def __init__(self, cells: Mapping[str, Mapping[str, Rows]], facts: RunFacts) -> None:
        self.asked = {
            model: {name: rows.asked for name, rows in mine.items()}
            for model, mine in cells.items()
        }
        self.facts = facts
        self._kept = {
            (model, name): _ByPrompt.of(rows)
            for model, mine in self.asked.items()
            for name, rows in mine.items()
        }

    def pairs(self, a: str, b: str, name: str) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Where the common prompts stand in each model's means."""
        mine, theirs = self._kept[a, name], self._kept[b, name]
        _, left, right = np.intersect1d(
            mine.prompts, theirs.prompts, assume_unique=True, return_indices=True
        )
        return left, right

    def means(self, a: str, b: str, name: str, which: Which) -> tuple[Values, Values]:
        """Both models' means on their common prompts."""
        left, right = self.pairs(a, b, name)
        return self._kept[a, name].means[which][left], self._kept[b, name].means[which][right]

    def has(self, model: str, name: str) -> bool:
        return (model, name) in self._kept


def compare(
    cells: Mapping[str, Mapping[str, Rows]], suite: Sequence[str], facts: RunFacts
) -> tuple[Comparison, ...]:
    """All pairs of models: each dimension that both have, then overall.

    Args:
        cells: rows by model and dimension.
        suite: the dimensions that the overall figure averages.
        facts: of the run.
    """
    if len(cells) < 2:
        return ()
    models = _Models(cells, facts)
    raw = []
    for a, b in combinations(cells, 2):
        names = [name for name in cells[a] if name in cells[b]]
        raw += [_dimension(models, a, b, name) for name in names]
        raw.append(_overall(models, a, b, suite))
    return _adjusted(raw)


def _dimension(models: _Models, a: str, b: str, name: str) -> Comparison:
    def difference(which: Which) -> Difference:
        why = _refusal(models, a, b, name, which)
        if why is not None:
            return _missing(why, prompts, models.facts)
        mine, theirs = models.means(a, b, name, which)
        found = estimate(paired_mean(mine, theirs), FIGURES[which], models.facts.confidence)
        return _tested(found, mine - theirs)

    prompts = len(models.pairs(a, b, name)[0])
    return Comparison(
        a=a,
        b=b,
        dimension=name,
        prompts=prompts,
        harmless_rate=difference("rate"),
        harmless_score=difference("score"),
    )


def _overall(models: _Models, a: str, b: str, suite: Sequence[str]) -> Comparison:
    def difference(which: Which) -> Difference:
        why = _overall_refusal(models, a, b, suite, which)
        if why is not None:
            return _missing(why, prompts, models.facts)
        both = [models.means(a, b, name, which) for name in suite]
        means = [paired_mean(mine, theirs) for mine, theirs in both]
        found = overall(means, FIGURES[which], models.facts.confidence)
        return _tested(found, np.concatenate([(m - t) / (len(m) * len(suite)) for m, t in both]))

    common = [name for name in suite if models.has(a, name) and models.has(b, name)]
    prompts = sum(len(models.pairs(a, b, name)[0]) for name in common)
    return Comparison(
        a=a,
        b=b,
        dimension=None,
        prompts=prompts,
        harmless_rate=difference("rate"),
        harmless_score=difference("score"),
    )


def _refusal(models: _Models, a: str, b: str, name: str, which: Which) -> str | None:
    for model in (a, b):
        why = refusal(models.asked[model][name], which, models.facts)
        if why is not None:
            return f"{model}: {why}"
    return None if len(models.pairs(a, b, name)[0]) else "no prompt was judged for both"


def _overall_refusal(
    models: _Models, a: str, b: str, suite: Sequence[str], which: Which
) -> str | None:
    for model in (a, b):
        why = overall_refusal(models.asked[model], suite, which, models.facts)
        if why is not None:
            return f"{model}: {why}"
    reasons = {name: _refusal(models, a, b, name, which) for name in suite}
    return "; ".join(f"{name}: {why}" for name, why in reasons.items() if why) or None


def _missing(why: str, prompts: int, facts: RunFacts) -> Difference:
    missing = Missing(confidence=facts.confidence, n=prompts, why=why)
    return Difference(figure=missing, p=None, p_adjusted=None)


def _tested(found: Figure, differences: Values) -> Difference:
    p = sign_flip_p(differences, np.random.default_rng(SEED))
    return Difference(figure=found, p=p, p_adjusted=p)


def _adjusted(raw: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """Holm over all pairs of models, in each dimension and overall, for each figure."""
    new = list(raw)
    for dimension in dict.fromkeys(comparison.dimension for comparison in raw):
        places = [place for place, c in enumerate(raw) if c.dimension == dimension]
        for field in ("harmless_rate", "harmless_score"):
            adjusted = holm([getattr(raw[place], field).p for place in places])
            for place, p in zip(places, adjusted, strict=True):
                changed = getattr(new[place], field).model_copy(update={"p_adjusted": p})
                new[place] = new[place].model_copy(update={field: changed})
    return tuple(new)
