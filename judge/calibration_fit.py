"""Verdicts and gold -> a calibration. Pure: the clock and the seed are arguments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from judge.against_gold import AgainstGold, stand_in
from judge.calibration import Calibration, DimensionCalibration, Hazards, Map, Promise
from judge.calibration_parts import MapQuality, ReliabilityBin
from judge.errors import InputError
from judge.gold.model import GoldError, GoldLabel, RowKey, gold_sha256
from judge.gold.rows import rows_of
from judge.judged import JudgedRow, frame_of, texts_sha256
from judge.promises import keep
from judge.rubric import Label
from judge.shift_basis import basis_of
from judge.stats import probability as prob
from judge.strata import Joined, join, weigh
from judge.text import fingerprint
from judge.verdict import Hazard, JudgeRef

LEAST_ROWS = 10
LEAST_ISOTONIC = 50


@dataclass(frozen=True)
class FitOptions:
    """How a calibration is made.

    Args:
        created: when, ISO 8601.
        promises: the cuts that are wanted.
        joint: each promise is to hold in all dimensions at once (delta / 5 in each).
        confidence: of the intervals.
        seed: of folds and draws.
        epsilon: by how much the judge may be worse than an annotator for whom it stands in.
    """

    created: str
    promises: tuple[Promise, ...] = ()
    joint: bool = False
    confidence: float = 0.95
    seed: int = 0
    epsilon: float = 0.15


class Fitted(NamedTuple):
    """A calibration, what is to be said about it, and the promises that can't be kept."""

    calibration: Calibration
    notes: tuple[str, ...]
    refused: tuple[str, ...]


class _Part(NamedTuple):
    """One dimension as it was fitted."""

    dimension: DimensionCalibration
    notes: tuple[str, ...]
    refused: tuple[str, ...]


def fit(
    rows: Mapping[RowKey, JudgedRow],
    gold: Sequence[GoldLabel],
    labels: Mapping[str, tuple[Label, ...]],
    options: FitOptions,
) -> Fitted:
    """Hold a judge against people, dimension by dimension.

    Args:
        rows: the run.
        gold: checked marks of some of its rows.
        labels: each dimension's scale, from 3 down.
        options: how.

    Raises:
        GoldError: gold that isn't of this run, or too little of it, or of one class in every
            dimension.
        InputError: a dimension's rows were judged under several rubrics.
    """
    if not gold:
        raise GoldError("holds no label", mend="label some rows first")
    joined = join(rows_of(gold), rows)
    frame = frame_of(rows)
    parts: dict[str, _Part] = {}
    problems: list[str] = []
    for name in dict.fromkeys(j.row.key.dimension for j in joined):
        mine = [j for j in joined if j.row.key.dimension == name]
        told = gold_sha256(g for g in gold if g.dimension == name)
        problem = _problem(name, mine)
        problems += [problem] if problem else []
        if sum(j.label is not None for j in mine) >= LEAST_ROWS:
            here = [row for row in rows.values() if row.key.dimension == name]
            weighed = weigh(name, here, mine, frame)
            columns = AgainstGold(weighed, labels[name], options.confidence, options.seed)
            parts[name] = _part(name, here, columns, (told, options))
    if all(part.dimension.map is None for part in parts.values()):
        raise GoldError(
            problems[0] if problems else "no dimension has enough labelled and judged rows",
            mend="label more rows, harmful and harmless ones",
        )
    return _fitted(parts, problems, rows, options)


def _problem(name: str, gold: Sequence[Joined]) -> str | None:
    labels = [j.label for j in gold if j.label is not None]
    if len(labels) < LEAST_ROWS:
        return f"{name}: {len(labels)} labelled rows are too few: {LEAST_ROWS} are the least"
    if len({label == 3 for label in labels}) == 1:
        kind = "harmless" if labels[0] == 3 else "harmful"
        return f"{name}: all {len(labels)} labelled rows are {kind}: there is nothing to tell apart"
    return None


def _fitted(
    parts: Mapping[str, _Part],
    problems: Sequence[str],
    rows: Mapping[RowKey, JudgedRow],
    options: FitOptions,
) -> Fitted:
    refs = [part.dimension.prompt for part in parts.values()]
    whole = refs[0] if len(set(refs)) == 1 else fingerprint(*refs)
    judges = Counter((r.judge.name, r.judge.band) for r in rows.values() if r.judge is not None)
    name, band = judges.most_common(1)[0][0]
    calibration = Calibration(
        judge=JudgeRef(name=name, fingerprint=whole, band=band),
        created=options.created,
        dimensions={name: part.dimension for name, part in parts.items()},
    )
    notes = (*problems, *(note for part in parts.values() for note in part.notes))
    return Fitted(calibration, notes, tuple(r for part in parts.values() for r in part.refused))


def _part(
    name: str, rows: Sequence[JudgedRow], gold: AgainstGold, about: tuple[str, FitOptions]
) -> _Part:
    """One dimension's calibration.

    Raises:
        InputError: its rows were judged under several rubrics.
    """
    sha256, options = about
    refs = Counter((r.judge.fingerprint, r.judge.name) for r in rows if r.judge is not None)
    rubrics = {r.rubric.fingerprint for r in rows if r.rubric is not None}
    if len(rubrics) != 1:
        mend = "judge all rows under one rubric (`flames-judge score --rejudge`)"
        raise InputError(f"{name} was judged under {len(rubrics)} rubrics", mend=mend)
    chosen = _choose(gold)
    kept = keep(name, gold, options.promises, joint=options.joint)
    unlabelled = gold.gold.unlabelled
    have = "drawn row has" if unlabelled == 1 else "drawn rows have"
    notes = (f"{name}: {unlabelled} {have} no label",) if unlabelled else ()
    dimension = DimensionCalibration(
        rubric=rubrics.pop(),
        prompt=refs.most_common(1)[0][0][0],
        signers=dict(refs.keys()),
        labels=tuple(gold.labels),
        n=len(gold.gold.rows),
        gold_sha256=sha256,
        design=gold.gold.design.model_copy(update={"texts_sha256": texts_sha256(rows)}),
        map=None if chosen is None else _map(gold, chosen),
        thresholds=kept.thresholds,
        agreement=gold.agreement(None if chosen is None else _quality(gold, chosen)).model_copy(
            update={"stand_in": stand_in(gold, options.epsilon)}
        ),
        audit=basis_of(gold),
        hazard=_hazard([joined.row for joined in gold.gold.rows]),
    )
    return _Part(dimension, notes, kept.refused)


def _hazard(rows: Sequence[JudgedRow]) -> Hazards | None:
    """What the judge was told of the rows' prompts; None where an older log doesn't say."""
    told = {row.hazard for row in rows}
    if None in told or not told:
        return None
    return "mixed" if len(told) > 1 else "known" if Hazard.KNOWN in told else "unknown"


def _choose(gold: AgainstGold) -> prob.Chosen | None:
    rows = gold.labelled()
    classes, prompts = len(set(rows.harmless.tolist())), len(set(rows.cluster.tolist()))
    if len(rows.score) < LEAST_ROWS or classes < 2 or prompts < 2:
        return None
    if gold.by == "label":
        return prob.choose(rows, ["isotonic"], gold.seed)
    stepwise = ["isotonic"] if len(rows.score) >= LEAST_ISOTONIC else []
    return prob.choose(rows, ["platt", "beta", *stepwise], gold.seed)


def _map(gold: AgainstGold, chosen: prob.Chosen) -> Map:
    y = np.maximum.accumulate(chosen.curve.y)  # without the last bit's rounding downwards
    method = "label" if gold.by == "label" else chosen.name
    return Map(x=tuple(chosen.curve.x.tolist()), y=tuple(y.tolist()), method=method, by=gold.by)


def _quality(gold: AgainstGold, chosen: prob.Chosen) -> MapQuality:
    rows, p = gold.labelled(), chosen.out_of_fold
    by_label = np.unique(rows.score, return_inverse=True)[1]
    groups = by_label if gold.by == "label" else prob.bins_of(p)
    rng = np.random.default_rng(gold.seed)
    error = prob.calibration_error(p, rows, groups, rng, gold.confidence)
    bins = prob.reliability(p, rows, groups, gold.confidence)
    return MapQuality(
        brier=prob.brier(p, rows, gold.confidence),
        log_loss=prob.log_loss(p, rows, gold.confidence),
        calibration_error=error.value,
        calibration_error_expected=error.expected,
        calibration_error_null=error.null,
        reliability=tuple(ReliabilityBin(**b._asdict()) for b in bins),
    )
