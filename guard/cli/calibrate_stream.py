"""`flames-judge guard calibrate-stream`: cuts for answers that are looked at while they grow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from guard.cli.options import opened, say
from judge.cli import judge_flags, options
from judge.errors import InputError

if TYPE_CHECKING:
    from guard.policy import Policy, StreamPolicy
    from guard.stream.calibration import Answer, Replay
    from judge.calibration import Calibration
    from judge.gold.model import RowKey
    from judge.protocols import AnswerStore
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
    cache_dir: options.CacheDir = None,
    no_cache: judge_flags.NoCache = False,
) -> None:
    """Find a policy's cuts for streamed answers.

    They keep its promises where every window of an answer is judged, as each window of each gold
    answer is here; whole answers are not judged again, nor what is in the cache. Exits with 4 where
    a promise has no cut.
    """
    from guard.loading import bound, load_policy_judge, read_plan
    from guard.stream.calibration import Replay, answers, labelled, promises_of, with_stream_cuts
    from judge.calibration import save_calibration
    from judge.cli.at_fault import naming_gold
    from judge.cli.run_log import log_of, rows_of_log
    from judge.gold import read_gold
    from judge.runlog import read_log

    plan = read_plan(policy)
    if plan.calibration is None:
        mend = "make one with `flames-judge calibrate`, and name it there"
        raise InputError("names no calibration", file=policy, mend=mend)
    promises, stream = promises_of(plan.policy, plan.rubrics), plan.policy.stream
    cache = None if no_cache else _cache(plan.policy, cache_dir)
    with _kept(cache) as store:
        judge = load_policy_judge(plan, say, store=store)
        bound(plan, judge)  # what no guard starts with is not worth its looks
        log = log_of(run)
        rows, labels = rows_of_log(log), read_gold(gold, plan.rubrics)
        with naming_gold(gold, plan.rubrics):
            keys = labelled(rows, labels, promises)
        if not out.is_file():  # before looks are paid for
            save_calibration(out, plan.calibration)
            out.unlink()
        looking = Replay(judge, plan.rubrics, stream, plan.policy.hazard)
        looks = asyncio.run(_look(looking, answers(read_log(log), keys), cache))
    with naming_gold(gold, plan.rubrics):
        made, refused = with_stream_cuts(plan.calibration, rows, labels, looks, (promises, stream))
    save_calibration(out, made)
    for line in _told(made, promises, stream):
        print(line)
    for line in (*_silent(looks.values()), *refused):
        say(line)
    raise typer.Exit(REFUSED if refused else 0)


def _cache(policy: Policy, folder: Path | None) -> Path | None:
    """Where answers are kept; None where no model is paid for them."""
    from judge.store import default_folder

    asked = policy.judge != "embedded" or policy.llm.fallback
    return (folder or default_folder()) if asked else None


@contextmanager
def _kept(cache: Path | None) -> Iterator[AnswerStore | None]:
    """What keeps answers across runs, so that one that was broken off asks for the rest alone."""
    if cache is None:
        yield None
        return
    from judge.store import DiskStore

    store = DiskStore(cache, say)
    try:
        yield store
    finally:
        store.close()


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


async def _look(
    looking: Replay, wanted: Sequence[Answer], cache: Path | None
) -> dict[RowKey, Sequence[float | None]]:
    """The looks at each answer, many answers at once."""
    from judge.cli.interrupt import interruptible
    from judge.cli.progress import reporting
    from judge.dispatch import dispatch

    looks: dict[RowKey, Sequence[float | None]] = {}

    async def work(batch: Sequence[Answer]) -> Sequence[Sequence[float | None]]:
        return [await looking.looks(answer) for answer in batch]

    def done(batch: Sequence[Answer], found: Sequence[Sequence[float | None]]) -> None:
        looks.update({answer.key: one for answer, one in zip(batch, found, strict=True)})
        reporter.update(len(looks), "")

    with reporting(len(wanted), "answers", time.monotonic) as reporter:
        kept = nullcontext() if cache is None else interruptible(reporter, cache)
        with kept:
            async with opened(looking.judge):
                await dispatch(wanted, work, done, width=WIDTH)
    return looks
