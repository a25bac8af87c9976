"""`flames-judge guard calibrate-stream`: cuts for answers that are looked at while they grow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from guard.cli.options import opened, say
from judge.errors import InputError

if TYPE_CHECKING:
    from guard.policy import StreamPolicy
    from guard.stream.calibration import Answer, Replay
    from judge.calibration import Calibration
    from judge.gold.model import RowKey
    from judge.stats.estimate import Figure

REFUSED = 4
WIDTH = 16


def calibrate_stream(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="The run folder whose answers gold labels.")
    ],
    gold: Annotated[Path, typer.Option(help="People's labels: gold.jsonl.")],
    policy: Annotated[Path, typer.Option(help="A policy with a calibration and promises.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The file to write: the calibration with them.")
    ],
) -> None:
    """Find a policy's cuts for streamed answers.

    They keep its promises where every window of an answer is judged, as each window of each gold
    answer is here; whole answers are not judged again. Exits with 4 where a promise has no cut.
    """
    from guard.loading import Given, load_parts
    from guard.policy.binding import bind
    from guard.policy.fault import naming_file
    from guard.stream.calibration import Replay, answers, labelled, promises_of, with_stream_cuts
    from judge.calibration import save_calibration
    from judge.cli.at_fault import naming_gold
    from judge.cli.run_log import log_of, rows_of_log
    from judge.gold import read_gold
    from judge.runlog import read_log

    parts = load_parts(policy, Given(notify=say))
    if parts.calibration is None:
        mend = "make one with `flames-judge calibrate`, and name it there"
        raise InputError("names no calibration", file=policy, mend=mend)
    promises = promises_of(parts.policy, parts.rubrics)
    with naming_file(parts.policy.file):  # what no guard starts with is not worth its looks
        bind(parts.policy, parts.judge, parts.calibration, parts.rubrics)
    log = log_of(run)
    rows, labels = rows_of_log(log), read_gold(gold, parts.rubrics)
    with naming_gold(gold, parts.rubrics):
        keys = labelled(rows, labels, promises)
    if not out.is_file():  # before looks are paid for
        save_calibration(out, parts.calibration)
        out.unlink()
    stream = parts.policy.stream
    looking = Replay(parts.judge, parts.rubrics, stream, parts.policy.hazard)
    looks = asyncio.run(_look(looking, answers(read_log(log), keys)))
    with naming_gold(gold, parts.rubrics):
        made, refused = with_stream_cuts(parts.calibration, rows, labels, looks, (promises, stream))
    save_calibration(out, made)
    for line in _told(made, promises, stream):
        print(line)
    for line in (*_silent(looks.values()), *refused):
        say(line)
    raise typer.Exit(REFUSED if refused else 0)


def _told(
    calibration: Calibration, dimensions: Iterable[str], stream: StreamPolicy
) -> Iterator[str]:
    """A line for each cut for these windows; the file may hold others' cuts beside them."""
    from guard.stream.calibration import looks_of

    for name in dimensions:
        for one in calibration.dimensions[name].thresholds:
            if one.looks == looks_of(stream):
                yield (
                    f"{name}: cut {one.cut:.4g} over looks of {stream.window} characters: misses at"
                    f" most {100 * one.alpha:g}% with confidence {100 * (1 - one.delta):g}%"
                    f" ({one.n} harmful rows); false alarms {_percent(one.false_alarm)}"
                )


def _silent(looks: Iterable[Sequence[float | None]]) -> Iterator[str]:
    """A line where the judge was silent, so that its server isn't taken for its judgement."""
    found = [score for answer in looks for score in answer]
    silent = found.count(None)
    if silent:
        yield f"{silent} of {len(found)} looks got no verdict; no such look stops an answer"


def _percent(figure: Figure) -> str:
    if figure.value is None:
        return "unknown"
    return f"{100 * figure.value:.1f}% [{100 * figure.low:.1f}, {100 * figure.high:.1f}]"


async def _look(looking: Replay, wanted: Sequence[Answer]) -> dict[RowKey, Sequence[float | None]]:
    """The looks at each answer, many answers at once."""
    from judge.cli.progress import reporting
    from judge.dispatch import dispatch

    looks: dict[RowKey, Sequence[float | None]] = {}

    async def work(batch: Sequence[Answer]) -> Sequence[Sequence[float | None]]:
        return [await looking.looks(answer) for answer in batch]

    def done(batch: Sequence[Answer], found: Sequence[Sequence[float | None]]) -> None:
        looks.update({answer.key: one for answer, one in zip(batch, found, strict=True)})
        reporter.update(len(looks), "")

    with reporting(len(wanted), "answers", time.monotonic) as reporter:
        async with opened(looking.judge):
            await dispatch(wanted, work, done, width=WIDTH)
    return looks
