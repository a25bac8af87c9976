"""What a judge is worth against people: the calibration file, and how it is applied. Pure.

A calibration belongs to one judge under one rubric in one dimension; it is refused for any other.
Reading and applying it needs no numpy, so that a guard starts at once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from judge.calibration_parts import Agreement, AuditBasis, DesignSummary
from judge.errors import InputError
from judge.journal import replace_file
from judge.misfits import misfits
from judge.plain_file import read_plain
from judge.rubric import Label
from judge.stats.estimate import Figure
from judge.verdict import JudgeRef, RubricRef, Verdict

FORMAT: Final = 1
MOST_BYTES: Final = 64 * 2**20
By = Literal["p_harmless", "label"]
Hazards = Literal["known", "unknown", "mixed"]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Open = Annotated[float, Field(gt=0, lt=1, strict=True)]
ROUNDED: Final = 1e-6  # by which a bound that just keeps its promise may be above it
OPEN_LABEL = 0.25  # the score of "not 3", between those of 1 and 2


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Promise(_Value):
    """At most `miss_rate` of new harmful rows are missed, with this confidence."""

    miss_rate: Open
    confidence: Open = 0.95


class Looks(_Value):
    """How often one answer was looked at: every `window - overlap` characters, and as a whole."""

    window: int = Field(ge=1)
    overlap: int = Field(ge=0)


class Threshold(_Value):
    """A cut that keeps a promise: a guard acts where the judge's own P(harmless) is below it.

    The cut is compared with the judge's score before the map, since the map was fitted on the same
    gold; rows without a verdict count as missed. `n` are the harmful gold rows, `misses` those at
    the cut or above; `attained` is the miss rate that they bound with confidence 1 - `delta`.
    `joint` says that the promise holds together with those of the other dimensions. `looks` says
    that the score is the least of a streamed answer's looks; null where it is looked at once.
    """

    promise: Literal["miss_rate"] = "miss_rate"
    alpha: Open
    delta: Open
    cut: Share
    method: str
    n: int
    misses: int
    attained: Share
    false_alarm: Figure
    joint: bool = False
    looks: Looks | None = None

    @model_validator(mode="after")
    def _kept(self) -> Self:
        if self.attained > self.alpha * (1 + ROUNDED):
            told = f"its gold bounds the miss rate by {self.attained:g} alone"
            raise ValueError(f"a promise of {self.alpha:g} is not kept: {told}")
        return self

    def acts(self, score: float) -> bool:
        """Whether a row with this score, before the map, is acted upon."""
        return score < self.cut


class Map(_Value):
    """Score to P(harmless): points with straight lines between them and no change outside.

    `by` says what the score is: the judge's own P(harmless), or its label as a number.
    """

    x: tuple[float, ...] = Field(min_length=1)
    y: tuple[Share, ...] = Field(min_length=1)
    method: str = ""
    by: By = "p_harmless"

    @model_validator(mode="after")
    def _rising(self) -> Self:
        rising = all(a < b for a, b in zip(self.x, self.x[1:], strict=False))
        never_falling = all(a <= b for a, b in zip(self.y, self.y[1:], strict=False))
        if len(self.x) != len(self.y) or not (rising and never_falling):
            raise ValueError("a map's x rise, and its y, as many, never fall")
        return self

    def __call__(self, score: float) -> float:
        """The calibrated P(harmless) of a score."""
        place = bisect_right(self.x, score)
        if place in {0, len(self.x)}:
            return self.y[0] if place == 0 else self.y[-1]
        x0, x1, y0, y1 = *self.x[place - 1 : place + 1], *self.y[place - 1 : place + 1]
        return y0 + (y1 - y0) * (score - x0) / (x1 - x0)


class DimensionCalibration(_Value):
    """One dimension.

    `rubric` is its rubric's fingerprint; `prompt` the judge's under that rubric, which covers
    model, parameters, prompt and schema; `signers` are all whose verdicts are in it, by
    fingerprint. `audit` is what other runs are held against; `hazard` says whether the prompts of
    the labelled rows were known to be hazardous when they were judged. Older files lack both.
    """

    rubric: str
    prompt: str
    signers: Mapping[str, str]
    labels: tuple[Label, ...]
    n: int
    gold_sha256: str
    design: DesignSummary
    map: Map | None
    thresholds: tuple[Threshold, ...] = ()
    agreement: Agreement
    audit: AuditBasis | None = None
    hazard: Hazards | None = Field(default=None, exclude_if=lambda told: told is None)

    def p_harmless(self, verdict: Verdict) -> float | None:
        """The calibrated P(harmless) of a verdict; None where this dimension has no map."""
        if self.map is None:
            return None
        return self.map(score_of(verdict.label, verdict.p_harmless, self.map.by))


class Calibration(_Value):
    """A calibration file: one judge, its dimensions."""

    format: Literal[1] = FORMAT
    judge: JudgeRef
    created: str
    dimensions: Mapping[str, DimensionCalibration]

    def of(self, dimension: str, judge: JudgeRef, rubric: RubricRef) -> DimensionCalibration:
        """The calibration of a dimension, for the judge and rubric that it was made for.

        Raises:
            InputError: it wasn't made for them.
        """
        found = self.dimensions.get(dimension)
        if found is None:
            made = ", ".join(self.dimensions)
            problem = f"the calibration has no {dimension}: it was made for {made}"
            raise InputError(problem, mend=MEND)
        if rubric.fingerprint != found.rubric:
            raise InputError(
                f"the calibration was made for another rubric of {dimension}", mend=MEND
            )
        if judge.fingerprint not in found.signers:
            what = (
                "another judge" if judge.name != self.judge.name else "other settings of the judge"
            )
            told = f": {self.judge.name}, not {judge.name}" if judge.name != self.judge.name else ""
            raise InputError(
                f"the calibration was made for {what}{told} (in {dimension})", mend=MEND
            )
        return found

    def check(self, refs: Iterable[tuple[str, JudgeRef, RubricRef]]) -> None:
        """Refuse a calibration that was made for anything else; dimensions that it lacks may pass.

        Raises:
            InputError: it was made for another judge or rubric, or has none of the dimensions.
        """
        refs = list(refs)
        shared = [ref for ref in refs if ref[0] in self.dimensions]
        for ref in shared or refs:
            self.of(*ref)

    def to_json(self) -> str:
        """The text of the file."""
        return self.model_dump_json(indent=2) + "\n"


MEND = "calibrate this judge with `flames-judge calibrate`"


def score_of(label: Label | None, p_harmless: float | None, by: By) -> float:
    """A verdict as the number that maps and cuts go by, in [0, 1].

    Args:
        label: the judge's label, or None for "not 3".
        p_harmless: its own P(harmless), where it gave one.
        by: what the score is; without a P(harmless) it is the label in any case.
    """
    if by == "p_harmless" and p_harmless is not None:
        return p_harmless
    return OPEN_LABEL if label is None else (label - 1) / 2


def load_calibration(file: Path) -> Calibration:
    """Read a calibration file.

    Raises:
        InputError: it can't be read, or isn't one.
    """
    try:
        return Calibration.model_validate_json(read_plain(file, MOST_BYTES).content)
    except OSError as error:
        problem = f"can't be read: {error.strerror}"
        raise InputError(problem, file=file, mend="check the path") from None
    except ValidationError as error:
        first = next(misfits(error, Calibration))
        problem = f"is not a calibration: {first.problem}"
        raise InputError(problem, file=file, mend="make it with `flames-judge calibrate`") from None


def save_calibration(file: Path, calibration: Calibration) -> None:
    """Write a calibration file in one step.

    Raises:
        InputError: it can't be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"can't be written: {error.strerror}", file=file) from None
    replace_file(file, calibration.to_json())
