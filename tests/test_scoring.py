"""Scoring into a folder: what is done stays done, what changed is judged again, money is booked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from judge.backends.panel import PanelJudge
from judge.errors import BudgetReached, FlamesJudgeError, InputError, JudgeUnavailable
from judge.llm.bill import billing, current_bill
from judge.protocols import Judge
from judge.records import BadRow, Record
from judge.run_folder import RunFolder
from judge.runlog import Entry
from judge.scoring import Progress, ScoreOptions, Scoring
from judge.testing import ScriptedJudge
from judge.verdict import Case, FailureKind, Hazard, Outcome, Usage
from tests.cases import record, rubrics

NOW = datetime(2026, 1, 1, tzinfo=UTC)
Rows = Iterable[Record | BadRow]


def score(folder: Path, judge: Judge, rows: Rows, **options: Any) -> Progress:
    """One run over these rows."""
    with RunFolder.hold(folder) as run:
        scoring = Scoring(judge, rubrics(), run, ScoreOptions(**options), now=lambda: NOW)
        asyncio.run(scoring.score(rows))
        return scoring.progress


def entries(folder: Path) -> list[Entry]:
    with RunFolder.hold(folder) as run:
        return list(run.entries())


def judge(name: str = "a", said: Any = 3) -> ScriptedJudge:
    return ScriptedJudge(lambda _: said, name=name)


ROWS = [record(n) for n in range(4)]


def test_a_folder_that_was_judged_again_belongs_to_its_new_judge(tmp_path: Path) -> None:
    """After --rejudge the new judge goes on without it, and the old one is refused."""
    score(tmp_path, judge("old"), ROWS)
    with pytest.raises(InputError, match="--rejudge"):
        score(tmp_path, judge("new"), ROWS)
    assert score(tmp_path, judge("new"), ROWS, rejudge=True).judged == 4
    assert score(tmp_path, judge("new"), ROWS).skipped == 4
    with pytest.raises(InputError, match="--rejudge"):
        score(tmp_path, judge("old"), ROWS)


def test_a_rejudging_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    """Rows that the new judge has signed are not judged a third time."""
    score(tmp_path, judge("old"), ROWS)
    score(tmp_path, judge("new"), ROWS[:2], rejudge=True, whole=False)
    again = score(tmp_path, judge("new"), ROWS, rejudge=True)
    assert (again.skipped, again.judged) == (2, 2)


def test_withdrawn_rows_of_another_judge_stand_in_nobody_s_way(tmp_path: Path) -> None:
    """What is no longer in the input needs no judging again."""
    score(tmp_path, judge("old"), ROWS[:1])
    score(tmp_path, judge("old"), ROWS[1:2])
    score(tmp_path, judge("new"), ROWS[1:2], rejudge=True)
    assert score(tmp_path, judge("new"), ROWS).judged == 3


def test_a_limit_withdraws_nothing_and_the_whole_input_does(tmp_path: Path) -> None:
    """Rows beyond --limit are still the input's; rows that are gone are taken back."""
    score(tmp_path, judge(), ROWS)
    assert score(tmp_path, judge(), ROWS[:2], whole=False).withdrawn == 0
    assert score(tmp_path, judge(), ROWS[:2]).withdrawn == 2
    back = score(tmp_path, judge(), ROWS)
    assert (back.skipped, back.judged, back.withdrawn) == (2, 2, 0)


def test_a_row_whose_subcomponent_or_hazard_changed_is_judged_again(tmp_path: Path) -> None:
    """Judges are told the subcomponent, and ordinary prompts are judged otherwise than probes."""
    score(tmp_path, judge(), ROWS[:1])
    moved = ROWS[0].model_copy(update={"subcomponent": rubrics()["Legality"].subcomponents[0].name})
    assert score(tmp_path, judge(), [moved]).changed == 1
    ordinary = score(tmp_path, judge(), [moved], hazard=Hazard.UNKNOWN)
    assert (ordinary.changed, ordinary.judged) == (1, 1)
    assert score(tmp_path, judge(), [moved], hazard=Hazard.UNKNOWN).skipped == 1
    assert [entry.hazard for entry in entries(tmp_path)] == ["known", "known", "unknown"]


def test_a_filtered_row_is_told_apart_from_a_done_one_and_may_be_answered_later(
    tmp_path: Path,
) -> None:
    """The first run says that it is filtered, the second that it is done; an answer is judged."""
    stopped = record(1, response=None, filtered=True)
    first = score(tmp_path, judge(), [stopped])
    assert (first.filtered, first.skipped, first.done) == (1, 0, 1)
    second = score(tmp_path, judge(), [stopped])
    assert (second.filtered, second.skipped, second.done) == (0, 1, 1)
    assert score(tmp_path, judge(), [record(1)]).judged == 1
    assert score(tmp_path, judge(), [stopped]).filtered == 1
    assert [entry.type for entry in entries(tmp_path)] == ["filtered", "verdict", "filtered"]


def test_a_run_without_texts_is_resumed_with_and_without_them(tmp_path: Path) -> None:
    """Hashes are enough to know what is done."""
    score(tmp_path, judge(), ROWS, texts=False)
    assert score(tmp_path, judge(), ROWS, texts=False).skipped == 4
    assert score(tmp_path, judge(), ROWS, texts=True).skipped == 4
    assert all(entry.prompt is None for entry in entries(tmp_path))


def test_failures_that_may_pass_reopen_and_settled_ones_do_not(tmp_path: Path) -> None:
    """A timeout is judged again; a refusal only when it is asked for."""
    for kind in (FailureKind.TIMEOUT, FailureKind.JUDGE_REFUSAL):
        folder = tmp_path / kind
        score(folder, judge(said=kind), ROWS[:1])
        assert score(folder, judge(), ROWS[:1]).judged == int(kind.transient)
    score(tmp_path / "x", judge(said=FailureKind.JUDGE_REFUSAL), ROWS[:1])
    assert score(tmp_path / "x", judge(), ROWS[:1], retry_unjudged=True).judged == 1


class Paying(ScriptedJudge):
    """Pays a dollar for each of two calls a row, until it is told to stop after the first."""

    def __init__(self, error: BaseException | None = None, name: str = "paying") -> None:
        super().__init__(lambda _: 3, name=name)
        self._error = error

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        with billing():
            for number in range(2):
                if number and self._error is not None:
                    raise self._error
                bill = current_bill()
                assert bill is not None
                bill.calls += 1
                bill.add(Usage(prompt=10), 1.0)
                await asyncio.sleep(0)
        return await super().assess(cases)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (BudgetReached("spent"), FailureKind.QUOTA),
        (JudgeUnavailable("gone"), FailureKind.UNAVAILABLE),
    ],
)
def test_what_a_row_had_cost_when_it_was_broken_off_is_in_the_log(
    tmp_path: Path, error: BaseException, kind: FailureKind
) -> None:
    """No payment vanishes: the row is a failure that says its cost, and is judged again."""
    try:
        stopped = score(tmp_path, Paying(error), ROWS[:1])
        assert not stopped.finished
    except FlamesJudgeError:
        assert not isinstance(error, BudgetReached)
    (line,) = entries(tmp_path)
    assert (line.type, line.kind, line.cost_usd, line.attempts) == ("failure", kind, 1.0, 1)
    assert score(tmp_path, Paying(), ROWS[:1]).judged == 1


def test_a_row_that_nobody_waits_for_any_more_has_a_cost_and_no_failure(tmp_path: Path) -> None:
    """It is still to do: of a run that was cancelled no figure calls it unjudged."""
    with RunFolder.hold(tmp_path) as run:
        leaving = Paying(asyncio.CancelledError())
        scoring = Scoring(leaving, rubrics(), run, ScoreOptions(), now=lambda: NOW)
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(scoring.score(ROWS[:1]))
    assert (scoring.progress.failures.total(), scoring.progress.done) == (0, 0)
    assert [(one.type, one.cost_usd) for one in entries(tmp_path)] == [
        ("failure", 1.0),
        ("withdrawn", None),
    ]
    again = score(tmp_path, Paying(), ROWS[:1])
    assert (again.judged, again.withdrawn) == (1, 0)


def test_a_panel_that_the_budget_stops_books_what_its_other_members_were_paid(
    tmp_path: Path,
) -> None:
    """One member is done when the other meets the budget: its two calls are not lost."""
    panel = PanelJudge([Paying(name="a"), Paying(BudgetReached("spent"), name="b")])
    assert not score(tmp_path, panel, ROWS[:1]).finished
    (line,) = entries(tmp_path)
    assert (line.cost_usd, line.attempts) == (3.0, 3)
    assert line.judge == panel.ref(rubrics()["Legality"])


def test_a_stop_before_anything_was_paid_leaves_no_line(tmp_path: Path) -> None:
    """A row that was never begun is simply still to do."""

    class Broke(ScriptedJudge):
        async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
            raise BudgetReached("spent")

    assert not score(tmp_path, Broke(lambda _: 3), ROWS).finished
    assert entries(tmp_path) == []
