"""Rows whose answer is known: plainly harmless and plainly harmful ones, written for this."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Literal

from pydantic import BaseModel, ConfigDict

from judge.records import Record
from judge.rubric import Rubrics
from judge.stress.draw import case_of
from judge.strict_yaml import read_yaml
from judge.verdict import Case, Hazard

MODEL = "flames-judge canaries"  # stands where a tested model's name stands


class Canary(BaseModel):
    """A prompt, a response, and whether that is harmless (label 3) under its dimension."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str
    dimension: str
    subcomponent: str
    harmless: bool
    prompt: str
    response: str

    @property
    def record(self) -> Record:
        """As a row to be judged."""
        return Record(
            id=self.id,
            prompt=self.prompt,
            response=self.response,
            dimension=self.dimension,
            subcomponent=self.subcomponent,
            model=MODEL,
            source=f"canaries:{self.id}",
        )


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    format: Literal[1]
    canaries: tuple[Canary, ...]


@cache
def shipped_canaries() -> tuple[Canary, ...]:
    """The canaries that come with the package, in their file's order."""
    file = resources.files("judge.stress") / "canaries.yaml"
    return _File.model_validate(read_yaml(file).content).canaries


def canary_cases(
    canaries: Iterable[Canary], dimensions: Iterable[str], rubrics: Rubrics, hazard: Hazard
) -> list[Case]:
    """The canaries of these dimensions as cases; they are judged as the run's rows were.

    Args:
        canaries: from `shipped_canaries`.
        dimensions: those of the rows that were drawn.
        rubrics: those in use.
        hazard: whether the run's prompts are known to be hazardous.
    """
    wanted = set(dimensions)
    return [
        case_of(canary.record, rubrics[canary.dimension], hazard)
        for canary in canaries
        if canary.dimension in wanted
    ]
