"""How an LLM judges, apart from which model it is and how that is reached."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from judge.llm.config import ResponseFormat
from judge.prompt import Frame


class LlmOptions(BaseModel):
    """How an LLM judges.

    Args:
        samples: independent answers a row; above 1 their shares are P(label).
        response_format: `auto` takes JSON schema where the provider has it.
        logprobs: ask for token log probabilities where the provider has them.
        max_chars: of the texts of one row; a longer row is a failure, never cut.
        retry_unjudged: ask again where the store holds a failure.
        frame: another frame around the rubric than the shipped one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    samples: int = Field(default=1, ge=1, le=64)
    response_format: ResponseFormat = "auto"
    logprobs: bool = True
    max_chars: int = Field(default=60_000, ge=1)
    retry_unjudged: bool = False
    frame: Frame | None = None
