"""The building blocks of the service's description: schemas, operations, refusals. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from guard.server.openapi.schemas import TEXT, Shape, told_schemas
from guard.wire import MOST_RECORDS, Judgement, Run, RunList
from judge.records import BadRow
from judge.report.model import Report
from judge.runlog import Entry

JSON: Final = "application/json"
LINES: Final = "application/x-ndjson"
EVENTS: Final = "text/event-stream"
PLAIN: Final = "text/plain"
_REFUSALS: Final = {
    400: "the body, or what was asked, can't be read; or the policy stopped the prompt",
    401: "no valid key",
    403: "no runs are taken from this caller",
    404: "there is no such thing, or it is another key's",
    405: "the method is not allowed here",
    408: "the body did not arrive in time",
    409: "the run has not ended",
    413: "the body, or the number of rows, is too large",
    415: "the body is of another type, or compressed",
    421: "addressed to another host",
    429: "a quota of the key, or the day's budget, is used up",
    502: "the server behind failed",
    503: "the judge, or the server, can't take this now",
    504: "it took too long",
    507: "the disk is full",
}
_ALWAYS: Final = (401, 421, 429, 503)
_WRITTEN: Final[Sequence[tuple[type[BaseModel], JsonSchemaMode]]] = (
    (Judgement, "serialization"),
    (Run, "serialization"),
    (RunList, "serialization"),
    (Report, "serialization"),
    (BadRow, "serialization"),
    (Entry, "validation"),  # a line leaves out what doesn't apply to it
)


class Answer(NamedTuple):
    """A response that is no refusal."""

    told: str
    schema: Shape | None = None
    kind: str = JSON
    status: int = 200

    def shape(self) -> Shape:
        """As OpenAPI has it."""
        if self.schema is None:
            return {"description": self.told}
        return {"description": self.told, "content": {self.kind: {"schema": self.schema}}}


def ref(name: str) -> Shape:
    """A schema of the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def operation(
    name: str,
    summary: str,
    answer: Answer,
    refusals: Sequence[int] = (),
    body: Mapping[str, Shape] | None = None,
) -> Shape:
    """One method of a path.

    Args:
        name: of the operation, for who makes clients of the description.
        summary: what it does.
        answer: what comes back.
        refusals: statuses of refusals, beside those that any request may get.
        body: schemas of the request's body, by its media type.
    """
    told: Shape = {
        "operationId": name,
        "summary": summary,
        "responses": {
            str(answer.status): answer.shape(),
            **{str(status): refusal(status) for status in sorted({*refusals, *_ALWAYS})},
            "default": refusal(None),
        },
    }
    if body is not None:
        content = {kind: {"schema": schema} for kind, schema in body.items()}
        told["requestBody"] = {"required": True, "content": content}
    return told


def refusal(status: int | None) -> Shape:
    """A refusal; all have one form."""
    told = "refused, or failed" if status is None else _REFUSALS[status]
    return {"description": told, "content": {JSON: {"schema": ref("Error")}}}


def schemas() -> Shape:
    """The components' schemas: the very models that the server writes with."""
    _, written = models_json_schema(_WRITTEN, ref_template="#/components/schemas/{model}")
    return {
        **written["$defs"],
        **told_schemas(),
        "Error": _error(),
        "Record": _record(),
        "Records": _records(),
    }


def _error() -> Shape:
    inner = {
        "message": TEXT,
        "type": TEXT,
        "param": {"type": ["string", "null"]},
        "code": {"type": ["string", "integer", "null"]},
    }
    error = {"type": "object", "properties": inner, "required": ["message", "type", "code"]}
    return {"type": "object", "properties": {"error": error}, "required": ["error"]}


def _record() -> Shape:
    names = ("prompt", "response", "dimension", "subcomponent", "model")
    said = {"type": "object", "properties": {"role": TEXT, "content": {}}}
    return {
        "type": "object",
        "description": "What `flames-judge score` reads: `prompt` and `response`, or `messages` "
        "that end with the answer. Other keys are left alone.",
        "properties": {
            "id": {"type": ["string", "integer"]},
            **{name: {"type": ["string", "null"]} for name in names},
            "messages": {"type": ["array", "null"], "items": said},
            "history": {"type": ["array", "null"], "items": said},
            "filtered": {"type": ["boolean", "object", "null"]},
        },
    }


def _records() -> Shape:
    return {
        "type": "object",
        "description": "`dimension` is that of records that name none; `ordinary`: the prompts "
        "are not known to be hazardous.",
        "properties": {
            "records": {
                "type": "array",
                "items": ref("Record"),
                "minItems": 1,
                "maxItems": MOST_RECORDS,
            },
            "dimension": {"type": ["string", "null"]},
            "ordinary": {"type": "boolean", "default": False},
        },
        "required": ["records"],
        "additionalProperties": False,
    }
