"""What a report holds: frozen values whose JSON is `summary.json`.

A figure is an `Estimate`, or a `Missing` with `why`. Rates are in [0, 1], scores in [0, 100].
"""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from judge.board import Standing
from judge.stats.estimate import Figure, Target

FORMAT: Final = 1
Range = tuple[float, float]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RunFacts(_Value):
    """What the report can't read off the rows.

    Args:
        judge: the judge's spec; `fingerprints` holds its fingerprint by dimension.
        trust: one line on how far this judge's verdicts can be trusted.
        embedded: the judge is the embedded scorer: no standing on the published board.
        flames_prompts: keys of the benchmark's own prompts (`cluster_of`): only on these has a
            model a standing on the board.
        confidence: of every interval, in (0, 1).
        max_unjudged: the largest share of rows without a verdict (abstentions and filtered rows
            aside) with which a dimension still has headline figures.
        bad_rows: rows of the input that couldn't be read.
        warnings: lines to show beside the figures.
    """

    judge: str
    fingerprints: dict[str, str] = Field(default_factory=dict)
    trust: str | None = None
    embedded: bool = False
    flames_prompts: frozenset[int] = frozenset()
    confidence: float = Field(default=0.95, gt=0, lt=1)
    max_unjudged: float = Field(default=0.2, ge=0, le=1)
    bad_rows: int = Field(default=0, ge=0)
    warnings: tuple[str, ...] = ()


class Counts(_Value):
    """Judged rows by label; `not_3` are those whose 2 and 1 can't be told apart."""

    three: int = Field(serialization_alias="3", validation_alias="3")
    two: int = Field(serialization_alias="2", validation_alias="2")
    one: int = Field(serialization_alias="1", validation_alias="1")
    not_3: int

    @property
    def total(self) -> int:
        """All judged rows."""
        return self.three + self.two + self.one + self.not_3


class Pair(_Value):
    """Both figures of the same rows."""

    harmless_rate: Figure
    harmless_score: Figure


class Bounds(_Value):
    """Ranges of both figures; null where there is no row."""

    harmless_rate: Range | None
    harmless_score: Range | None


class FilteredReading(Pair):
    """The second reading: the rows stopped by the tested provider's filter count as declined."""

    n: int


class Part(_Value):
    """A dimension or a subcomponent.

    `n` counts the rows to be judged: `judged` and those of `unjudged`, by the reason. The figures
    are those of the judged rows. `bounds` says where the figures of all `n` rows lie, whatever the
    unjudged ones are: [J/N low, J/N high + U/N] from the interval of the judged ones (where the
    score's 2 and 1 can't be told apart, from its range instead). `rows` is the plain range of these
    very rows, without sampling error: all open labels at their worst, and all at their best.
    """

    n: int
    judged: int
    counts: Counts
    harmless_rate: Figure
    harmless_score: Figure
    unjudged: dict[str, int]
    abstained_share: float
    bounds: Bounds
    rows: Bounds


class WorstShare(_Value):
    """The kind of row that is farthest off: its share in the run, and by the gold's mixture."""

    kind: str
    run: float
    expected: float


class ShiftAudit(_Value):
    """Whether a run looks like the gold that a calibration was made with, prevalence aside.

    PASS is shown equivalence: with this confidence no share of rows of any kind is off by more than
    `margin` from a mixture of the gold's harmless and harmful rows. FAIL is a shown difference
    beyond it. `deviation` holds the one-sided bounds of the largest difference. NOT_NEEDED where
    the gold was drawn from these very rows; `why` says why nothing, or not everything, was told.
    """

    verdict: Literal["PASS", "FAIL", "INCONCLUSIVE", "NOT_POSSIBLE", "NOT_NEEDED"]
    margin: float
    confidence: float
    deviation: Range | None = None
    worst: WorstShare | None = None
    compared: tuple[str, ...] = ()
    rows: int = 0
    gold: int = 0
    why: tuple[str, ...] = ()
    unseen: str


class Corrected(Pair):
    """The figures that people would give, by a calibration, beside the judge's own.

    `target` says what both are about; the judge's own figures of all rows of a run have no interval
    for that run. `of` says which rows the corrected ones are of: where unjudged rows were not
    labelled, of the judged ones, and `bounds` are those of all rows, whatever the others and the
    skipped ones are. `gold` counts the labelled rows that the figures go by, `draws` the draws in
    which their sample was made: more than one where it was extended. `audit` is each dimension's.
    """

    target: Target
    estimator: str
    of: Literal["all rows", "judged rows"]
    gold: int
    draws: int = 1
    raw_rate: float | None
    raw_score: float | None
    bounds: Bounds
    audit: ShiftAudit | None = None


class CalibrationLine(_Value):
    """The calibration that the corrected figures go by."""

    judge: str
    created: str
    gold_sha256: dict[str, str]


class DimensionReport(Part):
    """A dimension, with its subcomponents and, where rows were filtered, both readings."""

    name_zh: str
    labels: tuple[int, ...]
    filtered: int
    filtered_as_declined: FilteredReading | None
    subcomponents: dict[str, Part]
    corrected: Corrected | None = None


class Overall(Pair):
    """The unweighted mean of the suite's dimensions."""

    bounds: Bounds
    filtered_as_declined: FilteredReading | None
    corrected: Corrected | None = None


class ModelReport(_Value):
    """One tested model."""

    dimensions: dict[str, DimensionReport]
    overall: Overall
    board: Standing


class Difference(_Value):
    """A figure of the first model minus that of the second, on the prompts that both answered.

    `p` is exact (sign flips within prompts; with one answer a prompt and two outcomes that is
    McNemar's test); `p_adjusted` allows for all pairs of models (Holm). Null where `figure` is.
    """

    figure: Figure
    p: float | None
    p_adjusted: float | None


class Comparison(_Value):
    """Two models, in one dimension or (null) overall."""

    a: str
    b: str
    dimension: str | None
    prompts: int
    harmless_rate: Difference
    harmless_score: Difference


class Cost(_Value):
    """What all calls cost; null where no provider said. `rows_without_usd` had no price."""

    usd: float | None
    prompt_tokens: int | None
    cached_tokens: int | None
    completion_tokens: int | None
    rows_without_usd: int


class JudgeLine(_Value):
    """Who judged: its name, its fingerprint by dimension, and how far it can be trusted."""

    name: str
    fingerprints: dict[str, str]
    trust: str | None


class Report(_Value):
    """The report of a run: `summary.json`.

    `pooled` holds the corrected figures of each dimension over all models, where there are several.
    """

    format: Literal[1] = FORMAT
    judge: JudgeLine
    confidence: float
    max_unjudged: float
    models: dict[str, ModelReport]
    comparisons: tuple[Comparison, ...]
    cost: Cost
    bad_rows: int
    warnings: tuple[str, ...]
    calibration: CalibrationLine | None = None
    pooled: dict[str, Corrected] = Field(default_factory=dict)

    def to_json(self) -> str:
        """The text of `summary.json`."""
        return self.model_dump_json(by_alias=True, indent=2) + "\n"
