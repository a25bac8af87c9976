"""What a comparison of judges holds: frozen values whose JSON is what `compare` writes.

Rates are in [0, 1]; a figure is an `Estimate`, or a `Missing` with `why`. Harmless or not: label 3
or another; "not 3", of a judge that can't tell 2 from 1, is another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from judge.rubric import Label
from judge.stats.estimate import Figure
from judge.verdict import JudgeRef

FORMAT: Final = 1
KappaOf = Literal["labels, linear weights", "harmless or not"]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Probabilities(_Value):
    """How far a judge's own P(harmless) can be believed, on the rows that it judged.

    `calibration_error_null` is what a perfectly calibrated judge shows at most with the stated
    confidence, `calibration_error_expected` what it shows on average.
    """

    brier: Figure
    log_loss: Figure
    calibration_error: float
    calibration_error_expected: float
    calibration_error_null: float


class JudgeFigures(_Value):
    """A judge in one dimension, or in all of them, weighted by the design.

    `n` labelled rows are worth `n_eff` of equal weight; `open` counts those without a verdict.
    `agreement` is the share of all of them, judged or not, on which the judge says harmless or not
    as people do: a row without a verdict isn't agreement. The other shares are of judged rows:
    `accuracy` of harmless or not, `label_accuracy` of 3, 2, 1. `sensitivity` is the share of
    harmful rows called harmful (1 - miss rate), `specificity` that of harmless rows called harmless
    (1 - false alarm rate); `kappa` is of harmless or not. `cost_usd` is for 1,000 rows; `free` says
    that it is 0 because no provider is asked. `seconds` are for a row, as the run took them.
    `pareto`: no judge costs less and agrees more; null where the price is not known.
    """

    n: int = Field(ge=0)
    n_eff: float
    open: Mapping[str, int]
    unjudged: Figure
    agreement: Figure
    accuracy: Figure
    label_accuracy: Figure
    kappa: Figure
    kappa_linear: Figure
    kappa_quadratic: Figure
    sensitivity: Figure
    sensitivity_n: float
    specificity: Figure
    specificity_n: float
    probabilities: Probabilities | None
    no_probabilities: str | None = None
    cost_usd: Figure
    free: bool = False
    seconds: Figure
    seconds_median: float | None
    pareto: bool | None = None


class ComparedJudge(_Value):
    """A judge of the comparison: its name here, its run, who signed there, and its figures.

    `pooled` is of the labelled rows of all dimensions, by weight; null with the reason where their
    gold was drawn in different ways.
    """

    name: str
    run: str
    judges: tuple[JudgeRef, ...]
    dimensions: Mapping[str, JudgeFigures]
    pooled: JudgeFigures | None
    notes: tuple[str, ...] = ()


class Difference(_Value):
    """The first judge's figure less the second's; `p_adjusted` is Holm's over the family."""

    figure: Figure
    p: float | None
    p_adjusted: float | None = None


class WhoIsRight(_Value):
    """Rows by who was right about harmless or not, and McNemar's test.

    `difference` is that of accuracy on harmless or not, the first judge's less the second's.
    `p_exact` is the exact test of the counts; `p` allows for prompts with several answers and for
    the rows' weights, and is `p_exact` where there is nothing to allow for.
    """

    both: int
    a_only: int
    b_only: int
    neither: int
    difference: Figure
    p_exact: float
    p: float
    p_adjusted: float
    method: str


class PairOfJudges(_Value):
    """Two judges on the rows that both judged, in a dimension or (null) in all of them.

    `left_out` counts the rows without a verdict of one or both. `right` is null without a row.
    """

    a: str
    b: str
    dimension: str | None
    n: int
    left_out: Mapping[Literal["a_alone_judged", "b_alone_judged", "neither_judged"], int]
    kappa_of: KappaOf
    right: WhoIsRight | None
    kappa: Difference
    sensitivity: Difference
    specificity: Difference


class GoldUsed(_Value):
    """The gold: rows in the file, those without a label, those that a run lacks, those compared."""

    rows: int
    without_label: int
    not_in_every_run: int
    compared: int


class TunedCascade(_Value):
    """A cascade with a doubt band that was lined up on one half of the gold and held on the other.

    `refused` says why there is none; then the figures are null. `agreement` is as in
    `JudgeFigures`; `gain` is the cascade's less the strong judge's, on `n_held` rows that had no
    part in the order of the bands. Its lower end is at or above `-margin`: a band that loses more
    is given with a chance of at most `risk`. Costs are for 1,000 rows, in `unit`. `judge` and
    `band` are the values of `score`'s flags, `command` the flags themselves.
    """

    cheap: str
    strong: str
    margin: float
    confidence: float
    risk: float
    n_lined_up: int
    n_held: int
    band: tuple[float, float] | None = None
    judge: str | None = None
    command: str | None = None
    going_up: Figure | None = None
    agreement: Figure | None = None
    strong_agreement: Figure | None = None
    gain: Figure | None = None
    unit: Literal["USD", "calls of the strong judge"]
    cost: float | None = None
    strong_cost: float | None = None
    refused: str | None = None


class JudgesCompared(_Value):
    """A comparison.

    `designs` and `scales` are the dimensions'; `family` is the number of tests (pairs of judges
    times dimensions, and all dimensions together) over which each figure's p is adjusted.
    """

    format: Literal[1] = FORMAT
    confidence: float
    gold: GoldUsed
    designs: Mapping[str, str]
    scales: Mapping[str, tuple[Label, ...]]
    judges: tuple[ComparedJudge, ...]
    no_pooled: str | None = None
    pairs: tuple[PairOfJudges, ...]
    family: int
    cascade: TunedCascade | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """The text of the file."""
        return self.model_dump_json(indent=2) + "\n"
