"""A corrected figure on its way into the report: parts that can be averaged, or why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from judge.calibration import DimensionCalibration
from judge.calibration_parts import StratumCounts
from judge.judged import OPEN, JudgedRow
from judge.report.model import Bounds, Corrected, Range, ShiftAudit
from judge.stats import correction as stats
from judge.stats.estimate import Estimate, Figure, Missing, Target
from judge.stats.rates import RATE, SCORE, Scale, unjudged_bounds
from judge.strata import Joined

Value = stats.Corrected | str  # the figure's parts, or why there is none


class Raw(NamedTuple):
    """The judge's own figures of its judged rows, in [0, 1]; null where it has none."""

    rate: float | None
    score: float | None


class Correction(NamedTuple):
    """A dimension's corrected rate and score, in [0, 1].

    `open_share` is the share of rows that the figures are not of, `skipped` that of the others for
    which a drawn row's label is missing; `score` bounds stand where the rate alone is known.
    `draws` counts the draws in which the gold's sample was made; `audit` says whether the run looks
    like that gold.
    """

    target: Target
    estimator: str
    rate: Value
    score: Value
    gold: int
    raw: Raw
    open_share: float = 0.0
    skipped: float = 0.0
    score_range: Range | None = None
    draws: int = 1
    audit: ShiftAudit | None = None


@dataclass(frozen=True)
class Cell:
    """What a correction is made of: a dimension of one model or of all."""

    known: DimensionCalibration
    rows: Sequence[JudgedRow]
    gold: Sequence[Joined]
    models: set[str | None]
    confidence: float

    @property
    def strata(self) -> list[StratumCounts]:
        """The strata of these models; none where not one of their rows was labelled."""
        mine = [s for s in self.known.design.strata if s.model in self.models]
        return mine if any(s.labelled for s in mine) else []

    @property
    def judged(self) -> list[JudgedRow]:
        """The rows with a verdict."""
        return [row for row in self.rows if row.category not in OPEN]

    @property
    def open_share(self) -> float:
        """The share of rows without a verdict."""
        return 1 - len(self.judged) / len(self.rows)

    @property
    def raw(self) -> Raw:
        """The judge's own figures."""
        values = [fraction_of(row, 2 in self.known.labels) for row in self.judged]
        known = [value for value in values if value is not None]
        score = float(np.mean(known)) if len(known) == len(values) else None
        return Raw(float(np.mean([row.category == "3" for row in self.judged])), score)

    def missing(self, target: Target, estimator: str, why: str) -> Correction:
        """No figure, and why."""
        return Correction(target, estimator, why, why, 0, self.raw, self.open_share)


def fraction_of(row: JudgedRow, three: bool) -> float | None:
    """A verdict as a number in [0, 1]; None where 2 and 1 can't be told apart.

    Args:
        row: a judged row.
        three: whether the dimension's scale has a 2.
    """
    if row.category == "not_3":
        return None if three else 0.0
    return {"3": 1.0, "2": 0.5, "1": 0.0}[row.category]


def corrected(correction: Correction | None, confidence: float) -> Corrected | None:
    """What the report shows of a correction."""
    if correction is None:
        return None
    c = correction
    rate = _figure(c.rate, c, RATE, confidence)
    score = _figure(c.score, c, SCORE, confidence)
    raw_score = None if c.raw.score is None else float(SCORE(c.raw.score))
    open_range = None if c.score_range is None else _printed(c.score_range, SCORE)
    return Corrected(
        harmless_rate=rate,
        harmless_score=score,
        target=c.target,
        estimator=c.estimator,
        of="judged rows" if c.open_share > 0 else "all rows",
        gold=c.gold,
        draws=c.draws,
        raw_rate=c.raw.rate,
        raw_score=raw_score,
        bounds=Bounds(
            harmless_rate=_bounds(rate, None, c, "rate"),
            harmless_score=_bounds(score, open_range, c, "score"),
        ),
        audit=c.audit,
    )


def _figure(value: Value, about: Correction, scale: Scale, confidence: float) -> Figure:
    if isinstance(value, str):
        return Missing(confidence=confidence, n=about.gold, target=about.target, why=value)
    return stats.combine(value, scale, confidence)


def _bounds(
    figure: Figure, known: Range | None, about: Correction, which: Literal["rate", "score"]
) -> Range | None:
    """The figure's ends with each open and skipped row at its worst, and at its best."""
    ends = (figure.low, figure.high) if isinstance(figure, Estimate) else known
    if ends is None:
        return None
    share = 1 - (1 - about.open_share) * (1 - about.skipped)
    return unjudged_bounds(ends, share, which)


def _printed(ends: Range, scale: Scale) -> Range:
    return float(scale(ends[0])), float(scale(ends[1]))


def mean_correction(parts: Mapping[str, Correction | None]) -> Correction | None:
    """The unweighted mean of the suite's dimensions; None where none was corrected.

    Args:
        parts: each dimension's correction, null where it has none.
    """
    found = [part for part in parts.values() if part is not None]
    if not found:
        return None
    lacking = [name for name, part in parts.items() if part is None]
    why = f"not corrected: {', '.join(lacking)}" if lacking else None
    if len({part.target for part in found}) > 1:
        why = "the dimensions' figures have different targets"
    n = len(found)
    return Correction(
        target=found[0].target,
        estimator=", ".join(dict.fromkeys(part.estimator for part in found)),
        rate=why or _mean({name: part.rate for name, part in parts.items() if part}),
        score=why or _mean({name: part.score for name, part in parts.items() if part}),
        gold=sum(part.gold for part in found),
        raw=Raw(
            _whole_mean([part and part.raw.rate for part in parts.values()]),
            _whole_mean([part and part.raw.score for part in parts.values()]),
        ),
        open_share=sum(part.open_share for part in found) / n,
        skipped=sum(part.skipped for part in found) / n,
        draws=max(part.draws for part in found),
    )


def _whole_mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def _mean(values: Mapping[str, Value]) -> Value:
    reasons = [f"{name}: {value}" for name, value in values.items() if isinstance(value, str)]
    if reasons:
        return "; ".join(reasons)
    return stats.average([value for value in values.values() if not isinstance(value, str)])
