"""`flames-judge guard replay`: what a policy would have stopped in recorded traffic."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from guard.cli import options as o
from judge.cli import options as shared
from judge.errors import InputError

if TYPE_CHECKING:
    from guard.engine import Guard
    from guard.replay.tally import Difference, Replay, Replayed
    from judge.cli.progress import Reporter
    from judge.records import BadRow, Record

INCOMPLETE = 3
WIDTH = 16
SHOWN = 5


def replay(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE", help="Prompts with responses, or messages; - is standard input."
        ),
    ] = None,
    policy: o.PolicyOption = None,
    against: Annotated[
        Path | None, typer.Option(help="A second policy: show where the two differ.")
    ] = None,
    audit: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE", help="In place of files: a log that `serve --record-texts` wrote."
        ),
    ] = None,
    limit: shared.Limit = None,
    confidence: shared.Confidence = 0.95,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Show what a policy would stop in recorded traffic.

    Reads what `score` reads: JSONL, CSV, Parquet; or a log of decisions with their texts. With a
    calibration it also estimates how often the policy is wrong. Exits with 3 where rows can't be
    read, or a check could not be made.
    """
    import sys
    import time

    from rich.console import Console

    from guard.replay.render import replay_json, show_replay
    from guard.replay.tally import DifferenceTally, ReplayTally
    from judge.cli.progress import reporting

    if bool(files) == bool(audit):
        raise InputError("nothing to replay, or two things", mend="give files, or --audit PLACE")
    guards = [o.guard_of(policy)]
    if against is not None:
        guards.append(o.guard_of(against))
    bad = list[str]()
    tallies, difference = [ReplayTally(guard) for guard in guards], DifferenceTally()

    def add(found: Sequence[Replayed]) -> None:
        for tally, one in zip(tallies, found, strict=True):
            tally.add(one)
        if len(found) == 2:
            difference.add(*found)

    with (
        _rows(files or [], audit, limit, bad) as rows,
        reporting(None, "exchanges", time.monotonic) as reporter,
    ):
        asyncio.run(_replay(guards, _good(rows, bad, reporter), add, reporter))
    if not tallies[0].n:
        mend = "" if audit is None else "texts are recorded with `serve --record-texts`"
        place = "--audit" if audit is not None else ", ".join(files or ())
        raise InputError("holds no exchange that can be read", file=place, mend=mend)
    replays: list[Replay] = [tally.result(confidence) for tally in tallies]
    parted: Difference | None = difference.result() if against is not None else None
    if json:
        sys.stdout.write(replay_json(replays, parted, len(bad)))
    else:
        names = [str(policy or "shipped policy"), str(against)]
        console = Console(highlight=False)
        show_replay(list(zip(names, replays, strict=False)), parted, len(bad), console)
    if bad or any(one.unchecked for one in replays):
        raise typer.Exit(INCOMPLETE)


class _AnyName(dict[str, str]):
    """One dimension for every name that no rubric of ours has."""

    def __init__(self, dimension: str) -> None:
        super().__init__()
        self._dimension = dimension

    def get(self, _: str, default: object = None) -> str:  # noqa: ARG002
        return self._dimension


@contextmanager
def _rows(
    files: Sequence[str], audit: str | None, limit: int | None, bad: list[str]
) -> Iterator[Iterator[Record | BadRow]]:
    from itertools import islice

    if audit is not None:
        from guard.replay.recorded import exchanges

        with o.recorded(audit) as log:
            yield islice(exchanges(log.events()), limit)
            bad += ["--audit"] * log.unread
        return
    from judge.readers import ReadOptions, read_records
    from judge.rubric import load_rubrics

    rubrics = load_rubrics()
    # The policy's rules say what is judged: traffic names no dimension, or one of no matter.
    some = next(iter(rubrics))
    options = ReadOptions(rubrics=rubrics, dimension=some, categories=_AnyName(some))
    yield islice(read_records(files, options), limit)


def _good(rows: Iterator[Record | BadRow], bad: list[str], reporter: Reporter) -> Iterator[Record]:
    from judge.records import BadRow

    for row in rows:
        if not isinstance(row, BadRow):
            yield row
            continue
        bad.append(row.source)
        if len(bad) <= SHOWN:
            reporter.say(f"{row.source}: {row.reason} ({row.mend})")
        elif len(bad) == SHOWN + 1:
            reporter.say("further rows that can't be read are counted alone")


async def _replay(
    guards: Sequence[Guard],
    rows: Iterator[Record],
    add: Callable[[Sequence[Replayed]], None],
    reporter: Reporter,
) -> None:
    """Each exchange through each guard."""
    from guard.replay.recorded import replayed
    from judge.dispatch import dispatch, together

    done = 0

    async def work(batch: Sequence[Record]) -> Sequence[Sequence[Replayed]]:
        return [await together(replayed(guard, batch[0]) for guard in guards)]

    def finished(_: Sequence[Record], found: Sequence[Sequence[Replayed]]) -> None:
        nonlocal done
        for one in found:
            add(one)
            done += 1
        reporter.update(done, "")

    async with o.opened(*guards):
        await dispatch(rows, work, finished, width=WIDTH)
