"""What `flames-judge score` does, step by step, once its flags are read."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from rich.console import Console

from judge.backends import load_judge
from judge.cli.announce import announce, line_count
from judge.cli.asked import context_of, open_context
from judge.cli.corrected import Wanted, check_judge, corrected_report
from judge.cli.interrupt import interruptible
from judge.cli.progress import Reporter, reporting
from judge.cli.score_plan import Input, Output, ScorePlan
from judge.cli.status import left_unjudged
from judge.errors import InputError
from judge.protocols import Judge
from judge.readers import ReadOptions, load_category_map, read_records
from judge.readers.source import standard_input
from judge.records import BadRow, Record
from judge.render import show
from judge.report.from_log import flames_prompts, run_report
from judge.report.model import Report, RunFacts
from judge.rubric import Rubrics, load_rubrics
from judge.run_folder import BAD_ROWS, RunFolder
from judge.scoring import Progress, Scoring
from judge.text import visible

Rows = Callable[[], Iterator[Record | BadRow]]


def run_plan(plan: ScorePlan) -> int:
    """Score as planned; gives the exit status.

    Raises:
        FlamesJudgeError: nothing, or nothing more, can be judged.
    """
    with contextlib.ExitStack() as stack:
        rubrics = load_rubrics(plan.input.rubrics)
        rows = _reader(plan.input, rubrics, stack)
        rows()  # every file is opened: a missing one ends the run before anything is written
        folder = _folder(plan)
        # A wrong name or a missing key ends the run here, before anything is said or made.
        if plan.asking.models and not plan.output.dry_run:
            load_judge(plan.asking.spec, context_of(plan.asking), plan.asking.fallbacks)
        total = announce(plan.asking, rubrics, rows()) if plan.counts else line_count(plan.input)
        if plan.output.dry_run:
            return 0
        reporter = stack.enter_context(reporting(total, "rows", time.monotonic))
        run = stack.enter_context(RunFolder.hold(folder))
        if run.mended:
            reporter.say(f"{run.log}: its torn last line was cut off; that row is judged again")
        progress, facts = asyncio.run(_judge(plan, rubrics, rows(), run, reporter))
        report = run_report(run.entries(), rubrics, facts)
        if plan.output.calibration is not None:
            report = corrected_report(report, run.log, rubrics, Wanted(plan.output.calibration))
        run.write_summary(report.to_json())
    _print(report, plan.output, folder, progress)
    return _status(report, progress)


def _reader(given: Input, rubrics: Rubrics, stack: contextlib.ExitStack) -> Rows:
    """Opens the input afresh at each call; standard input is set aside first, so that it can be."""
    categories = None if given.map is None else load_category_map(given.map, rubrics)
    stdin = None
    if "-" in given.files:
        stdin = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
        shutil.copyfileobj(standard_input(), stdin)
    for file in map(Path, given.files):
        with contextlib.suppress(OSError):  # said when it is opened
            if file.is_fifo():
                mend = "read it as standard input: give - and --out DIR"
                raise InputError("is a pipe, which can't be read again", file=file, mend=mend)

    def rows() -> Iterator[Record | BadRow]:
        if stdin is not None:
            stdin.seek(0)
        options = ReadOptions(
            rubrics=rubrics, dimension=given.dimension, categories=categories, stdin=stdin
        )
        return islice(read_records(given.files, options), given.limit)

    return rows


def _folder(plan: ScorePlan) -> Path:
    if plan.output.out is not None:
        return plan.output.out
    files = plan.input.files
    if len(files) != 1 or files[0] == "-":
        raise InputError("several inputs, or standard input, need a folder", mend="give --out DIR")
    file = Path(files[0])
    return file.with_name(Path(file.name.removesuffix(".gz")).stem + ".flames")


async def _judge(
    plan: ScorePlan,
    rubrics: Rubrics,
    rows: Iterator[Record | BadRow],
    run: RunFolder,
    reporter: Reporter,
) -> tuple[Progress, RunFacts]:
    """Score until done or stopped by the budget; an interrupt leaves a resumable folder."""
    async with contextlib.AsyncExitStack() as stack:
        context, spent = open_context(plan.asking, stack, reporter)
        judge = load_judge(plan.asking.spec, context, plan.asking.fallbacks)
        stack.push_async_callback(judge.aclose)
        if plan.output.calibration is not None:
            check_judge(plan.output.calibration, judge, rubrics)

        def observe(progress: Progress) -> None:
            reporter.update(progress.done, progress_note(progress, spent()))

        options = replace(
            plan.options, width=plan.asking.provider.width if plan.asking.models else 1
        )
        now = lambda: datetime.now(UTC)  # noqa: E731 - the clock
        scoring = Scoring(judge, rubrics, run, options, now=now, observe=observe)
        with interruptible(reporter, run.folder):
            await scoring.score(rows)
        return scoring.progress, _facts(plan, rubrics, judge, scoring.progress)


def progress_note(progress: Progress, usd: float) -> str:
    """What a run has cost and lost so far, for people."""
    told = [f"{usd:.4f} USD"] if usd else []
    told += [f"{kind.value} {count:,}" for kind, count in progress.failures.most_common(3)]
    return ", ".join(told)


def _facts(plan: ScorePlan, rubrics: Rubrics, judge: Judge, progress: Progress) -> RunFacts:
    return RunFacts(
        judge=judge.name,
        fingerprints={name: judge.ref(rubric).fingerprint for name, rubric in rubrics.items()},
        trust=judge.trust(),
        embedded=not plan.asking.models,
        flames_prompts=flames_prompts(),
        confidence=plan.output.confidence,
        max_unjudged=plan.output.max_unjudged,
        bad_rows=progress.bad,
    )


def _print(report: Report, output: Output, folder: Path, progress: Progress) -> None:
    if output.json:
        sys.stdout.write(report.to_json())
    else:
        show(report, Console(highlight=False))
    for line in _remarks(folder, progress):
        print(f"flames-judge: {visible(line)}", file=sys.stderr)


def _remarks(folder: Path, progress: Progress) -> Iterator[str]:
    if progress.skipped:
        yield f"{progress.skipped:,} rows were done already in {folder}"
    if progress.filtered:
        yield f"{progress.filtered:,} rows hold no answer: the tested provider's filter stopped it"
    if progress.changed:
        yield f"{progress.changed:,} rows had other texts in {folder}: judged again"
    if progress.withdrawn:
        yield f"{progress.withdrawn:,} rows of {folder} are no longer in the input: withdrawn"
    for row in progress.first_bad:
        yield f"{row.source}: {row.reason} ({row.mend})"
    if progress.bad:
        bad = "1 row" if progress.bad == 1 else f"{progress.bad:,} rows"
        yield f"{bad} can't be read: all are listed in {folder / BAD_ROWS}"
    if not progress.finished:
        yield "stopped by the budget: the same command with a larger --budget goes on from here"


def _status(report: Report, progress: Progress) -> int:
    """3 when rows are unreadable, unjudged for another reason than abstaining, or not reached."""
    return 3 if progress.bad or not progress.finished or left_unjudged(report) else 0
