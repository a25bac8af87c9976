"""Every judge's figures in a cell. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from judge.against_gold import AgainstGold, Mask
from judge.calibration_parts import Agreement
from judge.comparison.cells import Cell
from judge.comparison.model import JudgeFigures, Probabilities
from judge.comparison.price import Weights, price_of, time_of
from judge.judged import OPEN
from judge.stats import probability as prob
from judge.stats.estimate import Estimate, Figure, Missing
from judge.stats.pareto import pareto


@dataclass(frozen=True)
class FigureOptions:
    """How figures are made.

    Args:
        confidence: of the intervals, in (0, 1).
        seed: of the draws.
        costs: USD for 1,000 rows of judges, by their place, whose runs don't tell.
    """

    confidence: float = 0.95
    seed: int = 0
    costs: Mapping[int, float] = field(default_factory=dict)


def figures_of(cell: Cell, options: FigureOptions) -> list[JudgeFigures]:
    """Every judge's figures, with the Pareto set of cost and agreement marked."""
    found = [_figures(cell, judge, options) for judge in range(len(cell.heard))]
    priced = [place for place, one in enumerate(found) if isinstance(one.cost_usd, Estimate)]
    points = [(found[p].cost_usd.value or 0.0, found[p].agreement.value or 0.0) for p in priced]
    for place, best in zip(priced, pareto(points), strict=True):
        found[place] = found[place].model_copy(update={"pareto": best})
    return found


def _figures(cell: Cell, judge: int, options: FigureOptions) -> JudgeFigures:
    given = options.confidence, options.seed
    two = AgainstGold(cell.weighed(judge, two=True), (3, 1), *given)
    every: Mask = np.ones(len(cell.gold), bool)
    agrees = two.judged & ((two.category == "3") == (two.truth == 3))
    weights = Weights(two.weight, two.cluster)
    heard = cell.heard[judge]
    price = price_of(heard, weights, options.costs.get(judge), options.confidence)
    time = time_of(heard, weights, options.confidence)
    probabilities = _probabilities(two)
    whole = two.agreement(None)
    return JudgeFigures(
        n=len(cell.gold),
        n_eff=cell.n_eff,
        open=dict(Counter(str(c) for c in two.category if c in OPEN)),
        unjudged=two.figure(two.mean(~two.judged, every), "no row"),
        agreement=two.figure(two.mean(agrees, every), "no row"),
        accuracy=whole.accuracy,
        kappa=whole.kappa_linear,
        **_by_label(cell, judge, whole, options),
        sensitivity=whole.sensitivity,
        sensitivity_n=whole.sensitivity_n,
        specificity=whole.specificity,
        specificity_n=whole.specificity_n,
        probabilities=None if isinstance(probabilities, str) else probabilities,
        no_probabilities=probabilities if isinstance(probabilities, str) else None,
        cost_usd=price.usd,
        free=price.free,
        seconds=time.mean,
        seconds_median=time.median,
    )


def _by_label(cell: Cell, judge: int, two: Agreement, options: FigureOptions) -> dict[str, Figure]:
    """Accuracy and kappas of the labels; none where a verdict leaves 2 and 1 open."""
    given = cell.weighed(judge), cell.labels, options.confidence, options.seed
    found = two if len(cell.labels) == 2 else AgainstGold(*given).agreement(None)
    figures: dict[str, Figure] = {
        "label_accuracy": found.accuracy,
        "kappa_linear": found.kappa_linear,
        "kappa_quadratic": found.kappa_quadratic,
    }
    unsure = cell.unsure(judge)
    if not unsure:
        return figures
    why = f'{unsure} verdicts say "not 3": 2 and 1 are not told apart'
    return {
        name: Missing(confidence=options.confidence, n=figure.n, why=why)
        for name, figure in figures.items()
    }


def _probabilities(gold: AgainstGold) -> Probabilities | str:
    """How far the judge's own P(harmless) can be believed, or why that can't be said."""
    p = np.array([_p(j.row.p_harmless) for j in gold.gold.rows], float)
    silent = int((np.isnan(p) & gold.judged).sum())
    if not gold.judged.any():
        return "no labelled row was judged"
    if silent:
        return f"{silent} of {int(gold.judged.sum())} verdicts have no P(harmless)"
    harmless = np.where(gold.harmful, 0.0, 1.0)
    rows = prob.Labelled(p, harmless, gold.weight, gold.cluster).where(gold.judged)
    if len(np.unique(rows.cluster)) < 2:
        return "fewer than two prompts"
    rng = np.random.default_rng(gold.seed)
    groups = prob.bins_of(rows.score)
    error = prob.calibration_error(rows.score, rows, groups, rng, gold.confidence)
    return Probabilities(
        brier=prob.brier(rows.score, rows, gold.confidence),
        log_loss=prob.log_loss(rows.score, rows, gold.confidence),
        calibration_error=error.value,
        calibration_error_expected=error.expected,
        calibration_error_null=error.null,
    )


def _p(given: float | None) -> float:
    return float("nan") if given is None else given
