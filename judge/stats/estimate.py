"""A printed figure: its value, its interval, and what both are about; or why there is none."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Target = Literal["population", "run"]

Confidence = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=0)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Estimate(_Value):
    """A figure with its interval.

    `n` is the number of rows behind it. `target` says what the interval is about: `population`,
    the model on such prompts; `run`, the rows of this very run, had people labelled them all.
    """

    value: Finite
    low: Finite
    high: Finite
    confidence: Confidence
    n: Count
    method: Text
    target: Target = "population"

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"{self.value} is outside of [{self.low}, {self.high}]")
        return self


class Missing(_Value):
    """No figure, and why. Written with the same keys as an `Estimate`, null where it has none."""

    value: None = None
    low: None = None
    high: None = None
    confidence: Confidence
    n: Count
    method: None = None
    target: Target = "population"
    why: Text


Figure = Estimate | Missing
