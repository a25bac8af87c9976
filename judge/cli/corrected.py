"""`--calibration`: corrected figures beside those of a run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from judge.cli.options import TargetName

if TYPE_CHECKING:
    from judge.calibration import Calibration
    from judge.judged import JudgedRow
    from judge.protocols import Judge
    from judge.report.model import Report
    from judge.rubric import Rubrics


class Wanted(NamedTuple):
    """What the flags say."""

    calibration: Path
    gold: Path | None = None
    target: TargetName | None = None


def corrected_report(report: Report, log: Path, rubrics: Rubrics, wanted: Wanted) -> Report:
    """The report with corrected figures beside its own.

    Raises:
        InputError: a file can't be read, or was made for another judge, rubric, dimension or gold.
    """
    from judge.calibration import load_calibration
    from judge.cli.at_fault import naming, naming_gold
    from judge.cli.run_log import rows_of_log
    from judge.gold import read_gold
    from judge.report.corrected import CorrectOptions, correct

    options = CorrectOptions(
        target=None if wanted.target is None else wanted.target.value,
        gold=() if wanted.gold is None else read_gold(wanted.gold, rubrics),
        suite=rubrics.suite,
    )
    known, rows = load_calibration(wanted.calibration), rows_of_log(log)
    with naming(wanted.calibration), naming_gold(wanted.gold, rubrics):
        return correct(report, rows, known, options)


def check_judge(calibration: Path, judge: Judge, rubrics: Rubrics) -> None:
    """Refuse a calibration of another judge or rubric before any row is judged.

    Raises:
        InputError: it was made for another.
    """
    from judge.calibration import load_calibration
    from judge.cli.at_fault import naming
    from judge.verdict import RubricRef

    known = load_calibration(calibration)
    shared = [rubrics[name] for name in known.dimensions if name in rubrics]
    with naming(calibration):
        known.check((r.dimension, judge.ref(r), RubricRef.of(r)) for r in shared)


def calibration_of(file: Path, rows: Iterable[JudgedRow]) -> Calibration:
    """The calibration of the judge that judged these rows.

    Raises:
        InputError: it can't be read, or was made for another judge or rubric.
    """
    from judge.calibration import load_calibration
    from judge.cli.at_fault import naming
    from judge.judged import judges_of

    known = load_calibration(file)
    with naming(file):
        known.check(judges_of(rows))
    return known
