"""What `flames-judge stress` does, step by step, once its flags are read."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from rich.console import Console

from judge.backends import JudgeContext, load_judge
from judge.cli.announce import announce
from judge.cli.asked import open_context
from judge.cli.interrupt import interruptible
from judge.cli.progress import Reporter, reporting
from judge.cli.scored_run import progress_note
from judge.cli.stress_setting import Setting, StressPlan, setting_of, unread
from judge.journal import replace_file
from judge.protocols import Judge
from judge.render_stress import show_stress
from judge.scoring import ScoreOptions
from judge.stress.canaries import shipped_canaries
from judge.stress.changes import wording
from judge.stress.figures import Judged
from judge.stress.findings import counted, kinship_line
from judge.stress.judging import Course, Job, judge_jobs, result_of, spent_in
from judge.stress.model import JudgeLine, LeftOut, StressReport
from judge.stress.outcomes import Result
from judge.stress.plan import key_of
from judge.stress.report import Facts, build
from judge.text import key64, visible

SUMMARY = "stress.json"
ABSTAINED = "abstained"


def run_stress(plan: StressPlan) -> int:
    """Test as planned; gives the exit status.

    Raises:
        FlamesJudgeError: nothing, or nothing more, can be judged.
    """
    setting = setting_of(plan)
    for kin in setting.kin:
        print(f"flames-judge: {visible(kinship_line(kin))}", file=sys.stderr)
    total = sum(len(part.cases) for part in setting.parts)
    _announce(setting, plan.dry_run)
    if plan.dry_run:
        return 0
    with reporting(total, "rows", time.monotonic) as reporter:
        report, unjudged = asyncio.run(_judge(plan, setting, reporter))
    replace_file(setting.folder / SUMMARY, report.to_json())
    if plan.json:
        sys.stdout.write(report.to_json())
    else:
        show_stress(report, Console(highlight=False))
    return _status(plan, report, unjudged)


def _status(plan: StressPlan, report: StressReport, unjudged: bool) -> int:
    if not report.finished:
        return 3
    if plan.check and report.passed is not True:
        return 4
    return 3 if unjudged else 0


def _announce(setting: Setting, dry_run: bool) -> None:
    rows = [record for part in setting.parts for record in part.records]
    canaries = len(setting.parts[0].cases) - len(setting.sample)
    told = (
        f"{setting.drawn.n:,} of the run's {setting.drawn.frame_n:,} rows and {canaries} canaries,"
        f" judged twice as they are and under {counted(len(setting.parts) - 2, 'change')}"
    )
    print(f"flames-judge: {told}", file=sys.stderr)
    if setting.asking.models or dry_run:
        announce(setting.asking, setting.rubrics, rows)


async def _judge(
    plan: StressPlan, setting: Setting, reporter: Reporter
) -> tuple[StressReport, bool]:
    """Judge until done or stopped by the budget; an interrupt leaves a resumable folder."""
    async with contextlib.AsyncExitStack() as stack:
        context, spent = open_context(setting.asking, stack, reporter)
        jobs, left_out = _jobs(setting, context, stack)
        course = Course(
            setting.folder,
            _options(plan, setting),
            now=lambda: datetime.now(UTC),
            observe=lambda done, p: reporter.update(done, progress_note(p, spent())),
        )
        with interruptible(reporter, setting.folder):
            finished = await judge_jobs(jobs, course)
    results = [result_of(job, setting.folder) for job in jobs]
    facts = _facts(setting, jobs, left_out, finished=finished)
    report = build(_judged(setting, results, plan.confidence), results[2:], facts)
    return report, _any_lost(results)


def _options(plan: StressPlan, setting: Setting) -> ScoreOptions:
    return ScoreOptions(
        hazard=setting.sample[0].hazard,
        thinking="judge",  # what was not judged is gone already
        retry_unjudged=plan.retry_unjudged,
        rejudge=plan.rejudge,
        texts=plan.texts,
        whole=plan.rejudge,  # else another draw's rows stay: they were paid for, and aren't counted
        width=setting.asking.provider.width if setting.asking.models else 1,
    )


def _jobs(
    setting: Setting, context: JudgeContext, stack: contextlib.AsyncExitStack
) -> tuple[list[Job], list[LeftOut]]:
    """A judge for each part: base and repeat past the cache, other wordings in their own frame."""
    asking = setting.asking

    def built(changed: JudgeContext) -> Judge:
        judge = load_judge(asking.spec, changed, asking.fallbacks)
        stack.push_async_callback(judge.aclose)
        return judge

    fresh, kept = built(replace(context, store=None)), built(context)
    jobs: list[Job] = []
    left_out = list(setting.left_out)
    for part in setting.parts:
        name = part.change.wording
        if name is None:
            jobs.append(Job(part, fresh if part.change.family == "repeat" else kept))
            continue
        framed = context.options.model_copy(update={"frame": wording(name)})
        judge = built(replace(context, options=framed))
        if all(judge.ref(rubric) == fresh.ref(rubric) for rubric in part.rubrics.values()):
            left_out.append(unread(part.change))
        else:
            jobs.append(Job(part, judge))
    return jobs, left_out


def _judged(setting: Setting, results: Sequence[Result], confidence: float) -> Judged:
    sample = [key_of(case.record) for case in setting.sample]
    everything = [*setting.parts[0].cases]
    harmful = {canary.id for canary in shipped_canaries() if not canary.harmless}
    canaries = everything[len(sample) :]
    return Judged(
        sample=sample,
        canaries=[key_of(c.record) for c in canaries if c.record.id in harmful],
        clusters={key_of(c.record): key64(c.record.cluster) for c in everything},
        base=results[0],
        repeat=results[1],
        confidence=confidence,
    )


def _facts(
    setting: Setting, jobs: Sequence[Job], left_out: Sequence[LeftOut], *, finished: bool
) -> Facts:
    judge, cases = jobs[0].judge, setting.parts[0].cases[len(setting.sample) :]
    known = {canary.id: canary for canary in shipped_canaries()}
    used = setting.parts[0].rubrics
    return Facts(
        judge=JudgeLine(
            name=judge.name,
            fingerprints={name: judge.ref(rubric).fingerprint for name, rubric in used.items()},
        ),
        sample=setting.drawn,
        canaries=[(key_of(case.record), known[case.record.id]) for case in cases],
        same_family=setting.kin,
        left_out=tuple(left_out),
        cost=spent_in(setting.folder, (job.part.change.name for job in jobs)),
        finished=finished,
    )


def _any_lost(results: Sequence[Result]) -> bool:
    """Whether rows are unjudged for another reason than that the judge abstained."""
    kinds = {said.failure for result in results for said in result.said.values()}
    return bool(kinds - {None, ABSTAINED})
