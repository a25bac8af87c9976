"""One raw row, from whatever file -> `Record | BadRow`. Pure but for the ids given so far."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from judge.conversation import Conversation, conversation, spoken, turns
from judge.dimensions import CATEGORY_FIELDS, Dimensions
from judge.identity import Identities
from judge.records import BadRow, PromptRow, Record, UnreadableRowError
from judge.rubric import Rubric

Row = Mapping[str, Any] | UnreadableRowError
Label = Literal[1, 2, 3]
T = TypeVar("T")

TEXT_FIELDS = ("prompt", "question", "response", "messages", "history", "filtered")
NAME_FIELDS = ("id", "model", "dimension", "subcomponent")
LABEL_FIELDS = ("label", "human_label", "predicted")
FIELDS = (*TEXT_FIELDS, *NAME_FIELDS, *CATEGORY_FIELDS, *LABEL_FIELDS, "analyze")

_LABELS: Mapping[str, Label] = {"1": 1, "2": 2, "3": 3, "1.0": 1, "2.0": 2, "3.0": 3}
_FILE_BITS = 40  # a place is one number: the file's, then the line's
_THINK = re.compile(r"<\s*(/?)\s*think\s*>", re.IGNORECASE)


def whole_number(value: object) -> str | None:
    """A whole number as text, also where a table's column with gaps made it 7.0; else None."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def judged_text(response: str, thinking: Literal["drop", "judge"] = "drop") -> str:
    """The part of a response that is judged.

    Args:
        response: what the model under test wrote.
        thinking: `drop` leaves out `<think>...</think>`, wherever it stands and however often. A
            block that is never closed runs to the end. A closing tag without an opening one ends a
            block that began where the text did: some chat templates open it in the prompt.
    """
    if thinking == "judge" or _THINK.search(response) is None:
        return response
    shown: list[str] = []
    start, open_ = 0, False
    for tag in _THINK.finditer(response):
        closing = bool(tag[1])
        if not open_ and not closing:
            shown.append(response[start : tag.start()])
        open_, start = not closing, tag.end()
    return "".join([*shown, "" if open_ else response[start:]]).strip()


class RowParser:
    """Parses the rows of one run, in order.

    Args:
        dimensions: finds what a row is about.
        labelled: rows are read for their label: one without a usable label is bad, and prompt and
            response may be missing.
        label_field: the field of the label, if not one of `LABEL_FIELDS`.
    """

    def __init__(
        self, dimensions: Dimensions, *, labelled: bool = False, label_field: str | None = None
    ) -> None:
        self._dimensions, self._labelled = dimensions, labelled
        self._label_fields = LABEL_FIELDS if label_field is None else (label_field,)
        self._ids = Identities()
        self._files: list[str] = []
        self._model = ""

    def begin(self, file: str, model: str) -> None:
        """Go on with another file, whose rows are `model`'s where they don't say otherwise."""
        self._files.append(file)
        self._model = model

    def record(self, line: int, row: Row) -> Record | BadRow:
        """The record in a row of the current file."""
        return self._parsed(self._record, line, row)

    def prompt(self, line: int, row: Row) -> PromptRow | BadRow:
        """The prompt in a row of the current file; an answer in it is left out."""
        return self._parsed(self._prompt, line, row)

    def _parsed(
        self, parse: Callable[[Mapping[str, Any], int, str], T], line: int, row: Row
    ) -> T | BadRow:
        source = f"{self._files[-1]}:{line}"
        if isinstance(row, UnreadableRowError):
            return _bad(source, row)
        try:
            return parse(row, line, source)
        except UnreadableRowError as error:
            return _bad(source, error)

    def _record(self, row: Mapping[str, Any], line: int, source: str) -> Record:
        spoken = _spoken(row, optional=self._labelled)
        model = _name(row, "model") or self._model
        given = _given_id(row)
        # A row takes its number before the rest of it can turn out bad, so that mending it
        # doesn't move the numbers of the rows after it.
        number = self._ids.number(model, spoken.prompt) if not given and spoken.prompt else source
        response, filtered = _response(row, spoken.answer, optional=self._labelled)
        rubric = self._dimensions.of(row, spoken.prompt)
        if rubric is None:
            raise self._dimensions.missing(row)
        part = self._dimensions.subcomponent(row, spoken.prompt, rubric)
        label = self._label(row, rubric)
        key: tuple[str, str] = (model, rubric.dimension)
        if given:
            self._claim(line, given, key)
        return Record(
            id=given or self._free(number, key, spoken.prompt),
            prompt=spoken.prompt,
            response=response,
            dimension=rubric.dimension,
            subcomponent=part,
            model=model,
            history=spoken.told,
            filtered=filtered,
            label=label,
            source=source,
        )

    def _prompt(self, row: Mapping[str, Any], line: int, source: str) -> PromptRow:
        spoken = _spoken(row, optional=False)
        given = _given_id(row)
        number = "" if given else self._ids.number("", spoken.prompt)
        rubric = self._dimensions.of(row, spoken.prompt)
        if given:
            self._claim(line, given, ("", ""))
        return PromptRow(
            id=given or self._free(number, ("", ""), spoken.prompt),
            prompt=spoken.prompt,
            dimension=rubric and rubric.dimension,
            subcomponent=rubric and self._dimensions.subcomponent(row, spoken.prompt, rubric),
            history=spoken.asked,
            source=source,
        )

    def _claim(self, line: int, name: str, key: tuple[str, str]) -> None:
        """Note a given id, or refuse it when an earlier row has it."""
        place = (len(self._files) - 1) << _FILE_BITS | line
        first = self._ids.first(place, name, *key)
        if first != place:
            earlier = f"{self._files[first >> _FILE_BITS]}:{first & ((1 << _FILE_BITS) - 1)}"
            reason = f"the id is already that of {earlier}"
        elif self._ids.numbered(key[0], name):
            reason = "the id is already that of an earlier row, which came without one"
        else:
            return
        raise UnreadableRowError(reason, "give each answer of a model its own id")

    def _free(self, name: str, key: tuple[str, str], prompt: str) -> str:
        """`name`, or the next number whose id no earlier row brought along."""
        while prompt and self._ids.taken(name, *key):
            name = self._ids.number(key[0], prompt)
        return name

    def _label(self, row: Mapping[str, Any], rubric: Rubric) -> Label | None:
        if not self._labelled and not any(map(row.get, self._label_fields)):
            return None
        try:
            return _label(row, rubric, self._label_fields)
        except UnreadableRowError:
            if self._labelled:
                raise
            return None


def _bad(source: str, problem: UnreadableRowError) -> BadRow:
    return BadRow(source=source, reason=problem.reason, mend=problem.mend)


def _spoken(row: Mapping[str, Any], *, optional: bool) -> Conversation:
    """What was said, from `messages` or from the fields that hold it."""
    if row.get("messages") not in (None, ""):
        said = conversation(row["messages"])
    else:
        earlier = row.get("history")
        history = () if earlier in (None, "") else spoken(turns(earlier, "history"))
        said = Conversation(history, _prompt_text(row, optional=optional), (), None)
    if not optional and not said.prompt.strip():
        raise UnreadableRowError("the prompt is empty", "write the prompt, or leave the row out")
    return said


def _prompt_text(row: Mapping[str, Any], *, optional: bool) -> str:
    field = "prompt" if row.get("prompt") is not None else "question"
    value = row.get(field)
    if isinstance(value, str):
        return value
    if value is not None:
        raise UnreadableRowError(f"`{field}` is not text", "put it in quotes")
    if not optional:
        mend = "rows need `prompt` and `response`, or `messages`"
        raise UnreadableRowError("has no `prompt`", mend)
    return ""


def _response(
    row: Mapping[str, Any], answer: str | None, *, optional: bool
) -> tuple[str | None, bool]:
    """The response, and whether a filter stopped the prompt instead."""
    value = row.get("response") if answer is None else answer
    if not value and _stopped(row.get("filtered")):
        return None, True
    if isinstance(value, str):
        return value, False
    if value is not None:
        raise UnreadableRowError("`response` is not text", "put it in quotes")
    if optional:
        return None, False
    if row.get("messages"):
        mend = "end `messages` with the answer, or add a `response` field"
        raise UnreadableRowError("`messages` has no assistant turn at its end", mend)
    mend = "write the answer, or leave the row out; a filtered one says `filtered: true`"
    raise UnreadableRowError("has no `response`", mend)


def _stopped(filtered: object) -> bool:
    return filtered is True or isinstance(filtered, dict) or str(filtered).strip().lower() == "true"


def _name(row: Mapping[str, Any], field: str) -> str | None:
    value = row.get(field)
    if value is None or isinstance(value, str):
        return value
    raise UnreadableRowError(f"`{field}` is not text", "put it in quotes")


def _given_id(row: Mapping[str, Any]) -> str | None:
    value = row.get("id")
    if value is None or isinstance(value, str):
        return value
    number = whole_number(value)
    if number is not None:
        return number
    raise UnreadableRowError("`id` is neither text nor a whole number", "put it in quotes")


def _label(row: Mapping[str, Any], rubric: Rubric, fields: Sequence[str]) -> Label:
    if fields is LABEL_FIELDS and _other_scale(row):
        fields = LABEL_FIELDS[1:]
    given = [row[name] for name in fields if row.get(name) not in (None, "")]
    labels = {_LABELS.get(str(value).strip()) for value in given}
    scale = ", ".join(map(str, rubric.labels))
    mend = f"{rubric.dimension} is labelled {scale}"
    if not given:
        raise UnreadableRowError(f"has no label in {' or '.join(map('`{}`'.format, fields))}", mend)
    if len(labels) > 1:
        raise UnreadableRowError("has labels that contradict each other", "keep one of them")
    label = labels.pop()
    if label is None or label not in rubric.labels:
        raise UnreadableRowError(f"the label is none of {scale}", mend)
    return label


def _other_scale(row: Mapping[str, Any]) -> bool:
    """Whether the row has Libra-Test's shape, whose `label` is not on the benchmark's scale."""
    own = row.get("prompt") is None and row.get("question") is not None
    return own or any(row.get(name) not in (None, "") for name in ("analyze", "category_name"))
