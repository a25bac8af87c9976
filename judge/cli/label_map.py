"""`--map-label OLD=NEW`: what another tool's labels mean."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated

import typer

from judge.errors import InputError

MapLabel = Annotated[
    list[str] | None,
    typer.Option(
        "--map-label", metavar="OLD=NEW", help="What a label means: 1_full=1; repeatable."
    ),
]


def label_map(pairs: Sequence[str] | None, meanings: Collection[str]) -> dict[str, str]:
    """The meanings of labels, as repeated flags give them.

    Args:
        pairs: `OLD=NEW`; the last `=` divides.
        meanings: what NEW may be.

    Raises:
        InputError: one isn't such a pair, or gives a label two meanings.
    """
    found: dict[str, str] = {}
    for pair in pairs or ():
        old, divided, new = (part.strip() for part in pair.rpartition("="))
        if not divided or new not in meanings:
            mend = f"write OLD=NEW, with NEW one of {', '.join(meanings)}"
            raise InputError(f"{pair!r} maps no label", file="--map-label", mend=mend)
        if found.setdefault(old, new) != new:
            raise InputError(f"{old!r} has two meanings", file="--map-label", mend="keep one")
    return found
