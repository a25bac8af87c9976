"""Records -> verdicts in the log: what is done already is skipped, the rest is judged at once.

The log is the resume point. A row counts as done when the log holds an outcome of the same judge
for the same texts; a failure that may pass is judged again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from judge.dispatch import dispatch
from judge.errors import BudgetReached, FlamesJudgeError, InputError
from judge.llm.bill import Bill, billing
from judge.protocols import Judge
from judge.records import BadRow, Record
from judge.rows import judged_text
from judge.rubric import Rubrics
from judge.run_folder import RunFolder
from judge.runlog import (
    Entry,
    content_sha256,
    filtered_line,
    outcome_line,
    row_key,
    withdrawn_line,
)
from judge.text import key64
from judge.verdict import Case, Failure, FailureKind, Hazard, Outcome, RubricRef

SHOWN_BAD_ROWS = 5
JUDGE_AGAIN = -1  # stands for the content of a row whose failure is reopened


@dataclass(frozen=True)
class ScoreOptions:
    """How a run goes.

    Args:
        hazard: whether the prompts are known to be hazardous.
        thinking: whether a model's <think> blocks are judged or dropped.
        retry_unjudged: judge rows again that a failure has settled.
        rejudge: judge rows again that another judge has judged in this folder.
        texts: keep the texts in the log; otherwise their hashes alone.
        width: the most batches in flight.
        whole: the rows are the whole input, so that rows of the log beyond it are withdrawn.
    """

    hazard: Hazard = Hazard.KNOWN
    thinking: Literal["drop", "judge"] = "drop"
    retry_unjudged: bool = False
    rejudge: bool = False
    texts: bool = True
    width: int = 1
    whole: bool = True


@dataclass
class Progress:
    """How far a run is.

    `skipped` rows were in the log already; `changed` ones stand there with other texts; `filtered`
    are those whose prompt the tested provider's filter stopped.
    """

    read: int = 0
    bad: int = 0
    skipped: int = 0
    changed: int = 0
    withdrawn: int = 0
    filtered: int = 0
    judged: int = 0
    failures: Counter[FailureKind] = field(default_factory=Counter)
    first_bad: list[BadRow] = field(default_factory=list)
    finished: bool = False

    @property
    def done(self) -> int:
        """Rows that are through, in whatever way."""
        through = self.bad + self.skipped + self.filtered + self.judged
        return through + self.failures.total()


class Scoring:
    """One run of one judge over one input into one folder.

    Args:
        judge: who judges.
        rubrics: the rubrics by dimension.
        run: the folder, held.
        options: how the run goes.
        now: the time, for the log.
        observe: called after each change of the progress.
    """

    def __init__(
        self,
        judge: Judge,
        rubrics: Rubrics,
        run: RunFolder,
        options: ScoreOptions,
        *,
        now: Callable[[], datetime],
        observe: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        self._judge, self._rubrics, self._run, self._options = judge, rubrics, run, options
        self._now, self._observe = now, observe
        self.progress = Progress()
        self._known = self._index()

    async def score(self, rows: Iterable[Record | BadRow]) -> bool:
        """Judge what is not judged yet.

        Returns:
            False when the budget stopped the run.

        Raises:
            JudgeUnavailable: no row can be judged as things stand.
            InputError: the log can't be written.
        """
        with self._run.bad_rows() as bad:
            finished = await dispatch(
                self._pending(rows, bad),
                self._assess,
                self._log,
                width=self._options.width,
                batch_size=self._judge.batch_size,
            )
        if finished and self._known and self._options.whole:
            self._run.withdraw(self._known, self._now())
            self.progress.withdrawn = len(self._known)
        self.progress.finished = finished
        self._observe(self.progress)
        return finished

    def _index(self) -> dict[int, int]:
        """Row key -> 64 bits of what the log's last outcome was about.

        Raises:
            InputError: a row's last outcome is another judge's, and `rejudge` doesn't say to go on.
        """
        known: dict[int, int] = {}
        foreign: dict[int, tuple[str, str]] = {}
        signers = {
            dimension: {ref.fingerprint for ref in self._judge.signers(rubric)}
            for dimension, rubric in self._rubrics.items()
        }
        for entry in self._run.entries():
            known.pop(entry.key, None)
            foreign.pop(entry.key, None)
            judge = entry.judge
            if entry.type == "withdrawn":
                continue
            if judge and judge.fingerprint not in signers.get(entry.dimension, ()):
                foreign[entry.key] = entry.dimension, judge.name
            known[entry.key] = JUDGE_AGAIN if entry.key in foreign else self._settled(entry)
        if foreign and not self._options.rejudge:
            dimension, name = next(iter(foreign.values()))
            raise InputError(
                f"its {dimension} rows were judged by another judge, with other settings or under "
                f"another rubric ({name})",
                file=self._run.log,
                mend="give another --out, or --rejudge to judge its rows again",
            )
        return known

    def _settled(self, entry: Entry) -> int:
        if entry.kind is not None and (entry.kind.transient or self._options.retry_unjudged):
            return JUDGE_AGAIN
        return _content(entry.content_sha256 or "", entry.subcomponent, entry.hazard)

    def _pending(
        self, rows: Iterable[Record | BadRow], bad: Callable[[BadRow], None]
    ) -> Iterator[Case]:
        for row in rows:
            self.progress.read += 1
            if isinstance(row, BadRow):
                bad(row)
                self.progress.bad += 1
                if len(self.progress.first_bad) < SHOWN_BAD_ROWS:
                    self.progress.first_bad.append(row)
            elif (case := self._case(row)) is not None:
                yield case

    def _case(self, record: Record) -> Case | None:
        """The case to judge, or None when there is nothing to do for this record."""
        rubric = self._rubrics[record.dimension or ""]
        judged = (
            None
            if record.response is None
            else judged_text(record.response, self._options.thinking)
        )
        known = self._known.pop(row_key(record.model, record.id, rubric.dimension), None)
        hazard = None if judged is None else self._options.hazard
        if known == _content(content_sha256(record, judged), record.subcomponent, hazard):
            self.progress.skipped += 1
            return None
        if known not in (None, JUDGE_AGAIN):
            self.progress.changed += 1
        if judged is None:
            self._run.append(
                [filtered_line(record, rubric.dimension, self._now(), texts=self._options.texts)]
            )
            self.progress.filtered += 1
            return None
        return Case(record=record, rubric=rubric, response=judged, hazard=self._options.hazard)

    async def _assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        """As the judge does; a batch that is stopped midway leaves what it has cost in the log."""
        with billing() as bill:
            try:
                return await self._judge.assess(cases)
            except (FlamesJudgeError, asyncio.CancelledError) as error:
                if bill.cost_usd:
                    failure = self._broken_off(cases[0], bill, error)
                    if isinstance(error, asyncio.CancelledError):
                        self._leave(cases[0], failure)
                    else:
                        self._log(cases[:1], [failure])
                raise

    def _leave(self, case: Case, spent: Failure) -> None:
        """Log what a row has cost that nobody waits for any more: it is still to do, not failed."""
        now = self._now()
        line = outcome_line(case, spent, now, texts=self._options.texts)
        self._run.append([line, withdrawn_line(Entry.model_validate_json(line), now)])

    def _broken_off(self, case: Case, bill: Bill, error: BaseException) -> Failure:
        spent = isinstance(error, BudgetReached)
        return Failure(
            record_id=case.record.id,
            dimension=case.rubric.dimension,
            judge=self._judge.ref(case.rubric),
            rubric=RubricRef.of(case.rubric),
            kind=FailureKind.QUOTA if spent else FailureKind.UNAVAILABLE,
            attempts=bill.calls,
            detail="the budget was spent midway" if spent else "broken off midway",
            usage=bill.usage(),
            cost_usd=bill.cost_usd,
        )

    def _log(self, cases: Sequence[Case], outcomes: Sequence[Outcome]) -> None:
        now, texts = self._now(), self._options.texts
        pairs = zip(cases, outcomes, strict=True)
        self._run.append([outcome_line(case, outcome, now, texts=texts) for case, outcome in pairs])
        for outcome in outcomes:
            if isinstance(outcome, Failure):
                self.progress.failures[outcome.kind] += 1
            else:
                self.progress.judged += 1
        self._observe(self.progress)


def _content(sha256: str, subcomponent: str | None, hazard: Hazard | None) -> int:
    """64 bits of all that an outcome is about: texts, subcomponent, whether hazard is known."""
    return key64(sha256, subcomponent or "", hazard or "")
