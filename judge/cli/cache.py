"""`flames-judge cache`: the answers that were paid for, kept across runs."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from judge.cli.options import CacheDir
from judge.errors import InputError

if TYPE_CHECKING:
    import diskcache

app = typer.Typer(no_args_is_help=True, help="The cache of paid-for answers.")


@app.command("info")
def info(
    cache_dir: CacheDir = None, json: Annotated[bool, typer.Option(help="Print JSON.")] = False
) -> None:
    """Where the cache is, how many answers it holds, and its size."""
    folder, cache = _open(cache_dir)
    with cache:
        facts = {"folder": str(folder), "answers": len(cache), "bytes": cache.volume()}
    if json:
        print(json_module.dumps(facts))
    else:
        print(f"{facts['folder']}: {facts['answers']:,} answers, {cache_size(int(facts['bytes']))}")


@app.command("clear")
def clear(
    cache_dir: CacheDir = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Delete every kept answer.

    Judging the same rows again then costs again.
    """
    folder, cache = _open(cache_dir)
    with cache:
        if not yes and not _confirmed(f"Delete {len(cache):,} answers in {folder}?"):
            raise InputError("nothing was deleted", mend="answer y, or give --yes")
        print(f"{folder}: deleted {cache.clear():,} answers")


def _confirmed(question: str) -> bool:
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:  # nobody is there to answer
        return False


def cache_size(size: int) -> str:
    """Bytes for people: 1.5 MB."""
    amount = float(size)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def _open(cache_dir: Path | None) -> tuple[Path, diskcache.Cache]:
    from judge.store import default_folder, open_cache

    folder = cache_dir or default_folder()
    return folder, open_cache(folder)
