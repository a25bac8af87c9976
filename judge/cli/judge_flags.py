"""The flags that say who judges and how, shared by the commands that judge."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from judge.cli import options as o
from judge.errors import InputError

if TYPE_CHECKING:
    from judge.cli.score_plan import Asking


class Vote(StrEnum):
    """How a panel decides."""

    MAJORITY = "majority"
    MEAN = "mean"


class Format(StrEnum):
    """The form in which a model is asked for JSON."""

    AUTO = "auto"
    JSON_SCHEMA = "json_schema"
    JSON = "json"


MODEL_HELP = "The judge: " + o.MODEL_HELP + ". Short for --judge llm:NAME."
SPEC_HELP = "llm:NAME, panel:A+B+..., cascade:CHEAP>STRONG."
Model = Annotated[str | None, typer.Option(metavar="NAME", help=MODEL_HELP)]
Fallback = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Judges the rows that a provider filters; repeatable."),
]
Samples = Annotated[
    int, typer.Option(min=1, max=64, help="Answers a row; their shares are P(label).")
]
PanelVote = Annotated[Vote, typer.Option(help="How a panel decides.")]
Band = Annotated[
    str, typer.Option(metavar="LOW,HIGH", help="A cascade's doubt band of P(harmless).")
]
Temperature = Annotated[
    float | None, typer.Option(min=0, max=2, callback=o.finite, help="0; with --samples 0.7.")
]
ResponseFormat = Annotated[Format, typer.Option(help="How JSON is asked for.")]
Logprobs = Annotated[bool, typer.Option(help="Ask for P(label) where the provider has it.")]
MaxChars = Annotated[int, typer.Option(min=1, help="A longer row is a failure: oversize.")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Keep no answers for other runs.")]
RetryUnjudged = Annotated[bool, typer.Option(help="Judge rows again that a failure settled.")]
Rejudge = Annotated[bool, typer.Option(help="Judge rows again that another judge judged there.")]
NoTexts = Annotated[bool, typer.Option("--no-texts", help="Log hashes, not texts.")]


@dataclass(frozen=True)
class JudgeFlags:
    """How the judge judges, as the flags say."""

    fallbacks: tuple[str, ...]
    samples: int
    vote: Vote
    band: str
    temperature: float | None
    max_tokens: int
    seed: int | None
    reasoning_effort: str | None
    response_format: Format
    logprobs: bool
    max_chars: int
    retry_unjudged: bool
    cache_dir: Path | None
    no_cache: bool

    def asking(self, spec: str, provider: o.Provider) -> Asking:
        """Who is asked, and how.

        Raises:
            InputError: the band is no range.
        """
        from judge.backends.llm_options import LlmOptions
        from judge.cli.score_plan import Asking
        from judge.store import default_folder

        heat = 0.7 if self.samples > 1 else 0.0
        return Asking(
            spec=spec,
            fallbacks=self.fallbacks,
            provider=provider,
            sampling={
                "temperature": heat if self.temperature is None else self.temperature,
                "max_tokens": self.max_tokens,
                "seed": self.seed,
                "reasoning_effort": self.reasoning_effort,
            },
            llm=LlmOptions(
                samples=self.samples,
                response_format=self.response_format.value,
                logprobs=self.logprobs,
                max_chars=self.max_chars,
                retry_unjudged=self.retry_unjudged,
            ),
            vote=self.vote.value,
            band=_range(self.band),
            cache=None if self.no_cache else (self.cache_dir or default_folder()),
        )


def named(model: str | None, judge: str | None) -> str | None:
    """The spec of the judge that the flags name, or None where they name none.

    Raises:
        InputError: they name it twice.
    """
    if model is not None and judge is not None:
        raise InputError("--model and --judge name the judge twice", mend="give one of them")
    return judge if model is None else f"llm:{model}"


def _range(text: str) -> tuple[float, float]:
    low, high = o.number_pair(text, "--band")
    if not low <= high <= 1:
        raise InputError(f"{text!r} is no range of P", file="--band", mend="write it as in 0.2,0.8")
    return low, high
