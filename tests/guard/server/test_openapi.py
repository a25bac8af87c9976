"""GET /openapi.json describes what is served, no more and no less."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from jsonschema.protocols import Validator
from starlette.routing import Route

from guard.server.app import routes
from guard.server.keys.file import add_key
from guard.server.openapi.document import description
from guard.server.runs import RunStore
from judge.testing import ScriptedJudge
from judge.verdict import FailureKind
from tests.contracts.guard_marks import ADVERT, BAD, BROKEN
from tests.guard.server.records import (
    LINES,
    HeldJudge,
    ended,
    judging,
    lines,
    opinion,
    records_state,
    row,
    sent,
    submitted,
)
from tests.guard.server.serving import Answer, Served, says, standing
from tests.guard.upstream import Call

DOC = description()
METHODS = ("get", "post", "delete")
NO_SUCH = "0" * 32


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every described method of every path."""
    for path, item in DOC["paths"].items():
        for method in METHODS:
            if method in item:
                yield method, path, {"parameters": item.get("parameters", []), **item[method]}


def resolved(value: Any) -> Any:
    """What a reference refers to."""
    while isinstance(value, dict) and "$ref" in value:
        found: Any = DOC
        for name in value["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        value = found
    return value


def references(value: Any) -> Iterator[str]:
    """All references within a value."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def validator(schema: dict[str, Any]) -> Validator:
    """A validator of one of the description's schemas."""
    whole = {**schema, "components": DOC["components"]}
    return jsonschema.Draft202012Validator(whole)


def test_every_route_is_described_and_every_description_is_a_route(tmp_path: Path) -> None:
    """With runs and without: the routes are the same, and so is the description."""
    judge = ScriptedJudge(opinion)
    described = {(method.upper(), path) for method, path, _ in operations()}
    for store in (None, RunStore(tmp_path / "runs")):
        table = routes(records_state(judge), store)
        served = {
            (method, route.path)
            for route in table
            if isinstance(route, Route)
            for method in (route.methods or set()) - {"HEAD"}
        }
        assert served == described


def test_the_description_is_openapi() -> None:
    """Version, names, parameters, responses and references as OpenAPI 3.1 wants them."""
    assert DOC["openapi"] == "3.1.0"
    assert {"title", "version"} <= DOC["info"].keys()
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(names) == len(set(names))
    for _, path, operation in operations():
        assert operation["summary"]
        told = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
        assert told == {part[1:-1] for part in path.split("/") if part.startswith("{")}
        assert any(status.startswith("2") for status in operation["responses"])
        for status, response in operation["responses"].items():
            assert status == "default" or (status.isdigit() and len(status) == 3)
            assert response["description"]
            assert all("/" in kind for kind in response.get("content", {}))
    for reference in references(DOC):
        assert resolved({"$ref": reference}), reference
    schemes = set(DOC["components"]["securitySchemes"])
    assert {name for one in DOC["security"] for name in one} == schemes


@pytest.mark.parametrize("name", sorted(DOC["components"]["schemas"]))
def test_each_schema_is_one(name: str) -> None:
    """JSON Schema 2020-12, which OpenAPI 3.1 speaks."""
    jsonschema.Draft202012Validator.check_schema(DOC["components"]["schemas"][name])


def check(method: str, path: str, answer: Answer) -> None:
    """An answer is as its route's description says."""
    responses = DOC["paths"][path][method]["responses"]
    assert str(answer.status) in responses, (method, path, answer.status, answer.body)
    content = responses[str(answer.status)].get("content")
    if content is None:
        assert answer.body == b""
        return
    kind = answer.headers["content-type"].partition(";")[0]
    assert kind in content
    schema = resolved(content[kind]["schema"])
    if kind == "application/json":
        validator(schema).validate(answer.json)
    else:
        validator(schema).validate(answer.body.decode())


def check_lines(name: str, answer: Answer) -> int:
    """Each line is as the named schema says; gives how many there are."""
    found = [json.loads(line) for line in answer.body.splitlines()]
    for line in found:
        validator(DOC["components"]["schemas"][name]).validate(line)
    return len(found)


async def deleted(served: Served, run: str) -> Answer:
    async with served.client.delete(f"{served.base}/v1/runs/{run}") as response:
        return Answer(response.status, dict(response.headers), await response.read())


async def test_answers_are_as_described(tmp_path: Path) -> None:
    """Verdicts, failures, bad rows and refusals; runs from the queue to their deletion."""
    judge = ScriptedJudge(lambda c: FailureKind.TIMEOUT if c.record.id == "r2" else opinion(c))
    rows = [row(1), row(2), {"prompt": "x"}, row(4, filtered=True) | {"response": None}]
    one = "/v1/runs/{run}"
    async with judging(judge, tmp_path) as served:
        check("post", "/v1/judge", await served.post("/v1/judge", {"records": rows}))
        check("post", "/v1/judge", await served.post("/v1/judge", row(1)))
        check("post", "/v1/judge", await served.post("/v1/judge", {"records": []}))
        answer = await sent(served, "/v1/runs", lines(rows), content_type=LINES)
        check("post", "/v1/runs", answer)
        check("post", "/v1/runs", await sent(served, "/v1/runs", b"", content_type=LINES))
        check("post", "/v1/runs", await sent(served, "/v1/runs", b"", content_type="a/b"))
        run = answer.json["id"]
        validator(DOC["components"]["schemas"]["Run"]).validate(await ended(served, run))
        for end in ("", "/events", "/verdicts", "/summary", "/report", "/bad-rows"):
            check("get", one + end, await served.get(f"/v1/runs/{run}{end}"))
            check("get", one + end, await served.get(f"/v1/runs/{NO_SUCH}{end}"))
        assert check_lines("Entry", await served.get(f"/v1/runs/{run}/verdicts")) == 3
        assert check_lines("BadRow", await served.get(f"/v1/runs/{run}/bad-rows")) == 1
        for what in ("cancel", "resume"):
            check("post", f"{one}/{what}", await served.post(f"/v1/runs/{run}/{what}", b""))
            check("post", f"{one}/{what}", await served.post(f"/v1/runs/{NO_SUCH}/{what}", b""))
        check("get", "/v1/runs", await served.get("/v1/runs"))
        check("delete", one, await deleted(served, run))
        check("delete", one, await deleted(served, run))
        for path in ("/healthz", "/readyz", "/openapi.json", "/v1/models"):
            check("get", path, await served.get(path))
        check("get", "/metrics", await served.get("/metrics"))
        body = {"input": "今天天气怎么样"}
        check("post", "/v1/moderations", await served.post("/v1/moderations", body))
        assert (await served.get("/openapi.json")).json == json.loads(json.dumps(DOC))


async def test_what_a_chatbot_gets_is_as_described() -> None:
    """Answers, streams, blocks, failures and refusals of the guard's own routes."""
    chat, models = "/v1/chat/completions", "/v1/models"
    moderations, guardrail = "/v1/moderations", "/beta/litellm_basic_guardrail_api"
    text = ["今天天气很好，", "适合散步。"]
    for bot in (says(*text, usage=True), says(BAD), says(BROKEN), fails):
        async with standing(bot) as stand:
            whole, streamed = await stand.served.chat(), await stand.served.chat(stream=True)
            check("post", chat, whole)
            check("post", chat, streamed)
            assert check_frames(streamed) == (bot is not fails)
    async with standing(says(*text)) as stand:
        served = stand.served
        check("get", models, await served.get(models))
        check("post", chat, await served.chat(ADVERT))
        check("post", chat, await served.post(chat, b"{"))
        check("post", chat, await served.post(chat, b"{}", content_type="text/plain"))
        for body in ({"input": ["好", ADVERT]}, {"input": 7}, {"input": BROKEN}):
            check("post", moderations, await served.post(moderations, body))
        for said in ("好", ADVERT, BROKEN):
            body = {"texts": [said], "input_type": "response"}
            check("post", guardrail, await served.post(guardrail, body))
        check("post", guardrail, await served.post(guardrail, {}))
    async with standing(says(*text), base="http://127.0.0.1:1/v1") as stand:
        check("post", chat, await stand.served.chat())
        check("get", models, await stand.served.get(models))
        check("get", "/readyz", await stand.served.get("/readyz"))


async def fails(call: Call) -> None:
    """A model's server that is overloaded."""
    await call.answer({"error": {"message": "busy", "type": "x", "code": 7}}, 503)


def check_frames(answer: Answer) -> bool:
    """Each event is as described; gives whether it was a stream, and not a refusal."""
    names = {True: "Error", False: "ChatCompletionChunk"}
    for frame in answer.frames:
        validator(DOC["components"]["schemas"][names["error" in frame]]).validate(frame)
    return bool(answer.events)


async def test_refusals_of_any_route_are_as_described(tmp_path: Path) -> None:
    """Without a key, by another name, too often: the same form everywhere."""
    file = tmp_path / "keys.json"
    key = add_key(file, "ann", 1, datetime(2026, 1, 1, tzinfo=UTC))
    paths = [(method, path) for method, path, _ in operations() if method == "get"]
    async with judging(ScriptedJudge(opinion), tmp_path, keys=file) as served:
        for method, path in paths:
            asked = path.replace("{run}", NO_SUCH)
            check(method, path, await served.get(asked))
            check(method, path, await served.get(asked, authorization=f"Bearer {key}"))
    async with judging(ScriptedJudge(opinion), tmp_path) as served:
        for method, path in paths:
            asked = path.replace("{run}", NO_SUCH)
            answer = await served.get(asked, host="evil.example")
            assert answer.status == 421
            check(method, path, answer)


async def test_a_run_that_has_not_ended_answers_as_described(tmp_path: Path) -> None:
    """Its figures are refused, and so is to resume it."""
    one = "/v1/runs/{run}"
    async with judging(HeldJudge(), tmp_path) as served:
        run = await submitted(served, lines([row(1)]))
        for end in ("", "/verdicts", "/summary", "/report", "/bad-rows"):
            check("get", one + end, await served.get(f"/v1/runs/{run}{end}"))
        check("post", f"{one}/resume", await served.post(f"/v1/runs/{run}/resume", b""))
        check("post", f"{one}/cancel", await served.post(f"/v1/runs/{run}/cancel", b""))


async def test_requests_that_are_described_are_taken() -> None:
    """What the schema of a record allows is read, also where it says nothing."""
    schema = {
        "anyOf": [{"$ref": "#/components/schemas/Records"}, {"$ref": "#/components/schemas/Record"}]
    }
    turns = [{"role": "user", "content": "问"}, {"role": "assistant", "content": "答"}]
    bodies = [
        row(1),
        {"messages": turns, "dimension": "Safety"},
        {"id": 7, "prompt": "问", "response": "答", "dimension": "合法", "extra": {"x": 1}},
        {"records": [row(1)], "dimension": None, "ordinary": True},
    ]
    async with judging(ScriptedJudge(opinion)) as served:
        for body in bodies:
            validator(schema).validate(body)
            answer = await served.post("/v1/judge", body)
            assert answer.json["results"][0]["type"] == "verdict", answer.json
