"""The seams: each is one method or little more, and everything else depends on these alone."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from judge.rubric import Rubric
from judge.verdict import Case, JudgeRef, Outcome


@runtime_checkable
class Judge(Protocol):
    """Anything that can judge cases; all but `name`, `ref` and `assess` has a default."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The judge's spec, for people: `embedded`, `llm:deepseek/deepseek-chat`."""

    @property
    def batch_size(self) -> int:
        """How many cases one `assess` should get: 1 for a judge that waits on a network."""
        return 1

    @abstractmethod
    def ref(self, rubric: Rubric) -> JudgeRef:
        """Name and fingerprint of this judge under this rubric."""

    def signers(self, rubric: Rubric) -> Sequence[JudgeRef]:
        """All who may sign an outcome of this judge: itself, and its fallbacks."""
        return (self.ref(rubric),)

    def trust(self) -> str | None:
        """One line on how far its verdicts can be trusted, with figures, or None."""
        return None

    def most_usd(self, case: Case) -> float:  # noqa: ARG002
        """About the most USD that one try at a case costs; 0 where that is nothing, or unknown."""
        return 0.0

    @abstractmethod
    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        """Judge a small batch: same length, same order, never raising for a case.

        Raises:
            JudgeUnavailable: no case can be judged as things stand.
            BudgetReached: the next call would exceed the budget.
        """

    async def warm(self) -> None:
        """Load what the first case would otherwise wait for; costs no money and no network."""
        return

    async def aclose(self) -> None:
        """Release connections and files."""
        return


class AnswerStore(Protocol):
    """Keeps paid-for answers across runs. Values are JSON text; a key is a hex digest."""

    async def get(self, key: str) -> str | None:
        """The value kept under `key`, or None."""

    async def put(self, key: str, value: str) -> None:
        """Keep `value`. A store that can't write says so once and goes on."""
