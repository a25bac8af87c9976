"""Argilla's records as JSON (version 2), as `dataset.records.to_json` and `from_json` have them.

A list of `{"id", "fields", "metadata", "suggestions", "responses", "vectors"}`; `responses` holds,
by question, a list of `{"value", "user_id"}`: docs.argilla.io, reference of `rg.Dataset.records`
and `rg.Record.to_dict`. Suggestions are left empty: annotators shall not see a judge's verdict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from judge.gold.exchange import ImportOptions, at_path, person, row_name
from judge.gold.model import LabelTask
from judge.records import UnreadableRowError
from judge.rubric import Rubric
from judge.text import fingerprint


def marks(record: Mapping[str, Any], options: ImportOptions) -> Iterator[dict[str, Any]]:
    """The marks in an exported record, as rows of gold.jsonl.

    Raises:
        UnreadableRowError: it is no such record.
    """
    responses, metadata = record.get("responses"), record.get("metadata") or {}
    if not isinstance(responses, Mapping) or not isinstance(metadata, Mapping):
        mend = "export it with dataset.records(with_responses=True).to_json(...)"
        raise UnreadableRowError("is no Argilla record: `responses` is missing", mend)
    name = row_name(metadata, options) if "record_id" in metadata else row_name(record, options)
    (question,) = options.label_fields
    if responses and question not in responses:
        mend = f"name the question with --label-field; there: {', '.join(map(str, responses))}"
        raise UnreadableRowError(f"has no response to `{question}`", mend)
    for response in responses.get(question, ()):
        if isinstance(response, Mapping):
            who = person(at_path(response, options.annotator_field or "user_id"))
            yield {**name, "label": options.label(response.get("value")), "annotator": who}


def record(row: LabelTask, rubric: Rubric) -> dict[str, Any]:
    """A record for Argilla: texts and question, and neither verdict nor stratum."""
    named = {**row.key._asdict(), "subcomponent": row.subcomponent}
    return {
        "id": fingerprint(*(part or "" for part in row.key))[:32],
        "fields": {
            "question": rubric.question,
            "prompt": row.prompt or "",
            "response": row.response or "",
        },
        "metadata": {name: value for name, value in named.items() if value is not None},
        "suggestions": {},
        "responses": {},
        "vectors": {},
    }


def settings(rubrics: Sequence[Rubric]) -> str:
    """The settings (Python) of a dataset with these records."""
    labels = sorted({label for rubric in rubrics for label in rubric.labels}, reverse=True)
    names = [str(label) for label in labels]
    return (
        "rg.Settings(fields=[rg.TextField(name) for name in ('question', 'prompt', 'response')],"
        f" questions=[rg.LabelQuestion('label', labels={names})],"
        " metadata=[rg.TermsMetadataProperty(name) for name in"
        " ('record_id', 'model', 'dimension', 'subcomponent')])"
    )
