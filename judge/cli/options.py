"""The flags that several commands share, and what they mean."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from judge.errors import InputError

if TYPE_CHECKING:
    from judge.llm.client import Traffic
    from judge.llm.config import ModelConfig


def finite(value: float | None) -> float | None:
    """Typer's ranges let nan through, and inf where one end is open."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter("write a number")
    return value


def plain_host(value: str) -> str:
    """An IPv6 address as URLs write it, in brackets, without them."""
    return value[1:-1] if value.startswith("[") and value.endswith("]") else value


MODEL_HELP = "litellm's name of a model: openai/gpt-..., deepseek/..., dashscope/..."
ApiBase = Annotated[str | None, typer.Option(help="Base URL of one's own server, with /v1.")]
ApiKeyEnv = Annotated[
    str | None, typer.Option(metavar="NAME", help="Environment variable that holds the key.")
]
Concurrency = Annotated[
    int | None,
    typer.Option(min=1, help="Calls in flight; adaptive without it (starts at 16, most 128)."),
]
Rpm = Annotated[int | None, typer.Option(min=1, help="Most requests a minute.")]
Tpm = Annotated[int | None, typer.Option(min=1, help="Most tokens a minute.")]
Retries = Annotated[int, typer.Option(min=0, help="Further tries of a call that may pass.")]
Timeout = Annotated[float, typer.Option(min=0.1, callback=finite, help="Seconds for one call.")]
Budget = Annotated[
    float | None,
    typer.Option(min=0, callback=finite, metavar="USD", help="Stop before spending more."),
]
MaxUnjudged = Annotated[
    float,
    typer.Option(
        min=0, max=1, callback=finite, help="Above this share there is no headline figure."
    ),
]
Confidence = Annotated[
    float, typer.Option(min=0.5, max=0.999, callback=finite, help="Of the intervals.")
]
Price = Annotated[
    str | None,
    typer.Option(metavar="IN,OUT", help="USD for a million prompt and completion tokens."),
]
MaxTokens = Annotated[int, typer.Option(min=1, help="Most tokens of an answer.")]
Seed = Annotated[int | None, typer.Option(help="Sampling seed, where the provider takes one.")]
ReasoningEffort = Annotated[
    str | None, typer.Option(help="low, medium, high: where the provider takes it.")
]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first rows.")]
RubricsOption = Annotated[
    Path | None, typer.Option("--rubrics", help="Folder of your own rubrics, beside ours.")
]
CalibrationOption = Annotated[
    Path | None,
    typer.Option("--calibration", help="Adds figures corrected by what `calibrate` found."),
]
GoldOption = Annotated[
    Path | None,
    typer.Option("--gold", help="The calibration's gold, for PPI++ with --target population."),
]


class TargetName(StrEnum):
    """What a corrected figure is about."""

    RUN = "run"
    POPULATION = "population"


TargetOption = Annotated[
    TargetName | None,
    typer.Option("--target", help="Of corrected figures: this run (default with its own gold)."),
]
Dimension = Annotated[str | None, typer.Option(help="The dimension of rows that name none.")]
CategoryMap = Annotated[
    Path | None, typer.Option("--map", help="YAML: source category -> dimension.")
]
CacheDir = Annotated[Path | None, typer.Option(help="Where paid-for answers are kept.")]


@dataclass(frozen=True)
class Provider:
    """How models are reached and driven, as the flags say."""

    api_base: str | None
    api_key_env: str | None
    timeout: float
    retries: int
    concurrency: int | None
    rpm: int | None
    tpm: int | None
    budget: float | None
    price: str | None

    @property
    def width(self) -> int:
        """The most jobs in flight."""
        return self.concurrency or 128

    def model(self, name: str, **sampling: float | str | None) -> ModelConfig:
        """A model's configuration.

        Raises:
            InputError: the model has no name, or the server's address is none.
        """
        if not name.strip():
            raise InputError("a model needs a name", mend="write PROVIDER/MODEL")
        from judge.llm.config import ModelConfig, Sampling

        return ModelConfig(
            model=name,
            api_base=None if self.api_base is None else http_address(self.api_base),
            api_key_env=self.api_key_env,
            timeout_s=self.timeout,
            retries=self.retries,
            price=self._price(),
            sampling=Sampling.model_validate(sampling),
        )

    def traffic(self, notify: Callable[[str], None]) -> Traffic:
        """Limits and spend, shared by every model of the run."""
        from judge.llm.client import Traffic
        from judge.llm.limits import AdaptiveConcurrency, Rates, Spend

        gate = AdaptiveConcurrency()
        if self.concurrency is not None:
            gate = AdaptiveConcurrency(self.concurrency, self.concurrency)
        return Traffic(
            spend=Spend(budget_usd=self.budget),
            concurrency=gate,
            rates=Rates(self.rpm, self.tpm),
            notify=notify,
            clock=time.monotonic,
        )

    def _price(self) -> tuple[float, float] | None:
        return None if self.price is None else number_pair(self.price, "--price")


def http_address(text: str) -> str:
    """An http(s) address; one with a password, which litellm can't use, is refused unseen.

    Raises:
        InputError: it is none.
    """
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text)
        if parts.scheme in {"http", "https"} and parts.hostname and "@" not in parts.netloc:
            return text
    except ValueError:
        pass
    raise InputError(
        "is no plain http address",
        file="--api-base",
        mend="write it as in http://127.0.0.1:8000/v1; keys go in variables, see --api-key-env",
    )


def number_pair(text: str, flag: str) -> tuple[float, float]:
    """Two numbers, 0 or more, that a flag holds.

    Raises:
        InputError: they aren't.
    """
    try:
        first, second = (float(part) for part in text.split(","))
    except ValueError:
        first = second = -1.0
    if not (0 <= first < float("inf") and 0 <= second < float("inf")):
        raise InputError(
            f"{text!r} is not two numbers", file=flag, mend="write them as in 0.27,1.10"
        )
    return first, second
