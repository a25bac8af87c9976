"""How gold lies in a run: which strata it was drawn from, and what each labelled row stands for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from judge.calibration_parts import DesignSummary, StratumCounts
from judge.gold.model import Design, GoldError, RowKey
from judge.gold.rows import GoldRow
from judge.judged import Frame, JudgedRow
from judge.rubric import Label
from judge.sampling import Stratum
from judge.stats.weighted import kish_n

TABLES = 4000  # simulated, to see whether external gold was picked by verdict
SUSPICIOUS = 1e-3


class Joined(NamedTuple):
    """A gold row beside its verdict; no label where it was skipped or its marks are unresolved."""

    row: JudgedRow
    label: Label | None
    design: Design
    inclusion: float | None
    marks: Mapping[str, Label | None] = MappingProxyType({})


@dataclass(frozen=True)
class Weighed:
    """The labelled rows of a dimension, what each stands for, and the design.

    `even` says that all labelled rows had the same chance.
    """

    rows: tuple[Joined, ...]
    weights: tuple[float, ...]
    design: DesignSummary
    even: bool
    unlabelled: int


def join(gold: Iterable[GoldRow], rows: Mapping[RowKey, JudgedRow]) -> list[Joined]:
    """Gold beside the run's verdicts; gold without a model goes to the only model with that row.

    Raises:
        GoldError: a gold row isn't in the run, or could be several models'.
    """
    models: dict[tuple[str, str], list[RowKey]] = {}
    for key in rows:
        models.setdefault((key.record_id, key.dimension), []).append(key)
    joined: list[Joined] = []
    unknown: list[RowKey] = []
    ambiguous: list[RowKey] = []
    for row in gold:
        key = row.key
        same = models.get((key.record_id, key.dimension), [])
        if key not in rows and key.model is None and len(same) == 1:
            key = same[0]
        if key in rows:
            label = row.consensus.label
            joined.append(Joined(rows[key], label, row.design, row.inclusion, row.marks))
        else:
            (ambiguous if key.model is None and same else unknown).append(key)
    _refuse(unknown, ambiguous)
    return joined


def _refuse(unknown: Sequence[RowKey], ambiguous: Sequence[RowKey]) -> None:
    if unknown:
        key = unknown[0]
        raise GoldError(
            f"{len(unknown)} of the gold's rows are not among the run's: the first is"
            f" {key.record_id!r} of model {key.model!r} in {key.dimension}",
            row=key,
            mend="give the run that the gold was drawn from, or judge those rows",
        )
    if ambiguous:
        raise GoldError(
            f"{len(ambiguous)} of the gold's rows name no model, and several models have them:"
            f" the first is {ambiguous[0].record_id!r}",
            row=ambiguous[0],
            mend="give the gold's rows their `model`",
        )


def weigh(
    dimension: str, rows: Sequence[JudgedRow], gold: Sequence[Joined], frame: Frame
) -> Weighed:
    """What each labelled row of a dimension stands for.

    Args:
        dimension: its name, for errors.
        rows: the run's rows of this dimension.
        gold: the gold rows of this dimension.
        frame: of the whole run.

    Raises:
        GoldError: the gold mixes designs, or was picked by verdict without saying how.
    """
    kinds = {(j.design.name, j.design.frame_sha256, j.design.seed) for j in gold}
    if len(kinds) > 1:
        raise GoldError(
            f"the gold of {dimension} was drawn in {len(kinds)} ways",
            mend="calibrate with the gold of one draw (and of its extensions)",
        )
    if gold[0].design.name == "external":
        return _external(dimension, rows, gold, frame)
    if gold[0].design.frame_sha256 != frame.sha256:
        return _weighed(gold, [1 / (j.inclusion or 1) for j in gold], None)
    strata = _current(rows, gold) or _recorded(dimension, rows, gold)
    worth = {s: c.n / max(c.labelled, 1) for s, c in strata.counts.items()}
    return _weighed(gold, [worth[s] for s in strata.of], strata)


def _weighed(gold: Sequence[Joined], weights: Sequence[float], strata: _Strata | None) -> Weighed:
    kept = [(j, w) for j, w in zip(gold, weights, strict=True) if j.label is not None]
    design, chances = gold[0].design, [j.inclusion or 1.0 for j, _ in kept]
    summary = DesignSummary(
        name=design.name,
        frame_n=design.frame_n,
        frame_sha256=design.frame_sha256,
        seed=design.seed,
        draws=max(j.design.draws for j in gold),
        n_eff=kish_n([w for _, w in kept]),
        strata=() if strata is None else tuple(strata.counts.values()),
    )
    drawn = len(gold) if strata is None else strata.drawn
    even = not chances or max(chances) <= min(chances) * (1 + 1e-9)
    labelled = tuple(j for j, _ in kept)
    return Weighed(labelled, tuple(w for _, w in kept), summary, even, drawn - len(kept))


class _Strata(NamedTuple):
    """Counts by stratum, each gold row's stratum, and how many rows were drawn from all."""

    counts: dict[tuple[str | None, str], StratumCounts]
    of: list[tuple[str | None, str]]
    drawn: int


def _current(rows: Sequence[JudgedRow], gold: Sequence[Joined]) -> _Strata | None:
    """Strata by model and verdict: where the sample went by them, or by neither."""
    sizes = Counter((row.key.model, str(row.category)) for row in rows)
    even = len({round(j.inclusion or 1, 12) for j in gold}) == 1
    as_drawn = all(map(_as_drawn, gold))
    if not even and not as_drawn:
        return None
    of = [(j.row.key.model, str(j.row.category)) for j in gold]
    counts = {s: _counts(s, n, gold, of) for s, n in sizes.items()}
    if as_drawn:
        return _Strata(counts, of, sum(c.drawn for c in counts.values()))
    # how many rows of each verdict were drawn was left to chance, and is what the gold says
    found = Counter(of)
    counts = {s: c.model_copy(update={"drawn": found[s]}) for s, c in counts.items()}
    if gold[0].design.stratum is None:
        return _Strata(counts, of, len(gold))
    drawn = round((gold[0].inclusion or 1) * len(rows))
    return _Strata(counts, of, max(drawn, len(gold)))


def _as_drawn(joined: Joined) -> bool:
    key = joined.row.key
    stratum = Stratum(key.model, key.dimension, joined.row.category)
    return joined.design.stratum == stratum.code(joined.design.seed or 0)


def _recorded(dimension: str, rows: Sequence[JudgedRow], gold: Sequence[Joined]) -> _Strata:
    """The strata of the first draw, when the verdicts have changed since or are another judge's.

    Raises:
        GoldError: their sizes can't be told, since drawn rows are missing from the gold.
    """
    of = [(j.row.key.model, j.design.stratum or "") for j in gold]
    last = dict.fromkeys(of, 0.0)
    for stratum, joined in zip(of, gold, strict=True):
        last[stratum] = max(last[stratum], joined.inclusion or 1.0)
    sizes = {s: round(n / last[s]) for s, n in Counter(of).items()}
    if abs(sum(sizes.values()) - len(rows)) > max(1, 0.01 * len(rows)):
        raise GoldError(
            f"{dimension}: the sizes of the strata can't be told from this gold: its verdicts are"
            " not those that the sample went by, and drawn rows are missing",
            mend="label (or skip) every row of the sample, or give the run that it was drawn from",
        )
    counts = {s: _counts(s, n, gold, of) for s, n in sizes.items()}
    counts = {s: c.model_copy(update={"category": None}) for s, c in counts.items()}
    return _Strata(counts, of, sum(c.drawn for c in counts.values()))


def _counts(
    stratum: tuple[str | None, str],
    size: int,
    gold: Sequence[Joined],
    of: Sequence[tuple[str | None, str]],
) -> StratumCounts:
    mine = [j for j, s in zip(gold, of, strict=True) if s == stratum]
    labels = Counter(str(j.label) for j in mine if j.label is not None)
    drawn = round(max((j.inclusion or 1.0 for j in mine), default=0.0) * size)
    return StratumCounts(
        model=stratum[0],
        category=stratum[1],
        n=size,
        drawn=min(size, max(drawn, len(mine))),
        counts=dict(sorted(labels.items(), reverse=True)),
    )


def _external(
    dimension: str, rows: Sequence[JudgedRow], gold: Sequence[Joined], frame: Frame
) -> Weighed:
    if len(gold) == len(rows):
        found = _weighed(gold, [1.0] * len(gold), _current(rows, gold))
        whole = {"name": "census", "frame_n": frame.n, "frame_sha256": frame.sha256}
        census = found.design.model_copy(update=whole)
        return Weighed(found.rows, found.weights, census, found.even, found.unlabelled)
    if _picked_by_verdict(rows, gold):
        raise GoldError(
            f"the gold of {dimension} has another mix of verdicts than the run, as if it had been"
            " picked by verdict, and no inclusion probabilities",
            mend="draw it with `flames-judge sample`, or give `design` and `inclusion`",
        )
    return _weighed(gold, [1.0] * len(gold), None)


def _picked_by_verdict(rows: Sequence[JudgedRow], gold: Sequence[Joined]) -> bool:
    """Whether a random draw would hardly ever give the gold's mix of verdicts, model by model."""
    rng = np.random.default_rng(0)
    for model in {j.row.key.model for j in gold}:
        sizes = Counter(row.category for row in rows if row.key.model == model)
        mine = Counter(j.row.category for j in gold if j.row.key.model == model)
        whole = np.array(list(sizes.values()))
        found = np.array([mine[category] for category in sizes])
        expected = whole * found.sum() / whole.sum()
        tables = rng.multivariate_hypergeometric(whole, found.sum(), TABLES)
        far = ((tables - expected) ** 2 / expected).sum(axis=1)
        if (far >= ((found - expected) ** 2 / expected).sum()).mean() < SUSPICIOUS:
            return True
    return False
