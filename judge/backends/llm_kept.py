"""What asking a judge model gave, and how it is kept in the store across runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from judge.answer import Answer, judging, schema_for
from judge.llm.client import CONTEXT_FULL
from judge.prompt import Message
from judge.rubric import Label
from judge.verdict import Case, FailureKind, JudgeVote

LARGE_ROW = 6000  # bytes with the frame, each of them a token at worst


@dataclass(frozen=True)
class Asked:
    """A sound answer and what it says of itself."""

    answer: Answer
    probabilities: Mapping[Label, float] | None
    cached: bool
    brief: bool


@dataclass(frozen=True)
class Missed:
    """Why there is no sound answer."""

    kind: FailureKind
    detail: str
    cached: bool = False
    brief: bool = False

    @property
    def short_of_context(self) -> bool:
        """Whether the model's context was too short for prompt and answer."""
        return self.kind is FailureKind.OVERSIZE or CONTEXT_FULL in self.detail


def fills_context(messages: Sequence[Message]) -> bool:
    """Whether a row is so large that a context without room for it may well have it for others."""
    return len(messages[-1]["content"].encode()) >= LARGE_ROW


def vote_of(name: str, result: Asked | Missed) -> JudgeVote:
    """What one of several samples said."""
    if isinstance(result, Missed):
        return JudgeVote(judge=name, failure=result.kind)
    return JudgeVote(judge=name, label=result.answer.label, harmless=result.answer.label == 3)


def kept_text(result: Asked | Missed) -> str:
    """What the store keeps of a result."""
    if isinstance(result, Missed):
        return json.dumps({"kind": result.kind, "detail": result.detail})
    return json.dumps(
        {"answer": result.answer.model_dump(mode="json"), "probabilities": result.probabilities},
        ensure_ascii=False,
    )


def restored(kept: str, case: Case, *, brief: bool) -> Asked | Missed | None:
    """What was kept, checked again as if it had just come; None when it doesn't hold."""
    try:
        value = json.loads(kept)
        if "kind" in value:
            return Missed(
                FailureKind(value["kind"]), str(value["detail"]), cached=True, brief=brief
            )
        with judging(case.record, case.response):
            answer = schema_for(case.rubric).model_validate(value["answer"])
        found = value["probabilities"]
        probabilities = found and {label: float(found[str(label)]) for label in case.rubric.labels}
        return Asked(answer, probabilities, cached=True, brief=brief)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
