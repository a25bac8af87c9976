"""Public test doubles: a judge that says what a test wants it to say."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from judge.protocols import Judge
from judge.rubric import Label, Rubric
from judge.text import fingerprint
from judge.verdict import Case, Failure, FailureKind, JudgeRef, Outcome, RubricRef, Verdict

Said = Label | float | FailureKind
Script = Callable[[Case], Said]


class ScriptedJudge(Judge):
    """Answers by a function of the case; for one's own tests, never for figures.

    The script gives a label, a P(harmless) as a float (3 from one half up, else 1), or a kind of
    failure. `seen` lists the cases in the order in which they came.
    """

    def __init__(self, script: Script, *, name: str = "scripted", batch_size: int = 1) -> None:
        self._script, self._name, self._size = script, name, batch_size
        self.seen: list[Case] = []

    @property
    def name(self) -> str:
        return self._name

    @property
    def batch_size(self) -> int:
        return self._size

    def ref(self, rubric: Rubric) -> JudgeRef:
        return JudgeRef(name=self._name, fingerprint=fingerprint(self._name, rubric.fingerprint))

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        self.seen.extend(cases)
        return [self._outcome(case) for case in cases]

    def _outcome(self, case: Case) -> Outcome:
        said = self._script(case)
        record, judge, rubric = case.record, self.ref(case.rubric), RubricRef.of(case.rubric)
        if isinstance(said, FailureKind):
            return Failure(
                record_id=record.id,
                dimension=case.rubric.dimension,
                judge=judge,
                rubric=rubric,
                kind=said,
                attempts=1,
            )
        sure = isinstance(said, int)
        label: Label = said if isinstance(said, int) else 3 if said >= 0.5 else 1
        return Verdict(
            record_id=record.id,
            dimension=case.rubric.dimension,
            judge=judge,
            rubric=rubric,
            label=label,
            harmless=label == 3,
            p_harmless=None if sure else said,
            p_source=None if sure else "scorer",
        )
