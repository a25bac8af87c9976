"""What is judged (`Case`) and what comes back (`Outcome = Verdict | Failure`): frozen values.

A judge that fails gives a `Failure` with its kind; no type here has a default score.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SkipValidation,
    model_validator,
)

from judge.records import Record
from judge.rubric import Label, Rubric

Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
# JSON's keys are text: "3" is read back as 3.
LabelKey = Annotated[Label, BeforeValidator(lambda key: {"1": 1, "2": 2, "3": 3}.get(key, key))]
Probabilities = Mapping[LabelKey, Probability]
Side = Literal["prompt", "response"]
PSource = Literal["logprob", "samples", "scorer"]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Hazard(StrEnum):
    """Whether the prompt is known to be hazardous: on ordinary prompts, engaging means nothing."""

    KNOWN = "known"
    UNKNOWN = "unknown"


class Case(_Value):
    """One record to be judged under one rubric.

    `response` is what is judged: the record's response, without its thinking unless that is
    judged too.
    """

    # Both were validated when they were read; a rubric's own check takes milliseconds.
    record: SkipValidation[Record]
    rubric: SkipValidation[Rubric]
    response: str
    hazard: Hazard = Hazard.KNOWN


class JudgeRef(_Value):
    """Which judge spoke: `fingerprint` covers model, parameters, prompt, rubric and schema.

    `band` is a cascade's doubt band, which its fingerprint covers too; written where there is one.
    """

    name: str
    fingerprint: str
    band: tuple[float, float] | None = Field(default=None, exclude_if=lambda band: band is None)


class RubricRef(_Value):
    """Which rubric was judged by."""

    dimension: str
    version: str
    fingerprint: str

    @classmethod
    def of(cls, rubric: Rubric) -> Self:
        return cls(
            dimension=rubric.dimension, version=rubric.version, fingerprint=rubric.fingerprint
        )


class Evidence(_Value):
    """A quote from the text under judgement; `start` and `end` are offsets into the original text.

    `kind` names the rule or head that found it (embedded scorer); an LLM's quotes have none.
    """

    side: Side
    quote: str
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    kind: str | None = None


class Usage(_Value):
    """Tokens of all calls behind an outcome; null where the provider didn't say."""

    prompt: int | None = None
    cached: int | None = None
    completion: int | None = None


class FailureKind(StrEnum):
    """Why a row has no verdict."""

    ABSTAINED = "abstained"
    PROVIDER_FILTER_INPUT = "provider_filter_input"
    PROVIDER_FILTER_OUTPUT = "provider_filter_output"
    JUDGE_REFUSAL = "judge_refusal"
    TRUNCATED = "truncated"
    INVALID_OUTPUT = "invalid_output"
    TIMEOUT = "timeout"
    RATE_LIMITED = "rate_limited"
    QUOTA = "quota"
    UNAVAILABLE = "unavailable"
    OVERSIZE = "oversize"

    @property
    def transient(self) -> bool:
        """Judged again by a rerun without being asked to."""
        return self in _TRANSIENT

    @property
    def filtered(self) -> bool:
        """A provider's content filter stopped the prompt or the answer."""
        return self in _FILTERED


_FILTERED = frozenset({FailureKind.PROVIDER_FILTER_INPUT, FailureKind.PROVIDER_FILTER_OUTPUT})
_TRANSIENT = frozenset(
    {FailureKind.TIMEOUT, FailureKind.RATE_LIMITED, FailureKind.QUOTA, FailureKind.UNAVAILABLE}
)


class Verdict(_Value):
    """A judgement. `harmless: false, label: null` = not 3, but 2 and 1 can't be told apart.

    `probabilities` are P(label) by label; `p_harmless` is P(3); `p_source` says where they come
    from and is null when there are none.
    """

    type: Literal["verdict"] = "verdict"
    record_id: str
    dimension: str
    judge: JudgeRef
    rubric: RubricRef
    label: Label | None
    harmless: bool
    probabilities: Probabilities | None = None
    p_harmless: Probability | None = None
    p_source: PSource | None = None
    criteria: Mapping[str, bool | None] = Field(default_factory=dict)
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    usage: Usage | None = None
    cost_usd: float | None = None
    latency_s: float | None = None
    cached: bool = False
    votes: tuple[JudgeVote, ...] = ()

    @model_validator(mode="after")
    def _label_agrees(self) -> Self:
        if self.label is not None and self.harmless != (self.label == 3):
            raise ValueError(f"harmless={self.harmless} contradicts label {self.label}")
        if self.label is None and self.harmless:
            raise ValueError("a harmless verdict has label 3")
        if (self.p_harmless is None) != (self.p_source is None):
            raise ValueError("p_harmless and p_source go together")
        return self


class JudgeVote(_Value):
    """What one member of a panel or one step of a cascade said."""

    judge: str
    label: Label | None = None
    harmless: bool | None = None
    p_harmless: Probability | None = None
    failure: FailureKind | None = None


class Failure(_Value):
    """A row without a verdict. `detail` never holds the user's text or a key."""

    type: Literal["failure"] = "failure"
    record_id: str
    dimension: str
    judge: JudgeRef
    rubric: RubricRef
    kind: FailureKind
    attempts: int = Field(default=0, ge=0)
    detail: str = ""
    evidence: tuple[Evidence, ...] = ()
    usage: Usage | None = None
    cost_usd: float | None = None
    latency_s: float | None = None
    cached: bool = False
    votes: tuple[JudgeVote, ...] = ()


Verdict.model_rebuild()
Outcome = Verdict | Failure
