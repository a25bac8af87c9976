"""What one `flames-judge stress` call asks for: the rows, the changes, and who judges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from judge.backends import is_spec, load_judge
from judge.cli.asked import context_of
from judge.cli.run_log import log_of, rows_of_log
from judge.cli.score_plan import Asking
from judge.errors import InputError
from judge.gold.model import RowKey
from judge.judged import JudgedRow, frame_of
from judge.protocols import Judge
from judge.rubric import Rubrics, load_rubrics
from judge.runlog import read_log
from judge.stress.canaries import shipped_canaries
from judge.stress.changes import Change
from judge.stress.draw import draw_evenly, drawn_cases
from judge.stress.families import kinships
from judge.stress.model import Drawn, Kin, LeftOut
from judge.stress.plan import Part, chosen, parts
from judge.verdict import Case


@dataclass(frozen=True)
class StressPlan:
    """The whole of one `stress` call; `spec` is null where the run's own judge is wanted."""

    run: Path
    spec: str | None
    asking: Callable[[str], Asking]
    n: int
    seed: int
    changes: tuple[str, ...]
    rubrics: Path | None
    out: Path | None
    confidence: float
    retry_unjudged: bool
    rejudge: bool
    texts: bool
    json: bool
    check: bool
    dry_run: bool


@dataclass(frozen=True)
class Setting:
    """What is judged, by whom, and where it is kept."""

    asking: Asking
    rubrics: Rubrics
    sample: Sequence[Case]
    parts: Sequence[Part]
    left_out: tuple[LeftOut, ...]
    drawn: Drawn
    folder: Path

    @property
    def kin(self) -> tuple[Kin, ...]:
        """Judges and judged models of one family."""
        found = kinships(self.asking.models, self.drawn.models)
        return tuple(Kin(**one._asdict()) for one in found)


def setting_of(plan: StressPlan) -> Setting:
    """Draw the rows and find the judge.

    Raises:
        FlamesJudgeError: the run can't be read or drawn from, or no judge can be built.
    """
    changes, with_canaries = chosen(plan.changes)
    rubrics, log = load_rubrics(plan.rubrics), log_of(plan.run)
    rows = rows_of_log(log)
    keys = draw_evenly(rows.values(), plan.n, plan.seed)
    sample = drawn_cases(read_log(log), keys, rubrics, log)
    asking = _asking(plan, rows, rubrics, log)
    made = [change for change in changes if asking.models or change.reads == "response"]
    frame = frame_of(rows)
    canaries = shipped_canaries() if with_canaries else ()
    return Setting(
        asking=asking,
        rubrics=rubrics,
        sample=sample,
        parts=tuple(parts(sample, canaries, made)),
        left_out=tuple(unread(change) for change in changes if change not in made),
        drawn=Drawn(
            n=len(keys),
            seed=plan.seed,
            frame_n=frame.n,
            frame_sha256=frame.sha256,
            models=tuple(sorted({case.record.model or "" for case in sample})),
        ),
        folder=plan.out or log.parent / "stress",
    )


def unread(change: Change) -> LeftOut:
    """Why a change is not made whose text the judge never sees."""
    return LeftOut(change=change.name, why=f"this judge reads no {change.reads}")


def _asking(
    plan: StressPlan, rows: Mapping[RowKey, JudgedRow], rubrics: Rubrics, log: Path
) -> Asking:
    """Who is asked: the judge of the flags, or the run's own, where it can be built again.

    Raises:
        InputError: the run's judge can't be told, or is not built by these flags.
    """
    asking = plan.asking(plan.spec or _judge_of(rows, log))
    if asking.models and plan.dry_run:
        return asking  # which asks for no key
    judge = load_judge(asking.spec, context_of(asking), asking.fallbacks)
    if plan.spec is None:
        _check_same(judge, rows, rubrics, log)
    return asking


def _judge_of(rows: Mapping[RowKey, JudgedRow], log: Path) -> str:
    names = sorted({row.judge.name for row in rows.values() if row.judge is not None})
    mend = "say which judge is tested, with --model NAME or --judge SPEC"
    if len(names) != 1:
        told = f"several judges ({', '.join(names)})" if names else "no known judge"
        raise InputError(f"was judged by {told}", file=log, mend=mend)
    if not is_spec(names[0]):
        raise InputError(f"was judged by {names[0]!r}, which can't be asked", file=log, mend=mend)
    return names[0]


def _check_same(
    judge: Judge, rows: Mapping[RowKey, JudgedRow], rubrics: Rubrics, log: Path
) -> None:
    signers = {
        dimension: {ref.fingerprint for ref in judge.signers(rubric)}
        for dimension, rubric in rubrics.items()
    }
    for key, row in rows.items():
        if row.judge and row.judge.fingerprint not in signers.get(key.dimension, ()):
            raise InputError(
                f"its {key.dimension} rows were judged by {row.judge.name} with other settings or"
                " under another rubric",
                file=log,
                mend="give the same flags, or name the judge with --model or --judge",
            )
