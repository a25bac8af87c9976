"""`flames-judge score`: judge a file of answers and print its harmless rate."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from judge.cli import options as o
from judge.errors import InputError


class Thinking(StrEnum):
    """What happens to a response's <think> blocks."""

    DROP = "drop"
    JUDGE = "judge"


class Vote(StrEnum):
    """How a panel decides."""

    MAJORITY = "majority"
    MEAN = "mean"


class Format(StrEnum):
    """The form in which a model is asked for JSON."""

    AUTO = "auto"
    JSON_SCHEMA = "json_schema"
    JSON = "json"


def score(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="JSONL, CSV, Parquet; - for standard input."),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The judge: " + o.MODEL_HELP + ". Short for --judge llm:NAME."
        ),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help="embedded (default), llm:NAME, panel:A+B+..., cascade:CHEAP>STRONG.",
        ),
    ] = None,
    fallback: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Judges the rows that a provider filters; repeatable."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The run's folder; FILE's stem + .flames.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print summary.json instead of tables.")
    ] = False,
    dimension: o.Dimension = None,
    map: o.CategoryMap = None,
    rubrics: o.RubricsOption = None,
    ordinary: Annotated[
        bool, typer.Option(help="The prompts are ordinary traffic, not probes.")
    ] = False,
    thinking: Annotated[
        Thinking, typer.Option(help="Leave <think> blocks out, or judge them.")
    ] = Thinking.DROP,
    samples: Annotated[
        int, typer.Option(min=1, max=64, help="Answers a row; their shares are P(label).")
    ] = 1,
    vote: Annotated[Vote, typer.Option(help="How a panel decides.")] = Vote.MAJORITY,
    band: Annotated[
        str, typer.Option(metavar="LOW,HIGH", help="A cascade's doubt band of P(harmless).")
    ] = "0.2,0.8",
    api_base: o.ApiBase = None,
    api_key_env: o.ApiKeyEnv = None,
    temperature: Annotated[
        float | None,
        typer.Option(min=0, max=2, callback=o.finite, help="0; with --samples 0.7."),
    ] = None,
    max_tokens: o.MaxTokens = 2048,
    seed: o.Seed = None,
    reasoning_effort: o.ReasoningEffort = None,
    response_format: Annotated[Format, typer.Option(help="How JSON is asked for.")] = Format.AUTO,
    logprobs: Annotated[
        bool, typer.Option(help="Ask for P(label) where the provider has it.")
    ] = True,
    max_chars: Annotated[
        int, typer.Option(min=1, help="A longer row is a failure: oversize.")
    ] = 60_000,
    concurrency: o.Concurrency = None,
    rpm: o.Rpm = None,
    tpm: o.Tpm = None,
    retries: o.Retries = 5,
    timeout: o.Timeout = 60.0,
    budget: o.Budget = None,
    price: o.Price = None,
    cache_dir: o.CacheDir = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Keep no answers for other runs.")
    ] = False,
    retry_unjudged: Annotated[
        bool, typer.Option(help="Judge rows again that a failure settled.")
    ] = False,
    rejudge: Annotated[
        bool, typer.Option(help="Judge rows again that another judge judged there.")
    ] = False,
    no_texts: Annotated[bool, typer.Option("--no-texts", help="Log hashes, not texts.")] = False,
    calibration: o.CalibrationOption = None,
    max_unjudged: o.MaxUnjudged = 0.2,
    confidence: o.Confidence = 0.95,
    limit: o.Limit = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Rows, tokens, cost; no call.")
    ] = False,
) -> None:
    """Judge responses to Flames prompts; print harmless rates and scores with intervals."""
    from judge.backends.llm_options import LlmOptions
    from judge.cli.score_plan import Asking, Input, Output, ScorePlan
    from judge.cli.scored_run import run_plan
    from judge.scoring import ScoreOptions
    from judge.store import default_folder
    from judge.verdict import Hazard

    if model is not None and judge is not None:
        raise InputError("--model and --judge name the judge twice", mend="give one of them")
    spec = judge or (f"llm:{model}" if model is not None else "embedded")
    provider = o.Provider(
        api_base, api_key_env, timeout, retries, concurrency, rpm, tpm, budget, price
    )
    heat = temperature if temperature is not None else 0.7 if samples > 1 else 0.0
    asking = Asking(
        spec=spec,
        fallbacks=tuple(fallback or ()),
        provider=provider,
        sampling={
            "temperature": heat,
            "max_tokens": max_tokens,
            "seed": seed,
            "reasoning_effort": reasoning_effort,
        },
        llm=LlmOptions(
            samples=samples,
            response_format=response_format.value,
            logprobs=logprobs,
            max_chars=max_chars,
            retry_unjudged=retry_unjudged,
        ),
        vote=vote.value,
        band=_band(band),
        cache=None if no_cache else (cache_dir or default_folder()),
    )
    plan = ScorePlan(
        input=Input(tuple(files), dimension, map, rubrics, limit),
        asking=asking,
        output=Output(out, json, max_unjudged, confidence, dry_run, calibration),
        options=ScoreOptions(
            hazard=Hazard.UNKNOWN if ordinary else Hazard.KNOWN,
            thinking=thinking.value,
            retry_unjudged=retry_unjudged,
            rejudge=rejudge,
            texts=not no_texts,
            whole=limit is None,
        ),
    )
    raise typer.Exit(run_plan(plan))


def _band(text: str) -> tuple[float, float]:
    low, high = o.number_pair(text, "--band")
    if not low <= high <= 1:
        raise InputError(f"{text!r} is no range of P", file="--band", mend="write it as in 0.2,0.8")
    return low, high
