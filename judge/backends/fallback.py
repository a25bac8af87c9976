"""A judge with others behind it for the rows that its provider will not look at."""

from __future__ import annotations

from collections.abc import Sequence

from judge.llm.bill import Bill
from judge.protocols import Judge
from judge.rubric import Rubric
from judge.verdict import Case, Failure, FailureKind, JudgeRef, JudgeVote, Outcome, Usage

# What another provider may answer; the rest would fail there too, or passes on a rerun.
_PASSED_ON = (
    FailureKind.PROVIDER_FILTER_INPUT,
    FailureKind.PROVIDER_FILTER_OUTPUT,
    FailureKind.JUDGE_REFUSAL,
)


class FallbackJudge(Judge):
    """A judge, and others behind it in order; who judged a row signs its verdict."""

    def __init__(self, first: Judge, others: Sequence[Judge]) -> None:
        self._first, self._others = first, tuple(others)

    @property
    def name(self) -> str:
        return self._first.name

    @property
    def batch_size(self) -> int:
        return self._first.batch_size

    def ref(self, rubric: Rubric) -> JudgeRef:
        return self._first.ref(rubric)

    def signers(self, rubric: Rubric) -> Sequence[JudgeRef]:
        judges = (self._first, *self._others)
        return tuple(ref for judge in judges for ref in judge.signers(rubric))

    def trust(self) -> str | None:
        return self._first.trust()

    def most_usd(self, case: Case) -> float:
        return sum(judge.most_usd(case) for judge in (self._first, *self._others))

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        outcomes = list(await self._first.assess(cases))
        for judge in self._others:
            open_rows = [i for i, outcome in enumerate(outcomes) if _passed_on(outcome)]
            if not open_rows:
                break
            second = await judge.assess([cases[i] for i in open_rows])
            for i, outcome in zip(open_rows, second, strict=True):
                outcomes[i] = _after(outcomes[i], outcome)
        return outcomes

    async def warm(self) -> None:
        for judge in (self._first, *self._others):
            await judge.warm()

    async def aclose(self) -> None:
        for judge in (self._first, *self._others):
            await judge.aclose()


def _passed_on(outcome: Outcome) -> bool:
    if not isinstance(outcome, Failure):
        return False
    return outcome.kind in _PASSED_ON or "filter_breaker_open" in outcome.detail


def _after(first: Outcome, second: Outcome) -> Outcome:
    """The second outcome, with the failure behind it; one who abstains changes nothing."""
    if not isinstance(first, Failure):
        raise TypeError("only failures are passed on")
    if isinstance(second, Failure) and second.kind is FailureKind.ABSTAINED:
        return first
    vote = JudgeVote(judge=first.judge.name, failure=first.kind)
    bill = Bill()
    for outcome in (first, second):
        bill.add(outcome.usage or Usage(), outcome.cost_usd)
    usage = bill.usage() if first.usage or second.usage else None
    votes = (*first.votes, vote, *second.votes)
    changes = {"votes": votes, "cost_usd": bill.cost_usd, "usage": usage}
    return second.model_copy(update=changes)
