"""Which rows people should label: random draws whose inclusion probabilities are known. Pure.

Every row has a fixed random place in its stratum, by a hash of the seed and its id. A sample is the
first rows of each stratum; a larger one begins with the same rows. So extending a sample gives what
one larger draw would have given, and never a row twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import floor
from typing import Literal, NamedTuple

from judge.errors import InputError
from judge.gold.model import Design, LabelTask, RowKey
from judge.judged import OPEN, Frame, JudgedRow, frame_of
from judge.text import fingerprint, key64

Purpose = Literal["rate", "overall", "promise"]
FLOOR = 5  # labels that a stratum gets before any gets more
SPREAD_JUDGED, SPREAD_OPEN = 0.3, 0.5  # of a label around its stratum's mean, before any is known


class Stratum(NamedTuple):
    """A part of the frame; null where it isn't told apart by that."""

    model: str | None
    dimension: str | None
    category: str | None

    def code(self, seed: int) -> str:
        """A name that doesn't show the judge's verdict to annotators."""
        parts = (part or "" for part in self)
        return fingerprint("stratum", str(seed), *parts)[:12]


Spread = Callable[[Stratum], float]


def assumed_spread(stratum: Stratum) -> float:
    """The standard deviation of labels within a stratum while none is known."""
    return SPREAD_OPEN if stratum.category in OPEN else SPREAD_JUDGED


@dataclass(frozen=True)
class SamplePlan:
    """What is drawn.

    Args:
        n: labels wanted; with a sample to extend, so many more.
        seed: of the draw.
        design: `stratified` by dimension, verdict category and model; or `simple`.
        purpose: the figure that is wanted. `rate`: each dimension (and model) with equal precision;
            `overall`: their mean; `promise`: each dimension's rows with equal probability, one a
            prompt, as thresholds with a promise need them.
        spread: the standard deviation of labels within a stratum.
    """

    n: int
    seed: int = 0
    design: Literal["stratified", "simple"] = "stratified"
    purpose: Purpose = "rate"
    spread: Spread = assumed_spread


class DrawnTask(LabelTask):
    """A line of to_label.jsonl; `draw` is 1, and more where the sample was extended."""

    draw: int = 1


class Pick(NamedTuple):
    """A drawn row, with its chance."""

    key: RowKey
    design: Design
    inclusion: float
    draw: int


class Sample(NamedTuple):
    """What was drawn, in a random order, and from what."""

    picks: tuple[Pick, ...]
    frame: Frame


def draw(rows: Iterable[JudgedRow], plan: SamplePlan, before: Sequence[DrawnTask] = ()) -> Sample:
    """Draw a sample, or extend one.

    Args:
        rows: the run.
        plan: what is wanted. Extending keeps the first draw's seed and design.
        before: the sample to extend.

    Raises:
        InputError: `before` wasn't drawn in this way from this run.
    """
    rows = list(rows)
    frame = frame_of(row.key for row in rows)
    strata = {stratum: _ordered(mine, plan) for stratum, mine in _strata(rows, plan).items()}
    taken = _taken(strata, frame, before)
    wanted = plan.n + sum(taken.values())
    counts = _counts({s: len(units) for s, units in strata.items()}, taken, wanted, plan)
    picks = [
        pick
        for stratum, units in strata.items()
        for pick in _picks(stratum, units, counts[stratum], (plan, frame))
    ]
    draws = {task.key: task.draw for task in before}
    latest = 1 + max(draws.values(), default=0)
    told = [pick._replace(draw=draws.get(pick.key, latest)) for pick in picks]
    told.sort(key=lambda pick: (pick.draw, _place(plan.seed, pick.key)))
    return Sample(tuple(_marked(told)), frame)


def _marked(picks: Sequence[Pick]) -> Iterator[Pick]:
    """The rows with the number of draws in each design: it outlives the sample's own file."""
    draws = {"draws": max((pick.draw for pick in picks), default=1)}
    return (pick._replace(design=pick.design.model_copy(update=draws)) for pick in picks)


def _place(seed: int, key: RowKey) -> int:
    return key64("order", str(seed), key.model or "", key.record_id, key.dimension)


def _strata(rows: Iterable[JudgedRow], plan: SamplePlan) -> dict[Stratum, list[JudgedRow]]:
    strata: dict[Stratum, list[JudgedRow]] = {}
    for row in rows:
        strata.setdefault(stratum_of(row, plan), []).append(row)
    return dict(sorted(strata.items(), key=lambda item: tuple(part or "" for part in item[0])))


def stratum_of(row: JudgedRow, plan: SamplePlan) -> Stratum:
    """The stratum from which a row is drawn."""
    if plan.purpose == "promise":
        return Stratum(None, row.key.dimension, None)
    if plan.design == "simple":
        return Stratum(None, None, None)
    return Stratum(row.key.model, row.key.dimension, row.category)


class _Unit(NamedTuple):
    """What is drawn at once: a row, which stands for all of `of` rows of its prompt."""

    row: JudgedRow
    of: int


def _ordered(rows: Iterable[JudgedRow], plan: SamplePlan) -> list[_Unit]:
    """The stratum's units in their random order."""
    ordered = sorted(rows, key=lambda row: _place(plan.seed, row.key))
    if plan.purpose != "promise":
        return [_Unit(row, 1) for row in ordered]
    prompts: dict[int, list[JudgedRow]] = {}
    for row in ordered:
        prompts.setdefault(row.cluster, []).append(row)
    by_prompt = sorted(prompts, key=lambda cluster: key64("prompt", str(plan.seed), str(cluster)))
    return [_Unit(prompts[cluster][0], len(prompts[cluster])) for cluster in by_prompt]


def _picks(
    stratum: Stratum, units: Sequence[_Unit], count: int, drawn: tuple[SamplePlan, Frame]
) -> Iterable[Pick]:
    plan, frame = drawn
    simple = stratum == (None, None, None)
    design = Design(
        name="simple" if simple else "stratified",
        frame_n=frame.n,
        frame_sha256=frame.sha256,
        stratum=None if simple else stratum.code(plan.seed),
        seed=plan.seed,
    )
    chance = count / len(units)
    return (Pick(unit.row.key, design, chance / unit.of, 1) for unit in units[:count])


def _taken(
    strata: Mapping[Stratum, Sequence[_Unit]],
    frame: Frame,
    before: Sequence[DrawnTask],
) -> dict[Stratum, int]:
    """How many rows of each stratum the sample that is extended has."""
    known = {task.key: task.drawn_by for task in before}
    taken = {s: sum(unit.row.key in known for unit in units) for s, units in strata.items()}
    first = {unit.row.key: s for s, units in strata.items() for unit in units[: taken[s]]}
    same_frame = all(design.frame_sha256 == frame.sha256 for design in known.values())
    same_strata = first.keys() == known.keys() and all(
        design.stratum in {None, first[key].code(design.seed or 0)} for key, design in known.items()
    )
    if not (same_frame and same_strata):
        raise InputError(
            "the sample was not drawn from these rows and verdicts with this design and seed",
            mend="extend it with the run as it was, or draw a new sample",
        )
    return taken


def _counts(
    sizes: Mapping[Stratum, int], taken: Mapping[Stratum, int], wanted: int, plan: SamplePlan
) -> dict[Stratum, int]:
    """Labels by stratum: first over the figures that are wanted, then within each."""
    wanted = min(wanted, sum(sizes.values()))
    least = _floors(sizes, taken, wanted)
    cells: dict[tuple[str | None, str | None], list[Stratum]] = {}
    for stratum in sizes:
        cells.setdefault(stratum[:2], []).append(stratum)
    groups = list(cells.values())
    totals = _shared(groups, sizes, least, wanted, plan)
    counts: dict[Stratum, int] = {}
    for group, total in zip(groups, totals, strict=True):
        demand = [sizes[s] * plan.spread(s) for s in group]
        found = allocate(
            total, _scaled(demand), [least[s] for s in group], [sizes[s] for s in group]
        )
        counts |= dict(zip(group, found, strict=True))
    return counts


def _floors(
    sizes: Mapping[Stratum, int], taken: Mapping[Stratum, int], wanted: int
) -> dict[Stratum, int]:
    for least in range(FLOOR, -1, -1):
        floors = {s: max(taken[s], min(least, size)) for s, size in sizes.items()}
        if sum(floors.values()) <= wanted:
            break
    return floors


def _shared(
    groups: Sequence[Sequence[Stratum]],
    sizes: Mapping[Stratum, int],
    least: Mapping[Stratum, int],
    wanted: int,
    plan: SamplePlan,
) -> list[int]:
    """Labels by cell: n_d ~ S_d for the overall figure, equal standard errors for each rate."""
    whole = [sum(sizes[s] for s in group) for group in groups]
    squares = [
        sum(sizes[s] * plan.spread(s) ** 2 for s in group) / n
        for group, n in zip(groups, whole, strict=True)
    ]

    def equal_precision(scale: float) -> list[float]:
        return [scale * v / (1 + scale * v / n) for v, n in zip(squares, whole, strict=True)]

    curve = _scaled([v**0.5 for v in squares]) if plan.purpose == "overall" else equal_precision
    low = [sum(least[s] for s in group) for group in groups]
    return allocate(wanted, curve, low, whole)


def _scaled(demand: Sequence[float]) -> Callable[[float], list[float]]:
    return lambda scale: [scale * d for d in demand]


def allocate(
    total: int,
    curve: Callable[[float], Sequence[float]],
    low: Sequence[int],
    high: Sequence[int],
) -> list[int]:
    """Whole numbers between `low` and `high` that add up to `total`, along a rising curve.

    Args:
        total: between the sums of `low` and of `high`.
        curve: the shares that are wanted at a scale in (0, infinity), each rising with it.
        low: the least of each.
        high: the most of each.
    """

    def clipped(scale: float) -> list[float]:
        wanted = zip(curve(scale), low, high, strict=True)
        return [min(max(w, least), most) for w, least, most in wanted]

    small, large = 1e-9, 1e12
    for _ in range(100):
        middle = (small * large) ** 0.5
        small, large = (middle, large) if sum(clipped(middle)) < total else (small, middle)
    shares = clipped(large)
    counts = [max(floor(s + 1e-6), least) for s, least in zip(shares, low, strict=True)]
    order = sorted(range(len(counts)), key=lambda i: counts[i] - shares[i])
    while (short := total - sum(counts)) > 0:
        for i in order[:short] if short < len(order) else order:
            counts[i] += counts[i] < high[i]
        order = [i for i in order if counts[i] < high[i]] or order
    return counts
