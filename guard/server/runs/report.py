"""A run's summary, and the report as people read it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

from guard.server.state import State
from judge.errors import InputError
from judge.judged import judged_rows
from judge.report.from_log import flames_prompts, run_report
from judge.report.model import Report, RunFacts
from judge.run_folder import RunFolder

WIDTH: Final = 120
CONFIDENCE: Final = 0.95
MAX_UNJUDGED: Final = 0.2  # both as `score` has them where nothing else is said


def write_report(
    state: State, run: RunFolder, bad_rows: int, warnings: tuple[str, ...] = ()
) -> None:
    """Write `summary.json` of all that the log holds.

    Args:
        state: whose judge, rubrics and calibration they are.
        run: the run, held.
        bad_rows: of its file.
        warnings: to show beside the figures.

    Raises:
        InputError: it can't be written, or the log can't be read.
    """
    judge, rubrics = state.bench.judge, state.rubrics
    ours = {name: judge.ref(rubric) for name, rubric in rubrics.items()}
    refs = ours | {one.dimension: one.judge for one in run.entries() if one.judge is not None}
    named = next((ref.name for name, ref in refs.items() if ref != ours.get(name)), judge.name)
    facts = RunFacts(
        judge=named,  # an earlier server's judge, where the run was left to a server with another
        fingerprints={name: ref.fingerprint for name, ref in refs.items()},
        trust=judge.trust() if refs == ours else None,
        embedded=named == "embedded",
        flames_prompts=flames_prompts(),
        confidence=CONFIDENCE,
        max_unjudged=MAX_UNJUDGED,
        bad_rows=bad_rows,
        warnings=warnings,
    )
    report = run_report(run.entries(), rubrics, facts)
    run.write_summary(_corrected(state, report, run).to_json())


def report_text(summary: Path) -> str:
    """A summary as a terminal shows it, without colours.

    Raises:
        OSError: there is none.
    """
    from rich.console import Console

    from judge.render import show

    out = io.StringIO()
    console = Console(file=out, width=WIDTH, highlight=False, color_system=None)
    show(Report.model_validate_json(summary.read_bytes()), console)
    return out.getvalue()


def _corrected(state: State, report: Report, run: RunFolder) -> Report:
    """With the calibration's corrected figures, where the server has one."""
    from judge.report.corrected import CorrectOptions, correct

    calibration = state.bench.calibration
    if calibration is None:
        return report
    options = CorrectOptions(suite=state.rubrics.suite)
    try:
        return correct(report, judged_rows(run.entries()), calibration, options)
    except InputError as error:  # as when it has no dimension of this run
        warning = f"no corrected figures: {error.problem}"
        return report.model_copy(update={"warnings": (*report.warnings, warning)})
