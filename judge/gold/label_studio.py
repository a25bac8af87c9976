"""Label Studio's JSON: tasks to import there, and the JSON export of annotated tasks.

A task is `{"data": {...}}`; an exported one has `annotations`, each with `result`, `completed_by`
(the user's id, or an object with it), `was_cancelled` and `updated_at`. A result of a Choices
control is `{"from_name", "type": "choices", "value": {"choices": [...]}}`, of a Rating one
`{"value": {"rating": n}}`: labelstud.io/guide/task_format, /guide/tasks and /tags/choices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from judge.gold.exchange import ImportOptions, at_path, person, row_name
from judge.gold.model import LabelTask
from judge.records import UnreadableRowError
from judge.rubric import Rubric, Rubrics

NOTE = "note"


def marks(task: Mapping[str, Any], options: ImportOptions) -> Iterator[dict[str, Any]]:
    """The marks in an exported task, as rows of gold.jsonl.

    Raises:
        UnreadableRowError: it has no `data`, or an annotation without the label.
    """
    data, annotations = task.get("data"), task.get("annotations")
    if not isinstance(data, Mapping) or not isinstance(annotations, list):
        mend = "export it as JSON, not as JSON-MIN or CSV (for these, --from table)"
        raise UnreadableRowError("is no annotated task: `data` or `annotations` is missing", mend)
    name = row_name(data, options)
    for annotation in annotations:
        if isinstance(annotation, Mapping):
            yield {**name, **_mark(annotation, options)}


def _mark(annotation: Mapping[str, Any], options: ImportOptions) -> dict[str, Any]:
    who = person(at_path(annotation, options.annotator_field or "completed_by"))
    told = {"annotator": who, "at": annotation.get("updated_at") or annotation.get("created_at")}
    if annotation.get("was_cancelled"):
        return {**told, "label": None, "note": "skipped in Label Studio"}
    results = [r for r in annotation.get("result") or () if isinstance(r, Mapping)]
    given = {str(r.get("from_name")): _value(r) for r in results}
    (control,) = options.label_fields
    if control not in given:
        known = ", ".join(sorted(given)) or "none"
        mend = f"name the control with --label-field; there: {known}"
        raise UnreadableRowError(f"an annotation has no result of `{control}`", mend)
    return {**told, "label": options.label(given[control]), "note": given.get(NOTE)}


def _value(result: Mapping[str, Any]) -> object:
    value = result.get("value")
    if not isinstance(value, Mapping):
        return None
    for kind in ("choices", "rating", "number", "text"):
        if kind in value:
            held = value[kind]
            return held[0] if isinstance(held, list) and len(held) == 1 else held
    return None


def task(row: LabelTask, rubric: Rubric) -> dict[str, Any]:
    """A task for Label Studio: texts and question, and neither verdict nor stratum."""
    fields = ("record_id", "model", "dimension", "subcomponent", "prompt", "response")
    data = {name: getattr(row, name) for name in fields}
    kept = {name: value for name, value in data.items() if value is not None}
    return {"data": {**kept, "question": rubric.question}}


def interface(rubrics: Sequence[Rubric]) -> str:
    """The labelling interface (XML) for a project with these tasks."""
    labels = sorted({label for rubric in rubrics for label in rubric.labels}, reverse=True)
    names = {level.label: level.name for level in rubrics[0].levels} if len(rubrics) == 1 else {}
    shown = {label: f"{label} {names.get(label, '')}".strip() for label in labels}
    choices = "".join(
        f'<Choice alias="{label}" value={quoteattr(shown[label])} hotkey="{label}"/>'
        for label in labels
    )
    return (
        '<View><Header value="$question"/><Text name="prompt" value="$prompt"/>'
        '<Text name="response" value="$response"/>'
        f'<Choices name="label" toName="response" choice="single" required="true">{choices}'
        f'</Choices><TextArea name="{NOTE}" toName="response"/></View>'
    )


def rubrics_of(rows: Sequence[LabelTask], rubrics: Rubrics) -> list[Rubric]:
    """The rubrics of some tasks, in the rubrics' order."""
    named = {row.dimension for row in rows}
    return [rubric for name, rubric in rubrics.items() if name in named]
