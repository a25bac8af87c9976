"""The rubric as a value: its parts, how they must fit each other, its rule and fingerprint."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from judge.misfits import ContradictionError, Problem

Label = Literal[1, 2, 3]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{1,39}$")]
MOST_CRITERIA = 12  # every combination of answers is checked when a rubric is loaded


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Level(_Part):
    """One step of the scale, from harmless (3) down to harmful (1), and what marks it."""

    label: Label
    name: Text
    anchor: Text


class Criterion(_Part):
    """A question that can be answered yes (true), no (false) or not applicable (null)."""

    id: Identifier
    question: Text
    guide: Text


class RuleStep(_Part):
    """One step of the ordered rule: the first whose `when` holds gives the label."""

    when: Mapping[Identifier, bool] = Field(default_factory=dict)
    label: Label


class Subcomponent(_Part):
    """A part of the dimension, under the name that the benchmark gives it."""

    name: Text
    name_zh: Text
    aliases: tuple[Text, ...] = ()
    looks_for: Text

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that it goes by."""
        return (self.name, self.name_zh, *self.aliases)


class Ruling(_Part):
    """A hard case that comes up again and again, and how it is decided."""

    id: Identifier
    title: Text
    ruling: Text


class Quote(_Part):
    """A verbatim piece of an example's prompt or response."""

    side: Literal["prompt", "response"]
    quote: Text


class Example(_Part):
    """A worked example, judged criterion by criterion."""

    label: Label
    subcomponent: Text | None = None
    prompt: Text
    response: Text
    evidence: tuple[Quote, ...]
    criteria: Mapping[Identifier, bool | None]
    reason: Text


class Rubric(_Part):
    """A validated rubric.

    `suite: flames` marks the five dimensions whose unweighted mean is the overall figure.
    """

    format: Literal[1]
    dimension: Text
    name_zh: Text
    name_en: Text
    aliases: tuple[Text, ...] = ()
    suite: Text | None = None
    version: Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+$")]
    definition: Text
    question: Text
    levels: tuple[Level, ...] = Field(min_length=2, max_length=3)
    criteria: tuple[Criterion, ...] = Field(min_length=1, max_length=MOST_CRITERIA)
    rule: tuple[RuleStep, ...] = Field(min_length=1)
    subcomponents: tuple[Subcomponent, ...] = ()
    rulings: tuple[Ruling, ...] = ()
    examples: tuple[Example, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if problems := list(_problems(self)):
            raise ContradictionError(problems)
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that the dimension goes by."""
        return (self.dimension, self.name_zh, self.name_en, *self.aliases)

    @property
    def labels(self) -> tuple[Label, ...]:
        """The labels of the scale, harmless first."""
        return tuple(level.label for level in self.levels)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over the parsed content: comments and layout of the file don't count."""
        content = json.dumps(self.model_dump(mode="json"), ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def decide(self, criteria: Mapping[str, bool | None]) -> Label:
        """The label that the rule gives to answered criteria.

        Args:
            criteria: answer by criterion id; a missing or null answer meets no condition.
        """
        for step in self.rule:
            if all(criteria.get(name) is wanted for name, wanted in step.when.items()):
                return step.label
        raise AssertionError("a validated rule ends with a step without conditions")

    def subcomponent(self, name: str) -> Subcomponent | None:
        """The subcomponent with this name or alias, in any case, or None."""
        wanted = fold(name)
        parts = (p for p in self.subcomponents if wanted in map(fold, p.names))
        return next(parts, None)


def _problems(rubric: Rubric) -> Iterator[Problem]:
    labels, ids = rubric.labels, [c.id for c in rubric.criteria]
    if list(labels) != sorted(set(labels), reverse=True) or labels[0] != 3 or labels[-1] != 1:
        yield ("levels",), "levels must run from 3 (harmless) down to 1, each label once"
    yield from _twice("criteria", "criterion", ids)
    yield from _twice("rulings", "ruling", [r.id for r in rubric.rulings])
    yield from _shared_names(rubric)
    rule_problems = list(_rule_problems(rubric, labels, ids))
    yield from rule_problems
    if not rule_problems:
        yield from _unreached(rubric, labels, ids)
        for index, example in enumerate(rubric.examples):
            for problem in _example_problems(rubric, example, ids):
                yield ("examples", index), f"example {index + 1}: {problem}"


def _twice(field: str, what: str, names: Sequence[str]) -> Iterator[Problem]:
    for index, name in enumerate(names):
        if name in names[:index]:
            yield (field, index), f"{what} {name!r} stands twice"


def _shared_names(rubric: Rubric) -> Iterator[Problem]:
    owners: dict[str, int] = {}
    for index, part in enumerate(rubric.subcomponents):
        for name in part.names:
            if owners.setdefault(fold(name), index) != index:
                yield ("subcomponents", index), f"name {name!r} belongs to two subcomponents"


def _rule_problems(rubric: Rubric, labels: Sequence[int], ids: Sequence[str]) -> Iterator[Problem]:
    for index, step in enumerate(rubric.rule):
        place, number = ("rule", index), index + 1
        for name in step.when:
            if name not in ids:
                yield place, f"rule step {number}: no criterion {name!r}"
        if step.label not in labels:
            yield place, f"rule step {number}: {step.label} is not on the scale"
        if not step.when and number < len(rubric.rule):
            yield place, f"rule step {number} has no `when`, so that no later step counts"
    if rubric.rule[-1].when:
        yield ("rule",), "the last step must have no `when`, so that every answer gets a label"


def _unreached(rubric: Rubric, labels: Sequence[int], ids: Sequence[str]) -> Iterator[Problem]:
    used = [c for c in ids if any(c in step.when for step in rubric.rule)]
    for index, name in enumerate(ids):
        if name not in used:
            yield ("criteria", index), f"criterion {name!r} is used by no step of the rule"
    answers = itertools.product((True, False), repeat=len(used))
    reached = {rubric.decide(dict(zip(used, answer, strict=True))) for answer in answers}
    for label in labels:
        if label not in reached:
            yield ("rule",), f"no answers lead to label {label}"


def _example_problems(rubric: Rubric, example: Example, ids: Sequence[str]) -> Iterator[str]:
    if set(example.criteria) != set(ids):
        yield "must answer each criterion of the rubric, and no other"
    elif (ruled := rubric.decide(example.criteria)) != example.label:
        yield f"the rule gives {ruled}, the example says {example.label}"
    if example.subcomponent is not None and rubric.subcomponent(example.subcomponent) is None:
        yield f"no subcomponent {example.subcomponent!r}"
    for item in example.evidence:
        if item.quote not in (example.prompt if item.side == "prompt" else example.response):
            yield f"evidence {item.quote!r} is not in the {item.side}"


def fold(name: str) -> str:
    """A name without case, spaces, hyphens, underscores and ampersands, for look-ups."""
    return re.sub(r"[\s_\-&/]+", "", name).casefold()
