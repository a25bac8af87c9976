"""Judging the parts of a stress test, each into a run folder of its own, and reading them back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

from judge.llm.bill import Bill
from judge.protocols import Judge
from judge.run_folder import LOG, RunFolder
from judge.runlog import Entry, content_sha256, read_log, row_key
from judge.scoring import Progress, ScoreOptions, Scoring
from judge.stress.model import Spent
from judge.stress.outcomes import Result, Said
from judge.stress.plan import Part, key_of
from judge.verdict import Case, Usage


class Job(NamedTuple):
    """A part and who judges it."""

    part: Part
    judge: Judge


@dataclass(frozen=True)
class Course:
    """How the jobs are done.

    Args:
        folder: holds a run folder for each change, under its name.
        options: of the scoring.
        now: the time, for the logs.
        observe: called with the rows that are through, and the progress of the part at work.
    """

    folder: Path
    options: ScoreOptions
    now: Callable[[], datetime]
    observe: Callable[[int, Progress], None] = lambda _, __: None


async def judge_jobs(jobs: Sequence[Job], course: Course) -> bool:
    """Judge what is not judged yet, one part after the other; all folders are held meanwhile.

    Returns:
        False when the budget stopped the test.

    Raises:
        JudgeUnavailable: no row can be judged as things stand.
        InputError: a log can't be written, is held, or has another judge's rows.
    """
    through = 0
    with ExitStack() as held:
        runs = [
            held.enter_context(RunFolder.hold(course.folder / job.part.change.name)) for job in jobs
        ]
        for job, run in zip(jobs, runs, strict=True):
            observe = partial(_observed, course, through)
            rubrics, options = job.part.rubrics, course.options
            scoring = Scoring(job.judge, rubrics, run, options, now=course.now, observe=observe)
            if not await scoring.score(job.part.records):
                return False
            through += scoring.progress.done
    return True


def _observed(course: Course, before: int, progress: Progress) -> None:
    course.observe(before + progress.done, progress)


def result_of(job: Job, folder: Path) -> Result:
    """What the log of a part says of its rows, by this judge, about these very texts.

    Raises:
        InputError: the log can't be read.
    """
    cases = {_key(case): case for case in job.part.cases}
    said: dict[int, Said] = {}
    for entry in _entries(folder, job.part.change.name):
        said.pop(entry.key, None)
        case = cases.get(entry.key)
        if case is not None and _about(entry, case, job.judge):
            said[entry.key] = Said.of(entry)
    by_row = {key_of(cases[key].record): told for key, told in said.items()}
    return Result(job.part.change, by_row, job.part.unchanged)


def _key(case: Case) -> int:
    return row_key(case.record.model, case.record.id, case.rubric.dimension)


def _about(entry: Entry, case: Case, judge: Judge) -> bool:
    signers = {ref.fingerprint for ref in judge.signers(case.rubric)}
    return (
        entry.type in {"verdict", "failure"}
        and entry.judge is not None
        and entry.judge.fingerprint in signers
        and entry.content_sha256 == content_sha256(case.record, case.response)
    )


def _entries(folder: Path, name: str) -> Iterable[Entry]:
    log = folder / name / LOG
    return read_log(log) if log.is_file() else ()


def spent_in(folder: Path, names: Iterable[str]) -> Spent:
    """What the logs of these changes cost, superseded lines too."""
    bill = Bill()
    for name in names:
        for entry in _entries(folder, name):
            bill.add(entry.usage or Usage(), entry.cost_usd)
    return Spent(usd=bill.cost_usd, prompt_tokens=bill.prompt, completion_tokens=bill.completion)
