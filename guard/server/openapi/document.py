"""GET /openapi.json: the service's description (OpenAPI 3.1)."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from guard.openai_api import serialised
from guard.server.openapi.schemas import OBJECT, TEXT, Shape
from guard.server.openapi.shapes import (
    EVENTS,
    JSON,
    LINES,
    PLAIN,
    Answer,
    operation,
    ref,
    schemas,
)
from guard.server.runs.routes import KINDS

_ABOUT: Final = (
    "A guard in front of a chat model's server, and a judge of records. Every response carries "
    "x-flames-policy, x-flames-request-id and, where texts were checked, x-flames-decision."
)
_ENTRIES: Final = "One JSON object a line, as in components/schemas/"
_READ: Final = (400, 408, 413, 415)


async def described(_: Request) -> Response:
    """The description."""
    return Response(_written(), media_type=JSON)


@cache
def _written() -> bytes:
    return serialised(description())


def description() -> Shape:
    """All routes with the shapes of what they take and give."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "flames-judge",
            "version": version("flames-judge"),
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"bearer": []}, {"key": []}, {}],
        "paths": {**_chat(), **_judge(), **_runs(), **_own()},
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
    }


def _chat() -> Shape:
    body = {JSON: OBJECT}
    chat = operation(
        "createChatCompletion",
        "As OpenAI's route of this name; an answer that is stopped ends with content_filter",
        Answer("the answer, as JSON or (`stream`) as events", ref("ChatCompletion")),
        (*_READ, 502, 504),
        body,
    )
    events = "Events of ChatCompletionChunk, or of Error; `[DONE]` is the last one's data"
    chat["responses"]["200"]["content"][EVENTS] = {"schema": {**TEXT, "description": events}}
    models = operation(
        "listModels",
        "The models of the server behind",
        Answer("them", ref("ModelList")),
        (502, 504),
    )
    found = "What the guard finds in texts, in OpenAI's form"
    return {
        "/v1/chat/completions": {"post": chat},
        "/v1/models": {"get": models},
        "/v1/moderations": {
            "post": operation(
                "createModeration", found, Answer("it", ref("Moderation")), _READ, body
            )
        },
        "/beta/litellm_basic_guardrail_api": {
            "post": operation(
                "applyGuardrail",
                "As litellm's proxy asks a guardrail elsewhere",
                Answer("what is to be done", ref("GuardrailAnswer")),
                _READ,
                body,
            )
        },
    }


def _judge() -> Shape:
    told = operation(
        "judge",
        "Judge one record or several at once, as `flames-judge score` judges them",
        Answer("results in the records' order", ref("Judgement")),
        (*_READ, 504),
        {JSON: {"anyOf": [ref("Records"), ref("Record")]}},
    )
    return {"/v1/judge": {"post": told}}


def _runs() -> Shape:
    submit = operation(
        "submitRun",
        "Have a file of records judged: the body is the file, uncompressed",
        Answer("the run, which waits for its turn", ref("Run"), status=202),
        (*_READ, 403, 404, 507),
        dict.fromkeys(KINDS, TEXT),
    )
    submit["parameters"] = [
        _query(
            "name", TEXT, "The file's; rows that name no model are of the one it is named after"
        ),
        _query("dimension", TEXT, "Of rows that name none"),
        _query("ordinary", {"type": "boolean"}, "The prompts are not known to be hazardous"),
    ]
    listed = Answer("newest first", ref("RunList"))
    one = {"name": "run", "in": "path", "required": True, "schema": TEXT, "description": "Its id"}
    return {
        "/v1/runs": {
            "post": submit,
            "get": operation("listRuns", "The runs of this key", listed, (404,)),
        },
        **{f"/v1/runs/{{run}}{end}": {"parameters": [one], **of} for end, of in _run().items()},
    }


def _run() -> dict[str, Shape]:
    """What can be done with one run."""
    run, missing, early = ref("Run"), (404,), (404, 409)
    events = "`progress` whenever it changed; `done`, `failed`, `cancelled` or `deleted` at the end"
    log = Answer(
        f"{_ENTRIES}Entry; of several lines about one row the last one counts", TEXT, LINES
    )
    bad = Answer(f"{_ENTRIES}BadRow", TEXT, LINES)
    gone, summary = Answer("deleted", status=204), Answer("summary.json", ref("Report"))
    stopped, again = Answer("being stopped", run, status=202), Answer("queued", run, status=202)
    shown = Answer("as in a terminal", TEXT, PLAIN)
    return {
        "": {
            "get": operation("getRun", "Where a run is", Answer("it", run), missing),
            "delete": operation("deleteRun", "Delete all that is kept of a run", gone, missing),
        },
        "/events": {
            "get": operation("followRun", "Its progress", Answer(events, TEXT, EVENTS), missing)
        },
        "/verdicts": {"get": operation("getVerdicts", "Its log so far", log, missing)},
        "/summary": {"get": operation("getSummary", "Its figures", summary, early)},
        "/report": {"get": operation("getReport", "Its figures, for people", shown, early)},
        "/bad-rows": {"get": operation("getBadRows", "Rows that can't be read", bad, early)},
        "/cancel": {
            "post": operation(
                "cancelRun", "Stop it; what is judged stays", stopped, (*missing, 507)
            )
        },
        "/resume": {
            "post": operation(
                "resumeRun",
                "Go on with a run that failed or was cancelled",
                again,
                (403, *early, 507),
            )
        },
    }


def _own() -> Shape:
    """About the service itself."""
    alive = operation("isAlive", "The process answers", Answer("it lives", ref("Health")))
    ready = operation("isReady", "It may be sent requests", Answer("it may", ref("Health")))
    ready["responses"]["503"] = Answer("it is ending", ref("Health")).shape()
    numbers = Answer("OpenMetrics or Prometheus text", TEXT, PLAIN)
    return {
        "/healthz": {"get": {**alive, "security": [{}]}},
        "/readyz": {"get": {**ready, "security": [{}]}},
        "/metrics": {"get": operation("getMetrics", "What was counted", numbers)},
        "/openapi.json": {"get": operation("describe", "This", Answer("this", OBJECT))},
    }


def _query(name: str, schema: Shape, told: str) -> Shape:
    return {"name": name, "in": "query", "schema": schema, "description": told}
