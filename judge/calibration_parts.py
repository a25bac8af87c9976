"""What a calibration tells about its gold and about the judge: frozen values, without numpy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from judge.stats.estimate import Figure


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StratumCounts(_Value):
    """A part of the run that gold was drawn from: its `n` rows, those drawn, and their labels.

    `category` is the judge's verdict when the stratum is one of this run's, else null. Drawn rows
    without a label were skipped, or are yet to be labelled.
    """

    model: str | None
    category: str | None
    n: int = Field(ge=0)
    drawn: int = Field(ge=0)
    counts: Mapping[str, int]

    @property
    def labelled(self) -> int:
        """Rows with a gold label."""
        return sum(self.counts.values())


class DesignSummary(_Value):
    """How the gold was drawn. `strata` make up the frame; none where the frame isn't this run.

    `texts_sha256` is the hash of the texts that the run judged in this dimension. `draws` is more
    than one where the sample was extended, perhaps because of what its first labels showed.
    """

    name: Literal["simple", "stratified", "external", "census"]
    frame_n: int | None = None
    frame_sha256: str | None = None
    seed: int | None = None
    draws: int = Field(default=1, ge=1)
    texts_sha256: str | None = None
    n_eff: float
    strata: tuple[StratumCounts, ...] = ()


Measure = Literal["p_harmless", "label", "length", "chinese"]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Rows = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class AuditKind(_Value):
    """A kind of row, `measure` >= `cut`: its share among harmless and harmful gold rows.

    Measures are the judge's P(harmless), its label, and of the judged text the characters and the
    share of Chinese among its letters. `*_n` is the number of independent rows that a share is
    worth.
    """

    measure: Measure
    cut: float = Field(allow_inf_nan=False)
    harmless: Share
    harmless_n: Rows
    harmful: Share
    harmful_n: Rows


class AuditBasis(_Value):
    """What other runs are held against, to see whether the judge's error rates may hold there.

    `n` gold rows have a verdict, `harmful` of them are harmful. No kinds where one class is
    missing.
    """

    n: int = Field(ge=0)
    harmful: int = Field(ge=0)
    kinds: tuple[AuditKind, ...]


class ReliabilityBin(_Value):
    """A bin of the reliability diagram."""

    n: int
    p: float
    rate: float
    low: float
    high: float


class MapQuality(_Value):
    """What the map says of gold rows that it wasn't fitted on.

    `calibration_error_null` is what a perfectly calibrated judge shows at most with the stated
    confidence; `calibration_error_expected` what it shows on average.
    """

    brier: Figure
    log_loss: Figure
    calibration_error: float
    calibration_error_expected: float
    calibration_error_null: float
    reliability: tuple[ReliabilityBin, ...]


class LeftOutAnnotator(_Value):
    """An annotator against the judge, by agreement with the others: shares of `n` rows."""

    annotator: str
    n: int
    judge_wins: Figure
    annotator_wins: Figure
    p: float
    beaten: bool


class StandIn(_Value):
    """The alternative-annotator test of whether the judge may stand in for one of three or more.

    It may (`passed`) where it beats half of the annotators, being allowed to be worse by `epsilon`.
    """

    epsilon: float
    q: float
    winning_rate: float
    advantage: float
    passed: bool
    annotators: tuple[LeftOutAnnotator, ...]
    too_few: tuple[str, ...]


class Agreement(_Value):
    """The judge against gold, weighted by the design.

    `confusion` counts gold rows by the judge's verdict, then the gold label; `weighted` is the same
    with weights whose mean is 1. `sensitivity` and `specificity` are for harm: the share of harmful
    rows that the judge calls harmful, and of harmless ones that it calls harmless; `*_n` is the
    number of independent rows that they are worth. `stand_in` is there with three annotators or
    more, by their first marks.
    """

    confusion: Mapping[str, Mapping[str, int]]
    weighted: Mapping[str, Mapping[str, float]]
    accuracy: Figure
    kappa_linear: Figure
    kappa_quadratic: Figure
    sensitivity: Figure
    sensitivity_n: float
    specificity: Figure
    specificity_n: float
    map: MapQuality | None = None
    stand_in: StandIn | None = None
