"""`flames-judge respond`: ask a model under test the benchmark's prompts."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from judge.cli import options as o

if TYPE_CHECKING:
    from judge.llm.config import ModelConfig
    from judge.records import BadRow, PromptRow
    from judge.respond import RespondProgress


def respond(
    model: Annotated[
        str, typer.Option(metavar="NAME", help="The model under test: " + o.MODEL_HELP + ".")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The file of answers; it grows, and resumes.")
    ],
    prompts: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE", help="Own prompts (JSONL, CSV, Parquet); the 1,000 of Flames without."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="The model's name in the file.")] = None,
    system: Annotated[str | None, typer.Option(help="The model's system prompt.")] = None,
    system_file: Annotated[Path | None, typer.Option(help="A file that holds it.")] = None,
    per_subcomponent: Annotated[
        int | None, typer.Option(min=1, help="Only the first prompts of each subcomponent.")
    ] = None,
    api_base: o.ApiBase = None,
    api_key_env: o.ApiKeyEnv = None,
    temperature: Annotated[
        float | None,
        typer.Option(min=0, max=2, callback=o.finite, help="The provider's own without it."),
    ] = None,
    top_p: Annotated[
        float | None, typer.Option(min=0.001, max=1, callback=o.finite, help="Nucleus sampling.")
    ] = None,
    max_tokens: o.MaxTokens = 1024,
    seed: o.Seed = None,
    reasoning_effort: o.ReasoningEffort = None,
    concurrency: o.Concurrency = None,
    rpm: o.Rpm = None,
    tpm: o.Tpm = None,
    retries: o.Retries = 5,
    timeout: o.Timeout = 120.0,
    budget: o.Budget = None,
    price: o.Price = None,
    rubrics: o.RubricsOption = None,
    limit: o.Limit = None,
) -> None:
    """Ask a model the prompts, and write its answers.

    They are written in the form that `score` reads.
    """
    from judge.readers import ReadOptions, read_prompts
    from judge.rubric import load_rubrics

    provider = o.Provider(
        api_base, api_key_env, timeout, retries, concurrency, rpm, tpm, budget, price
    )
    sampling: dict[str, float | str | None] = {"temperature": temperature, "top_p": top_p}
    sampling |= {"max_tokens": max_tokens}
    sampling |= {"seed": seed, "reasoning_effort": reasoning_effort}
    read = ReadOptions(rubrics=load_rubrics(rubrics))
    rows = list(islice(_first(read_prompts(prompts or (), read), per_subcomponent), limit))
    told = _system(system, system_file)
    config = provider.model(model, **sampling)
    progress = asyncio.run(_ask(rows, config, provider, out, told, name or model))
    _print(progress, out)
    if progress.failures or progress.bad or not progress.finished:
        raise typer.Exit(3)


def _system(text: str | None, file: Path | None) -> str | None:
    from judge.errors import InputError

    if file is None:
        return text
    if text is not None:
        raise InputError("--system and --system-file say the same twice", mend="give one of them")
    try:
        return file.read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError):
        raise InputError("can't be read as UTF-8 text", file=file) from None


def _first(rows: Iterator[PromptRow | BadRow], most: int | None) -> Iterator[PromptRow | BadRow]:
    """The first `most` prompts of each subcomponent, in their order; all without `most`."""
    from judge.records import BadRow

    taken: dict[tuple[str | None, str | None], int] = {}
    for row in rows:
        if most is None or isinstance(row, BadRow):
            yield row
            continue
        part = (row.dimension, row.subcomponent)
        taken[part] = taken.get(part, 0) + 1
        if taken[part] <= most:
            yield row


async def _ask(
    rows: list[PromptRow | BadRow],
    config: ModelConfig,
    provider: o.Provider,
    out: Path,
    system: str | None,
    name: str,
) -> RespondProgress:
    from judge.cli.interrupt import interruptible
    from judge.cli.progress import reporting
    from judge.journal import Journal
    from judge.llm.client import ChatClient
    from judge.llm.library import close_clients
    from judge.respond import Responding, check_answers

    with contextlib.ExitStack() as stack:
        reporter = stack.enter_context(reporting(len(rows), "prompts", time.monotonic))
        traffic = provider.traffic(reporter.say)
        client = ChatClient(config, traffic)  # a missing key is told before a file is made
        check_answers(out)
        journal = stack.enter_context(Journal.hold(out, out.with_name(f".{out.name}.lock")))
        if journal.mended:
            reporter.say(f"{out}: its torn last line was cut off; that prompt is asked again")
        responding = Responding(
            client,
            journal,
            system=system,
            name=name,
            now=lambda: datetime.now(UTC),
            observe=lambda p: reporter.update(p.done, _note(p, traffic.spend.usd)),
        )
        try:
            with interruptible(reporter, out):
                await responding.respond(iter(rows), width=provider.width)
        finally:
            await close_clients()
        return responding.progress


def _note(progress: RespondProgress, usd: float) -> str:
    told = [f"{usd:.4f} USD"] if usd else []
    told += [f"filtered {progress.filtered:,}"] if progress.filtered else []
    told += [f"{kind.value} {count:,}" for kind, count in progress.failures.most_common(3)]
    return ", ".join(told)


def _print(progress: RespondProgress, out: Path) -> None:
    from judge.text import visible

    answers = "1 answer" if progress.answered == 1 else f"{progress.answered:,} answers"
    print(f"{visible(str(out))}: {answers} written")
    lines = [f"{progress.skipped:,} were there already"] if progress.skipped else []
    if progress.filtered:
        lines.append(f"{progress.filtered:,} prompts were stopped by the provider's filter")
    lines += [f"{row.source}: {row.reason} ({row.mend})" for row in progress.first_bad]
    lines += [f"{count:,} failed: {kind.value}" for kind, count in progress.failures.items()]
    if progress.failures:
        lines.append("the same command asks the failed ones again")
    if not progress.finished:
        lines.append("stopped by the budget: a larger --budget goes on from here")
    for line in lines:
        print(f"flames-judge: {visible(line)}", file=sys.stderr)
