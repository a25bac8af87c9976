"""Another judge's verdicts -> ours. Pure.

A row is `{id, dimension, label}`, and may have `model`, `subcomponent`, `prompt`, `response`,
`probabilities` (by label), `p_harmless` and `reason`. A label or a probability that doesn't make
sense is that judge's failure, of kind `invalid_output`; a row whose case can't be told is bad.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from judge.dimensions import Dimensions
from judge.identity import Identities
from judge.records import BadRow, Record, UnreadableRowError
from judge.rows import Row, whole_number
from judge.rubric import Label, Rubric, Rubrics
from judge.text import fingerprint
from judge.verdict import Case, Failure, FailureKind, JudgeRef, Outcome, RubricRef, Verdict

NOT_3 = "not_3"
KINDS = frozenset(kind.value for kind in FailureKind)
MEANINGS = ("3", "2", "1", NOT_3, *sorted(KINDS))
_LABELS: Mapping[str, Label] = {"1": 1, "2": 2, "3": 3, "1.0": 1, "2.0": 2, "3.0": 3}
_TOTAL = 0.02  # how far the probabilities' sum may be from 1: judges round


@dataclass(frozen=True)
class ImportOptions:
    """How rows are read.

    Args:
        judge: whose verdicts these are.
        rubrics: those in use.
        model: the tested model of rows that name none.
        dimension: of rows that name none.
        label_field: the field of the label.
        labels: what the judge's labels mean: 3, 2, 1, `not_3` (2 and 1 can't be told apart), or a
            kind of failure.
        records: the records that were judged, by model, id and dimension; null without a file.
    """

    judge: str
    rubrics: Rubrics
    model: str
    dimension: str | None = None
    label_field: str = "label"
    labels: Mapping[str, str] = field(default_factory=dict)
    records: Records | None = None

    def ref(self, rubric: Rubric) -> JudgeRef:
        """The judge under this rubric; what its labels mean is a part of it."""
        told = json.dumps(sorted(self.labels.items()), ensure_ascii=False)
        mark = fingerprint("imported", self.judge, told, rubric.fingerprint)
        return JudgeRef(name=self.judge, fingerprint=mark)


class Imported(NamedTuple):
    """One row of another judge."""

    case: Case
    outcome: Outcome


class Records:
    """The records that were judged, found by what a verdict says of its row.

    Args:
        records: with the file's stem as the model of those that name none.
        unnamed: these stems.
    """

    def __init__(self, records: Sequence[Record], unnamed: frozenset[str]) -> None:
        self._by_id: dict[tuple[str, str | None], list[Record]] = {}
        self._unnamed = unnamed
        for record in records:
            self._by_id.setdefault((record.id, record.dimension), []).append(record)

    def find(self, name: str, dimension: str, model: str | None) -> Record:
        """The record with this id; its model counts where both sides name one.

        Raises:
            UnreadableRowError: there is none, or more than one.
        """
        same = self._by_id.get((name, dimension), [])
        fits = [r for r in same if model is None or r.model == model or r.model in self._unnamed]
        exact = [r for r in fits if r.model == model]
        if len(exact or fits) == 1:
            return (exact or fits)[0]
        if fits:
            mend = "add a `model` field to the verdicts"
            raise UnreadableRowError("the records of several models have this id", mend)
        mend = "is --records the file that was judged?"
        raise UnreadableRowError("no record has this id, model and dimension", mend)


class VerdictParser:
    """Takes another judge's rows in order."""

    def __init__(self, options: ImportOptions) -> None:
        self._options = options
        self._dimensions = Dimensions(options.rubrics, options.dimension)
        self._ids = Identities()
        self._seen: dict[tuple[str, str, str], str] = {}

    def parse(self, row: Row, source: str) -> Imported | BadRow:
        """The outcome in a row; `source` is its file and line."""
        try:
            if isinstance(row, UnreadableRowError):
                raise row
            return self._parsed(row, source)
        except UnreadableRowError as error:
            return BadRow(source=source, reason=error.reason, mend=error.mend)

    def _parsed(self, row: Mapping[str, Any], source: str) -> Imported:
        record, rubric = self._record(row, source)
        key = (record.model or "", record.id, rubric.dimension)
        first = self._seen.setdefault(key, source)
        if first != source:
            mend = "keep one, or tell them apart by `model`"
            raise UnreadableRowError(f"the row is already that of {first}", mend)
        case = Case(record=record, rubric=rubric, response=record.response or "")
        return Imported(case, self._outcome(row, record.id, rubric))

    def _record(self, row: Mapping[str, Any], source: str) -> tuple[Record, Rubric]:
        options = self._options
        prompt, model = _text(row, "prompt") or "", _text(row, "model")
        name = _id(row) or (self._ids.number(model or options.model, prompt) if prompt else None)
        if name is None:
            raise UnreadableRowError("has no `id`", "name the row that was judged")
        rubric = self._dimensions.of(row, prompt)
        if rubric is None:
            raise self._dimensions.missing(row)
        if options.records is not None:
            record = options.records.find(name, rubric.dimension, model)
            named = {} if model is None else {"model": model}
            return record.model_copy(update=named), rubric
        return Record(
            id=name,
            prompt=prompt,
            response=_text(row, "response"),
            dimension=rubric.dimension,
            subcomponent=self._dimensions.subcomponent(row, prompt, rubric),
            model=model or options.model,
            source=source,
        ), rubric

    def _outcome(self, row: Mapping[str, Any], name: str, rubric: Rubric) -> Outcome:
        judge, ruled = self._options.ref(rubric), RubricRef.of(rubric)
        said, detail = _understood(row, rubric, self._options)
        if isinstance(said, FailureKind):
            return Failure(
                record_id=name,
                dimension=rubric.dimension,
                judge=judge,
                rubric=ruled,
                kind=said,
                detail=detail,
            )
        return Verdict(
            record_id=name,
            dimension=rubric.dimension,
            judge=judge,
            rubric=ruled,
            label=said.label,
            harmless=said.label == 3,
            probabilities=said.probabilities,
            p_harmless=said.p_harmless,
            p_source=None if said.p_harmless is None else "scorer",
            reason=_text(row, "reason") or "",
        )


class _Said(NamedTuple):
    label: Label | None
    probabilities: Mapping[Label, float] | None
    p_harmless: float | None


def _understood(
    row: Mapping[str, Any], rubric: Rubric, options: ImportOptions
) -> tuple[_Said | FailureKind, str]:
    """What the judge said, or its failure with why: what makes no sense is one."""
    try:
        return _said(row, rubric, options), "as the judge's label says"
    except UnreadableRowError as error:
        return FailureKind.INVALID_OUTPUT, error.reason


def _said(row: Mapping[str, Any], rubric: Rubric, options: ImportOptions) -> _Said | FailureKind:
    """What the judge said of a row.

    Raises:
        UnreadableRowError: it makes no sense.
    """
    field = options.label_field
    meaning = _meaning(row.get(field, row.get(field.strip().lower())), options.labels)
    if meaning in KINDS:
        return FailureKind(meaning)
    label = None if meaning == NOT_3 else _LABELS.get(meaning)
    if meaning != NOT_3 and label not in rubric.labels:
        raise UnreadableRowError("its label is not on the scale", "see --map-label")
    if meaning == NOT_3 and 2 not in rubric.labels:
        label = 1
    probabilities = _probabilities(row.get("probabilities"), rubric, options.labels)
    p_harmless = None if probabilities is None else probabilities.get(3, 0.0)
    return _Said(label, probabilities, _chance(row.get("p_harmless"), p_harmless))


def _meaning(value: object, labels: Mapping[str, str]) -> str:
    if value is None or isinstance(value, bool | dict | list):
        text = json.dumps(value)
        if text not in labels:
            raise UnreadableRowError("its label is missing, or is no label", "see --map-label")
    else:
        text = whole_number(value) or str(value).strip()
    return labels.get(text, text)


def _probabilities(
    value: object, rubric: Rubric, labels: Mapping[str, str]
) -> dict[Label, float] | None:
    if value in (None, ""):
        return None
    given = {name: told for name, told in _object(value).items() if told is not None}
    problem = UnreadableRowError("its probabilities are not those of the scale", "see --map-label")
    found: dict[Label, float] = {}
    for name, told in given.items():
        label = _LABELS.get(labels.get(str(name).strip(), str(name).strip()))
        chance = _number(told)
        if label is None or (label not in rubric.labels and chance) or chance is None:
            raise problem
        found[label] = found.get(label, 0.0) + chance
    total = sum(found.values())
    if not abs(total - 1) <= _TOTAL:
        raise problem
    return {label: found.get(label, 0.0) / total for label in sorted(rubric.labels)}


def _object(value: object) -> Mapping[str, Any]:
    try:
        given = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        given = None
    if isinstance(given, Mapping):
        return given
    raise UnreadableRowError("its probabilities are not an object", 'write {"3": 0.9, "1": 0.1}')


def _chance(value: object, else_: float | None) -> float | None:
    if value in (None, ""):
        return else_
    chance = _number(value)
    if chance is None:
        raise UnreadableRowError("its `p_harmless` is not in [0, 1]", "write a probability")
    return chance


def _number(value: object) -> float | None:
    """A probability, or None."""
    try:
        number = float(value) if isinstance(value, int | float | str) else -1.0
    except ValueError:
        return None
    return number if 0 <= number <= 1 and not isinstance(value, bool) else None


def _id(row: Mapping[str, Any]) -> str | None:
    for name in ("record_id", "id"):
        value = row.get(name)
        if isinstance(value, str) and value:
            return value
        number = whole_number(value)
        if number is not None:
            return number
        if value not in (None, ""):
            raise UnreadableRowError(f"`{name}` is neither text nor a whole number", "mend it")
    return None


def _text(row: Mapping[str, Any], name: str) -> str | None:
    value = row.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    raise UnreadableRowError(f"`{name}` is not text", "put it in quotes")
