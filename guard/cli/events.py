"""`flames-judge guard drift` and `guard forget`: what is done with recorded decisions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from guard.cli import options as o
from judge.errors import InputError

if TYPE_CHECKING:
    from datetime import datetime

ALARM = 4


def drift(
    audit: o.AuditOption,
    baseline: Annotated[
        int, typer.Option(min=20, help="How many first conversations the rest is compared with.")
    ] = 300,
    alpha: Annotated[
        float, typer.Option(min=1e-9, max=0.5, help="Chance of any false alarm, over all time.")
    ] = 0.01,
    seed: Annotated[int, typer.Option(help="Breaks ties between equal scores.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Say whether traffic has drifted.

    Compares the scores of recorded decisions with those of the first conversations, under the
    newest policy and calibration. A log that loses its beginning loses them: its baseline moves.
    Exits with 4 on an alarm.
    """
    import json as encoder
    from collections import Counter
    from random import Random

    from guard.drift import DriftWatch, direction

    watches: dict[tuple[str, str | None], DriftWatch] = {}
    counts: Counter[tuple[str, str | None]] = Counter()
    since: dict[tuple[str, str | None], datetime] = {}
    newest: tuple[str, str | None] | None = None
    with o.recorded(audit) as log:
        for event in log.events():
            newest = event.policy, event.calibration
            if newest not in watches:
                watches[newest] = DriftWatch(*newest, size=baseline, alpha=alpha, rng=Random(seed))
            watches[newest](event)
            counts[newest] += 1
            since.setdefault(newest, event.at)
    watch = None if newest is None else watches[newest]
    others = counts.total() - (0 if newest is None else counts[newest])
    if newest is None or watch is None or not watch.evidence:
        have = 0 if watch is None else watch.recorded
        under = " under its newest policy" if others else ""
        raise InputError(
            f"holds {have} conversations{under}; the baseline takes {baseline}",
            file="--audit",
            mend="wait for more traffic, or give a smaller --baseline",
        )
    found = watch.evidence
    if json:
        lines = {name: one._asdict() for name, one in found.items()}
        told = {"format": 1, "baseline_since": since[newest].isoformat(), "streams": lines}
        print(encoder.dumps(told | {"other_policies": others}, indent=2))
    else:
        for name, one in found.items():
            said = (
                f"no alarm: evidence {one.value:.3g} of {one.limit:.3g}"
                if one.alarm_at is None
                else f"ALARM, {one.alarm_at} conversations after the baseline: "
                + direction(name, one)
            )
            print(f"{name}: {said}")
        begun = since[newest].isoformat(sep=" ", timespec="minutes")
        print(f"compared with the {baseline} first conversations of the log, from {begun} on")
        if others:
            print(f"{others} decisions under another policy or calibration were left out")
    raise typer.Exit(ALARM if any(one.alarm_at is not None for one in found.values()) else 0)


def forget(
    audit: Annotated[
        str | None, typer.Option("--audit", metavar="PLACE", help="A log, as serve's --audit.")
    ] = None,
    label_queue: Annotated[
        Path | None, typer.Option(metavar="DIR", help="What waits to be labelled.")
    ] = None,
    older_than: Annotated[
        float | None,
        typer.Option(min=0, max=o.MOST_DAYS, metavar="DAYS", help="Those older than so many days."),
    ] = None,
    request: Annotated[
        str | None, typer.Option(metavar="ID", help="Those of a request: x-flames-request-id.")
    ] = None,
    conversation: Annotated[
        str | None, typer.Option(metavar="HASH", help="Those of a conversation, as events name it.")
    ] = None,
) -> None:
    """Delete recorded decisions and what waits for labels.

    By age, by request, by conversation: all that any of the flags names.
    """
    from datetime import UTC, datetime, timedelta

    from guard.labelling import forget_labels

    if older_than is None and request is None and conversation is None:
        mend = "give --older-than DAYS, --request ID or --conversation HASH"
        raise InputError("nothing says what to forget", mend=mend)
    if "" in {request, conversation}:  # of a variable that isn't set; some edges name no request
        mend = "give the ID or HASH that is meant"
        raise InputError("an empty name would be that of many", mend=mend)
    if audit is None and label_queue is None:
        mend = "give --audit PLACE, --label-queue DIR, or both"
        raise InputError("nothing says where to forget", mend=mend)
    before = None if older_than is None else datetime.now(UTC) - timedelta(days=older_than)
    if audit is not None:
        with o.recorded(audit) as log:
            gone = log.forget(before=before, request_id=request, conversation=conversation)
        print(f"{gone} events deleted")
    if label_queue is not None:
        gone = forget_labels(
            label_queue, before=before, request_id=request, conversation=conversation
        )
        print(f"{gone} rows to label deleted")
