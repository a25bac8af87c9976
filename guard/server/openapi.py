"""GET /openapi.json: the service's description (OpenAPI 3.1)."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from guard.server.responses import json_response
from guard.wire import RunProgress

_JSON: Final = "application/json"
_TEXT: Final = {"type": "string"}
_ANY: Final = {"type": "object", "additionalProperties": True}


async def described(_: Request) -> Response:
    """The description."""
    return json_response(description())


@cache
def description() -> dict[str, Any]:
    """All routes with the shapes of what they take and give."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "flames-judge", "version": version("flames-judge")},
        "components": {
            "schemas": {
                "Record": _record(),
                "Run": _run(),
                "Error": {
                    "type": "object",
                    "properties": {"error": _object("message", "type", "param", "code")},
                    "required": ["error"],
                },
            },
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],
        "paths": {**_chat(), **_judging(), **_runs(), **_health()},
    }


def _chat() -> dict[str, Any]:
    openai = "As OpenAI's route of this name; a stopped answer ends with content_filter"
    return {
        "/v1/chat/completions": {
            "post": _operation(openai, body=_ANY, more={"400": _error("the prompt was stopped")})
        },
        "/v1/models": {"get": _operation("The models of the server behind")},
        "/v1/moderations": {
            "post": _operation("What the guard finds in texts, in OpenAI's form", body=_ANY)
        },
        "/beta/litellm_basic_guardrail_api": {
            "post": _operation("litellm's generic guardrail API", body=_ANY)
        },
    }


def _judging() -> dict[str, Any]:
    body = {
        "oneOf": [
            _ref("Record"),
            {
                "type": "object",
                "properties": {
                    "records": {"type": "array", "items": _ref("Record"), "maxItems": 100},
                    "dimension": _TEXT,
                    "ordinary": {"type": "boolean"},
                },
                "required": ["records"],
            },
        ]
    }
    result = {
        "type": "object",
        "properties": {
            "format": {"const": 1},
            "judge": _TEXT,
            "results": {"type": "array", "items": _ANY},
        },
    }
    told = "Judge one record or up to 100 at once, as `flames-judge score` does"
    return {"/v1/judge": {"post": _operation(told, body=body, result=result)}}


def _runs() -> dict[str, Any]:
    run = {"name": "run", "in": "path", "required": True, "schema": _TEXT}
    query = [
        {"name": "name", "in": "query", "schema": _TEXT},
        {"name": "dimension", "in": "query", "schema": _TEXT},
        {"name": "ordinary", "in": "query", "schema": {"type": "boolean"}},
    ]
    file = {
        "required": True,
        "content": {kind: {"schema": _TEXT} for kind in ("application/jsonl", "text/csv", _JSON)},
    }
    runs = {"type": "object", "properties": {"runs": {"type": "array", "items": _ref("Run")}}}
    one = "/v1/runs/{run}"
    submit = _operation("Submit a file of records", result=_ref("Run"), status="202")
    return {
        "/v1/runs": {
            "post": {**submit, "parameters": query, "requestBody": file},
            "get": _operation("The caller's runs, newest first", result=runs),
        },
        one: {
            "parameters": [run],
            "get": _operation("Where a run is", result=_ref("Run")),
            "delete": {"summary": "Delete a run", "responses": {"204": {"description": "deleted"}}},
        },
        f"{one}/events": {
            "parameters": [run],
            "get": _operation("Its progress as server-sent events", kind="text/event-stream"),
        },
        f"{one}/verdicts": {
            "parameters": [run],
            "get": _operation("Its verdicts.jsonl so far", kind="application/x-ndjson"),
        },
        f"{one}/summary": {"parameters": [run], "get": _operation("Its summary.json")},
        f"{one}/report": {
            "parameters": [run],
            "get": _operation("Its report as people read it", kind="text/plain"),
        },
        f"{one}/bad-rows": {
            "parameters": [run],
            "get": _operation("Records that could not be read", kind="application/x-ndjson"),
        },
        f"{one}/cancel": {
            "parameters": [run],
            "post": _operation("Stop it; what is judged stays", result=_ref("Run"), status="202"),
        },
    }


def _health() -> dict[str, Any]:
    return {
        "/healthz": {"get": _operation("The process is alive")},
        "/readyz": {"get": _operation("It is ready to answer")},
        "/metrics": {"get": _operation("Numbers for Prometheus", kind="text/plain")},
    }


def _operation(
    summary: str,
    *,
    body: dict[str, Any] | None = None,
    result: dict[str, Any] | None = None,
    kind: str = _JSON,
    status: str = "200",
    more: dict[str, Any] | None = None,
) -> dict[str, Any]:
    schema = result or (_ANY if kind == _JSON else _TEXT)
    answer = {"description": "done", "content": {kind: {"schema": schema}}}
    told: dict[str, Any] = {
        "summary": summary,
        "responses": {status: answer, "default": _error("refused"), **(more or {})},
    }
    if body is not None:
        told["requestBody"] = {"required": True, "content": {_JSON: {"schema": body}}}
    return told


def _error(told: str) -> dict[str, Any]:
    return {"description": told, "content": {_JSON: {"schema": _ref("Error")}}}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(*names: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": ["string", "null"]} for name in names}}


def _record() -> dict[str, Any]:
    names = ("id", "prompt", "response", "dimension", "model", "subcomponent")
    turns = {"type": "array", "items": _object("role", "content")}
    return {
        "type": "object",
        "description": "prompt and response, or messages",
        "properties": {**dict.fromkeys(names, _TEXT), "messages": turns},
    }


def _run() -> dict[str, Any]:
    progress = RunProgress.model_json_schema()
    known = dict.fromkeys(("id", "name", "created"), _TEXT)
    return {
        "type": "object",
        "properties": {"format": {"const": 1}, **known, **progress["properties"]},
    }
