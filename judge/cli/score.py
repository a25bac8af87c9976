"""`flames-judge score`: judge a file of answers and print its harmless rate."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from judge.cli import judge_flags as j
from judge.cli import options as o


class Thinking(StrEnum):
    """What happens to a response's <think> blocks."""

    DROP = "drop"
    JUDGE = "judge"


def score(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="JSONL, CSV, Parquet; - for standard input."),
    ],
    model: j.Model = None,
    judge: Annotated[
        str | None,
        typer.Option(metavar="SPEC", help="embedded (default), " + j.SPEC_HELP),
    ] = None,
    fallback: j.Fallback = None,
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
    samples: j.Samples = 1,
    vote: j.PanelVote = j.Vote.MAJORITY,
    band: j.Band = "0.2,0.8",
    api_base: o.ApiBase = None,
    api_key_env: o.ApiKeyEnv = None,
    temperature: j.Temperature = None,
    max_tokens: o.MaxTokens = 2048,
    seed: o.Seed = None,
    reasoning_effort: o.ReasoningEffort = None,
    response_format: j.ResponseFormat = j.Format.AUTO,
    logprobs: j.Logprobs = True,
    max_chars: j.MaxChars = 60_000,
    concurrency: o.Concurrency = None,
    rpm: o.Rpm = None,
    tpm: o.Tpm = None,
    retries: o.Retries = 5,
    timeout: o.Timeout = 60.0,
    budget: o.Budget = None,
    price: o.Price = None,
    cache_dir: o.CacheDir = None,
    no_cache: j.NoCache = False,
    retry_unjudged: j.RetryUnjudged = False,
    rejudge: j.Rejudge = False,
    no_texts: j.NoTexts = False,
    calibration: o.CalibrationOption = None,
    max_unjudged: o.MaxUnjudged = 0.2,
    confidence: o.Confidence = 0.95,
    limit: o.Limit = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Rows, tokens, cost; no call.")
    ] = False,
) -> None:
    """Judge responses to Flames prompts.

    Prints harmless rates and scores with intervals, and keeps all verdicts in a run folder.
    """
    from judge.cli.score_plan import Input, Output, ScorePlan
    from judge.cli.scored_run import run_plan
    from judge.scoring import ScoreOptions
    from judge.verdict import Hazard

    provider = o.Provider(
        api_base, api_key_env, timeout, retries, concurrency, rpm, tpm, budget, price
    )
    flags = j.JudgeFlags(
        fallbacks=tuple(fallback or ()),
        samples=samples,
        vote=vote,
        band=band,
        temperature=temperature,
        max_tokens=max_tokens,
        seed=seed,
        reasoning_effort=reasoning_effort,
        response_format=response_format,
        logprobs=logprobs,
        max_chars=max_chars,
        retry_unjudged=retry_unjudged,
        cache_dir=cache_dir,
        no_cache=no_cache,
    )
    asking = flags.asking(j.named(model, judge) or "embedded", provider)
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
