"""`flames-judge guard exposure`: how much of streams was out before it was checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from guard.cli import options as o
from judge.errors import InputError

if TYPE_CHECKING:
    from guard.exposure import Exposure, PolicyExposure


def exposure(
    audit: o.AuditOption,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show how much of streamed answers was out unchecked.

    How many characters, by policy, which says how its streams are let through: mean, 99th
    percentile and most, over all its streamed answers and over those that it stopped.
    """
    import json as encoder

    from guard.exposure import ExposureTally

    tally = ExposureTally()
    with o.recorded(audit) as log:
        for event in log.events():
            tally.add(event)
    found = tally.result()
    if not found:
        mend = "wait for requests with `stream: true`"
        raise InputError("holds no streamed answer", file="--audit", mend=mend)
    if json:
        print(encoder.dumps({"format": 1, "policies": _as_json(found)}, indent=2))
    else:
        _show(found)


def _show(found: Mapping[str, PolicyExposure]) -> None:
    from rich.console import Console

    from judge.render_table import print_table

    rows = []
    for policy, one in found.items():
        rows.append((policy, "all", *_numbers(one.all)))
        if one.stopped is not None:
            rows.append((policy, "stopped", *_numbers(one.stopped)))
    headings = ("Policy", "answers", "streams", "mean", "p99", "max")
    print_table(Console(highlight=False), headings, rows, left=2)


def _numbers(one: Exposure) -> tuple[str, ...]:
    return (str(one.streams), f"{one.mean:.1f}", str(one.p99), str(one.most))


def _as_json(found: Mapping[str, PolicyExposure]) -> dict[str, dict[str, object]]:
    def numbers(one: Exposure | None) -> dict[str, float] | None:
        if one is None:
            return None
        return {"streams": one.streams, "mean": one.mean, "p99": one.p99, "max": one.most}

    return {
        policy: {"all": numbers(one.all), "stopped": numbers(one.stopped)}
        for policy, one in found.items()
    }
