"""The doubt band of a cascade of two judges: lined up on one half of gold, held on the other.

Agreement is that on harmless or not, of all labelled rows: a row without a verdict isn't agreement.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from judge.comparison.cells import Cell, Cells, Heard
from judge.comparison.figures import FigureOptions
from judge.comparison.model import TunedCascade
from judge.comparison.price import ROWS, Weights, price_of
from judge.comparison.runs import JudgeRun
from judge.errors import InputError
from judge.judged import OPEN
from judge.stats.cascade import Band, Steps, gain, halves, last_to_pass, line_up, rows_needed
from judge.stats.estimate import Estimate
from judge.stats.rates import estimate
from judge.stats.weighted import kish_n, weighted_mean

FLAG = "--tune-cascade"
Unit = Literal["USD", "calls of the strong judge"]


@dataclass(frozen=True)
class TuneOptions:
    """Which cascade.

    Args:
        cheap: the place of the cheap judge among the runs.
        strong: the strong one's.
        margin: by how much less the cascade may agree with people than the strong judge alone.
        figures: confidence, seed, and the prices that runs don't tell.
    """

    cheap: int
    strong: int
    margin: float
    figures: FigureOptions


class _Costs(NamedTuple):
    """What asking each judge about a row costs."""

    unit: Unit
    cheap: float
    strong: float


def tune(runs: Sequence[JudgeRun], cells: Cells, options: TuneOptions) -> TunedCascade:
    """Find the cheapest doubt band that is shown to keep the margin, or say why there is none.

    Raises:
        InputError: both judges are the same run, or the cheap one gives no probabilities.
    """
    if options.cheap == options.strong:
        raise InputError("names one run twice", file=FLAG, mend="write --tune-cascade CHEAP STRONG")
    cell = cells.pooled
    costs = _Costs("calls of the strong judge", 0.0, 1.0) if cell is None else _costs(cell, options)
    found = TunedCascade(
        cheap=runs[options.cheap].name,
        strong=runs[options.strong].name,
        margin=options.margin,
        confidence=options.figures.confidence,
        risk=(1 - options.figures.confidence) / 2,
        n_lined_up=0,
        n_held=0,
        unit=costs.unit,
    )
    if cell is None:
        why = "the dimensions' gold was drawn in different ways"
        return found.model_copy(update={"refused": f"no band can be chosen: {why}"})
    steps = _steps(cell, options, costs)
    if np.isnan(steps.p).all():
        raise InputError(
            f"{runs[options.cheap].name} gives no P(harmless), so that there is no doubt to go by",
            file=FLAG,
            mend="let the cheap judge be one with probabilities: embedded, --logprobs, --samples K",
        )
    specs = runs[options.cheap].spec, runs[options.strong].spec
    return _tuned(found, steps, specs, options)


def _tuned(
    found: TunedCascade, steps: Steps, specs: tuple[str, str], options: TuneOptions
) -> TunedCascade:
    margin, confidence = options.margin, options.figures.confidence
    choosing = halves(steps.cluster, np.random.default_rng(options.figures.seed))
    chosen_on, held = steps.where(choosing), steps.where(~choosing)
    found = found.model_copy(update={"n_lined_up": len(chosen_on.p), "n_held": len(held.p)})
    worth, needed = kish_n(held.weight), rows_needed(margin, confidence)
    if worth < needed or not len(chosen_on.p):
        why = (
            f"{len(held.p)} held-out rows{_worth(held)} can't carry a margin of {margin:g}:"
            f" {needed} are needed, {2 * needed} labelled rows in all"
        )
        return found.model_copy(update={"refused": why})
    scale = worth / kish_n(chosen_on.weight)
    line = line_up(chosen_on, margin, scale, confidence)
    if not line:
        why = f"no band saves anything: {found.cheap} costs no less than {found.strong}"
        return found.model_copy(update={"refused": why})
    band = last_to_pass(held, (one.band for one in line), margin, confidence)
    if band is None:
        shown = gain(held, line[0].band, confidence)
        why = (
            f"no band is shown to lose at most {margin:g}: the safest that saves anything,"
            f" {line[0].band[0]:g} to {line[0].band[1]:g}, shows {shown.value:+.3f}"
            f" [{shown.low:+.3f}, {shown.high:+.3f}] on {len(held.p)} held-out rows; label more"
            " rows, or allow a wider --margin"
        )
        return found.model_copy(update={"refused": why})
    return found.model_copy(update={**_figures(held, band, options), **_use(specs, band)})


def _worth(rows: Steps) -> str:
    n = kish_n(rows.weight)
    return "" if n > len(rows.p) - 0.5 else f" (worth {n:.0f})"


def _figures(held: Steps, band: Band, options: TuneOptions) -> dict[str, object]:
    confidence = options.figures.confidence

    def share(values: np.ndarray) -> Estimate:
        mean = weighted_mean(values.astype(float), held.weight, held.cluster)
        return estimate(mean, confidence=confidence)

    return {
        "band": band,
        "going_up": share(held.going_up(band)),
        "agreement": share(held.right(band)),
        "strong_agreement": share(held.strong_right),
        "gain": gain(held, band, confidence),
        "cost": ROWS * float(np.average(held.spent(band), weights=held.weight)),
        "strong_cost": ROWS * float(np.average(held.strong_cost, weights=held.weight)),
    }


def _use(specs: tuple[str, str], band: Band) -> dict[str, object]:
    """How the cascade is asked for; a cascade can't be the cheap part of another."""
    cheap, strong = specs
    if cheap.startswith("cascade:"):
        return {}
    spec = f"cascade:{cheap}>{strong}"
    edges = ",".join(f"{edge:g}" for edge in band)
    return {"judge": spec, "command": f"--judge {shlex.quote(spec)} --band {edges}"}


def _costs(cell: Cell, options: TuneOptions) -> _Costs:
    """Prices where both are known, else calls of the strong judge."""
    weights = Weights(np.array(cell.weights, float), _clusters(cell))
    cheap, strong = (
        price_of(
            cell.heard[place],
            weights,
            options.figures.costs.get(place),
            options.figures.confidence,
        ).usd
        for place in (options.cheap, options.strong)
    )
    if cheap.value is None or strong.value is None:
        return _Costs("calls of the strong judge", 0.0, 1.0)
    return _Costs("USD", cheap.value / ROWS, strong.value / ROWS)


def _clusters(cell: Cell) -> np.ndarray:
    return np.array([one.row.cluster for one in cell.heard[0]], np.uint64)


def _steps(cell: Cell, options: TuneOptions, costs: _Costs) -> Steps:
    cheap, strong = cell.heard[options.cheap], cell.heard[options.strong]
    n = len(cell.gold)
    return Steps(
        p=np.array([_sure(one) for one in cheap], float),
        cheap_right=_right(cell, cheap),
        strong_right=_right(cell, strong),
        cheap_cost=np.full(n, costs.cheap),
        strong_cost=np.full(n, costs.strong),
        weight=np.array(cell.weights, float),
        cluster=_clusters(cell),
    )


def _sure(heard: Heard) -> float:
    """P(harmless), or not a number where a cascade asks on in any case."""
    row = heard.row
    open_ = row.category in OPEN or row.category == "not_3" or row.p_harmless is None
    return float("nan") if open_ or row.p_harmless is None else row.p_harmless


def _right(cell: Cell, heard: Sequence[Heard]) -> np.ndarray:
    pairs = zip(heard, cell.gold, strict=True)
    return np.array(
        [
            one.row.category not in OPEN and (one.row.category == "3") == (label == 3)
            for one, label in pairs
        ],
        bool,
    )
