"""`flames-judge stress`: how steady a judge is, and whether answers can talk it round."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from judge.cli import judge_flags as j
from judge.cli import options as o


def stress(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN", help="The run whose rows are judged again: its folder or log."
        ),
    ],
    model: j.Model = None,
    judge: Annotated[
        str | None,
        typer.Option(metavar="SPEC", help="embedded, " + j.SPEC_HELP + " Else the run's own."),
    ] = None,
    fallback: j.Fallback = None,
    n: Annotated[int, typer.Option("-n", min=1, help="Rows, evenly over the dimensions.")] = 50,
    draw_seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    change: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Only this: invariances, attacks, canaries, or one change; repeatable.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The test's folder; RUN/stress.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print stress.json, not tables.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 4 where the judge doesn't hold.")
    ] = False,
    rubrics: o.RubricsOption = None,
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
    confidence: o.Confidence = 0.95,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Rows, tokens, cost; no call.")
    ] = False,
) -> None:
    """Judge rows again unchanged, changed and under attack.

    Prints what moves the labels.
    """
    from judge.cli.stress_run import run_stress
    from judge.cli.stress_setting import StressPlan

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
    plan = StressPlan(
        run=run,
        spec=j.named(model, judge),
        asking=lambda spec: flags.asking(spec, provider),
        n=n,
        seed=draw_seed,
        changes=tuple(change or ()),
        rubrics=rubrics,
        out=out,
        confidence=confidence,
        retry_unjudged=retry_unjudged,
        rejudge=rejudge,
        texts=not no_texts,
        json=json,
        check=check,
        dry_run=dry_run,
    )
    raise typer.Exit(run_stress(plan))
