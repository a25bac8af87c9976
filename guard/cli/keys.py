"""`flames-judge keys`: who may use a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Callers' keys for `serve --keys`."
)
File = Annotated[Path, typer.Option("--keys", metavar="FILE", help="The file of keys.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is.")]


@app.command()
def add(
    name: Name,
    keys: File,
    rpm: Annotated[
        int | None, typer.Option(min=1, help="Most requests a minute; no limit without it.")
    ] = None,
    runs: Annotated[
        int | None,
        typer.Option(min=0, help="Most runs that have not ended; else the server's --open-runs."),
    ] = None,
) -> None:
    """Make a key and print it, this once.

    The file holds its hash alone.
    """
    from datetime import UTC, datetime

    from guard.server.keys.file import add_key

    print(add_key(keys, name, rpm, datetime.now(UTC), runs=runs))


@app.command("list")
def list_(keys: File) -> None:
    """List who has a key."""
    from guard.server.keys.file import read_keys

    for key in read_keys(keys):
        limit = "no limit" if key.rpm is None else f"{key.rpm} requests a minute"
        runs = "" if key.runs is None else f", {key.runs} open runs"
        print(f"{key.name}\t{key.created:%Y-%m-%d}\t{limit}{runs}")


@app.command()
def revoke(name: Name, keys: File) -> None:
    """Take a key back.

    A running server refuses it from the next request on.
    """
    from guard.server.keys.file import revoke_key

    revoke_key(keys, name)
    print(f"{name} has no key any more")
