"""A dimension's rubric: one YAML file, loaded safely, validated whole and fingerprinted.

A dimension is data. Adding one takes a file in a folder given with `--rubrics`, and no code.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from judge.errors import InputError

Label = Literal[1, 2, 3]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{1,39}$")]
FORMAT = 1
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
        for problem in _problems(self):
            raise ValueError(problem)
        return self

    @property
    def labels(self) -> tuple[Label, ...]:
        """The labels of the scale, harmless first."""
        return tuple(level.label for level in self.levels)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over the parsed content: comments and layout of the file don't count."""
        content = json.dumps(self.model_dump(mode="json"), ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

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
        for part in self.subcomponents:
            if wanted in {fold(n) for n in (part.name, part.name_zh, *part.aliases)}:
                return part
        return None


def _problems(rubric: Rubric) -> list[str]:
    labels, ids = rubric.labels, [c.id for c in rubric.criteria]
    found: list[str] = []
    if list(labels) != sorted(set(labels), reverse=True) or labels[0] != 3 or labels[-1] != 1:
        found.append("levels must run from 3 (harmless) down to 1, each label once")
    for what, names in (
        ("criterion", ids),
        ("ruling", [r.id for r in rubric.rulings]),
        ("subcomponent", [s.name for s in rubric.subcomponents]),
    ):
        found += [f"{what} {n!r} stands twice" for n in sorted({n for n in names if names.count(n) > 1})]
    found += _rule_problems(rubric, labels, ids)
    for number, example in enumerate(rubric.examples, 1):
        found += [f"example {number}: {problem}" for problem in _example_problems(rubric, example, ids)]
    return found


def _rule_problems(rubric: Rubric, labels: Sequence[int], ids: Sequence[str]) -> list[str]:
    found = [
        f"rule step {number}: no criterion {name!r}"
        for number, step in enumerate(rubric.rule, 1)
        for name in step.when
        if name not in ids
    ]
    found += [f"rule: {s.label} is not on the scale" for s in rubric.rule if s.label not in labels]
    if rubric.rule[-1].when:
        found.append("the rule's last step must have no `when`, so that every answer gets a label")
    if found:
        return found
    used = [c for c in ids if any(c in step.when for step in rubric.rule)]
    found += [f"criterion {c!r} is used by no step of the rule" for c in ids if c not in used]
    answers = itertools.product((True, False), repeat=len(used))
    reached = {rubric.decide(dict(zip(used, answer, strict=True))) for answer in answers}
    found += [f"rule: no answers lead to label {label}" for label in labels if label not in reached]
    return found


def _example_problems(rubric: Rubric, example: Example, ids: Sequence[str]) -> list[str]:
    found = []
    if set(example.criteria) != set(ids):
        found.append("must answer each criterion of the rubric, and no other")
    elif rubric.decide(example.criteria) != example.label:
        found.append(f"rule gives {rubric.decide(example.criteria)}, the example says {example.label}")
    if example.subcomponent is not None and rubric.subcomponent(example.subcomponent) is None:
        found.append(f"no subcomponent {example.subcomponent!r}")
    for item in example.evidence:
        if item.quote not in (example.prompt if item.side == "prompt" else example.response):
            found.append(f"evidence {item.quote!r} is not in the {item.side}")
    return found


def fold(name: str) -> str:
    """A name without case, spaces, hyphens, underscores and ampersands, for look-ups."""
    return re.sub(r"[\s_\-&/]+", "", name).casefold()


class Rubrics(Mapping[str, Rubric]):
    """The rubrics in use, by dimension, in their files' order."""

    def __init__(self, rubrics: Sequence[Rubric]) -> None:
        self._rubrics = {rubric.dimension: rubric for rubric in rubrics}
        self._names: dict[str, str] = {}
        for rubric in rubrics:
            for name in (rubric.dimension, rubric.name_zh, rubric.name_en, *rubric.aliases):
                other = self._names.setdefault(fold(name), rubric.dimension)
                if other != rubric.dimension:
                    raise InputError(
                        f"the name {name!r} belongs to both {other} and {rubric.dimension}",
                        mend="change one rubric's names or aliases",
                    )

    def __getitem__(self, dimension: str) -> Rubric:
        return self._rubrics[dimension]

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self._rubrics)

    def __len__(self) -> int:
        return len(self._rubrics)

    def find(self, name: str) -> Rubric | None:
        """The rubric with this dimension name or alias (any case, Chinese or English), or None."""
        dimension = self._names.get(fold(name))
        return None if dimension is None else self._rubrics[dimension]

    @property
    def suite(self) -> tuple[str, ...]:
        """The dimensions that the overall figure averages."""
        return tuple(d for d, rubric in self._rubrics.items() if rubric.suite == "flames")


FLAMES_ORDER = ("fairness", "safety", "morality", "legality", "data_protection")


def shipped() -> tuple[Traversable, ...]:
    """The rubric files that come with the package, in the benchmark's order."""
    folder = resources.files("rubrics")
    return tuple(folder / f"{name}.yaml" for name in FLAMES_ORDER)


def load_rubrics(folder: Path | None = None) -> Rubrics:
    """The shipped rubrics, with those of `folder` added; a same-named dimension there replaces ours.

    Raises:
        InputError: a file that can't be read, isn't a rubric, or contradicts itself.
    """
    rubrics = {rubric.dimension: rubric for rubric in map(load_rubric, shipped())}
    if folder is not None:
        rubrics |= {rubric.dimension: rubric for rubric in map(load_rubric, _files(folder))}
    return Rubrics(list(rubrics.values()))


def _files(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    files = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    if not files:
        raise InputError("no rubric (*.yaml) there", file=folder, mend="see `flames-judge rubric new`")
    return files


def load_rubric(file: Traversable) -> Rubric:
    """Read and validate one rubric file.

    Raises:
        InputError: names the file, the line where one is known, and the first problem.
    """
    mend = "`flames-judge rubric check` lists every problem"
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=_UniqueKeys)
    except OSError as error:
        raise InputError(f"can't be read: {error.strerror}", file=file) from None
    except UnicodeDecodeError:
        raise InputError("is not UTF-8", file=file, mend="save it as UTF-8") from None
    except yaml.MarkedYAMLError as error:
        line = None if error.problem_mark is None else error.problem_mark.line + 1
        raise InputError(f"is not YAML: {error.problem}", file=file, line=line) from None
    except yaml.YAMLError as error:
        raise InputError(f"is not YAML: {error}", file=file) from None
    if not isinstance(content, dict):
        raise InputError("is not a rubric: a mapping is expected", file=file, mend=mend)
    if content.get("format") != FORMAT:
        raise InputError(f"`format: {FORMAT}` is expected", file=file, mend=mend)
    try:
        return Rubric.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        problem = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{place}: {problem}" if place else problem, file=file, mend=mend) from None


class _UniqueKeys(yaml.SafeLoader):
    """SafeLoader that refuses a key written twice, which YAML loaders otherwise drop in silence."""


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[object, object]:
    loader.flatten_mapping(node)
    seen: dict[object, object] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise yaml.MarkedYAMLError(problem=f"key {key!r} twice", problem_mark=key_node.start_mark)
        seen[key] = loader.construct_object(value_node, deep=True)
    return seen


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
