"""What a chat model is asked with: frozen settings, which its fingerprint covers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

ResponseFormat = Literal["auto", "json_schema", "json"]


class Sampling(BaseModel):
    """Sampling parameters, sent as they stand; null ones are not sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    temperature: float | None = Field(default=0.0, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int | None = Field(default=2048, ge=1)
    seed: int | None = None
    reasoning_effort: str | None = None

    def params(self) -> dict[str, Any]:
        """The parameters of a completion call."""
        return self.model_dump(exclude_none=True)


class ModelConfig(BaseModel):
    """A model behind litellm's names.

    Args:
        model: litellm's name, `provider/model`.
        api_base: base URL of one's own server.
        api_key_env: the environment variable that holds the key; the provider's own when null.
        timeout_s: for one call, from sending to the last byte.
        retries: further tries after the first, for what may pass.
        patience_s: longest wait that a provider may ask for before another try.
        price: USD for a million prompt and completion tokens, where litellm knows no price.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    model: str = Field(min_length=1)
    api_base: str | None = None
    api_key_env: str | None = None
    timeout_s: float = Field(default=60.0, gt=0)
    retries: int = Field(default=5, ge=0)
    patience_s: float = Field(default=300.0, ge=0)
    sampling: Sampling = Sampling()
    price: tuple[float, float] | None = None
