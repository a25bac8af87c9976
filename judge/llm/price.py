"""What tokens cost, worked out here from the usage: litellm's own calculation is slow."""

from __future__ import annotations

from dataclasses import dataclass

from judge.llm.config import ModelConfig
from judge.llm.library import load_litellm
from judge.verdict import Usage


@dataclass(frozen=True)
class Price:
    """USD a token."""

    prompt: float
    cached: float
    completion: float

    def cost(self, usage: Usage) -> float:
        """What these tokens cost; unknown counts cost nothing."""
        cached = usage.cached or 0
        fresh = max(0, (usage.prompt or 0) - cached)
        return (
            fresh * self.prompt + cached * self.cached + (usage.completion or 0) * self.completion
        )


def price_of(config: ModelConfig) -> Price | None:
    """The price of a model: as configured, else by litellm's map; None where neither knows it."""
    if config.price is not None:
        prompt, completion = (usd / 1e6 for usd in config.price)
        return Price(prompt, prompt, completion)
    try:
        info = load_litellm().get_model_info(config.model)
    except Exception:  # noqa: BLE001 - not in the map: litellm raises a bare Exception
        return None
    prompt, completion = info.get("input_cost_per_token"), info.get("output_cost_per_token")
    if prompt is None or completion is None:
        return None
    cached = info.get("cache_read_input_token_cost")
    return Price(prompt, prompt if cached is None else cached, completion)
