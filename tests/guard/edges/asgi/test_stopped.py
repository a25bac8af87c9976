"""What becomes of an application whose answer the guard has ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.responses import PlainTextResponse, StreamingResponse

from guard.asgi import GuardMiddleware
from tests.contracts.guard_marks import BAD, SORRY, marked, story
from tests.guard.edges.asgi.calling import JSON, Sent

LONG = [*story(60), BAD, *story(400)]


async def ask(app: Any, spec: str = "2.4") -> Sent:
    """Ask it, with a user who stays."""
    sent = Sent()
    waiting = [{"type": "http.request", "body": b"{}", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop()

    scope = {"type": "http", "method": "POST", "path": "/chat", "query_string": b""}
    scope |= {"headers": JSON, "asgi": {"version": "3.0", "spec_version": spec}}
    guarded = GuardMiddleware(app, marked().guard, ["/chat"])
    await asyncio.wait_for(guarded(scope, receive, sent), 20)
    return sent


@pytest.mark.parametrize("spec", ["2.3", "2.4"])
async def test_a_model_that_speaks_on_and_on_is_let_go(spec: str) -> None:
    """Whether its framework hears of a user who left when it sends, or when it listens."""
    spoken: list[int] = []

    async def pieces() -> AsyncIterator[str]:
        yield BAD
        while len(spoken) < 1000:
            spoken.append(1)
            yield story(100)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await StreamingResponse(pieces(), media_type="text/plain")(scope, receive, send)

    sent = await ask(app, spec)
    assert sent.text.endswith(SORRY)
    assert len(spoken) < 10


async def test_what_a_stopped_answer_holds_open_is_closed_at_once() -> None:
    """Its connection to the model, which waited for the collector: servers tell of the end too."""
    over, state = asyncio.Event(), []

    async def pieces() -> AsyncIterator[str]:
        try:
            yield BAD
            while True:
                yield story(100)
                await asyncio.sleep(0)
        finally:
            state.append("closed")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await StreamingResponse(pieces(), media_type="text/plain")(scope, receive, send)

    waiting = [{"type": "http.request", "body": b"{}", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not waiting:
            await over.wait()
            return {"type": "http.disconnect"}
        return waiting.pop()

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body" and not message["more_body"]:
            over.set()

    given = marked()
    scope = {"type": "http", "method": "POST", "path": "/chat", "query_string": b""}
    scope |= {"headers": JSON, "asgi": {"version": "3.0", "spec_version": "2.3"}}
    guarded = GuardMiddleware(app, given.guard, ["/chat"])
    await asyncio.wait_for(guarded(scope, receive, send), 20)
    assert state == ["closed"]
    assert [one.action for one in given.events.of("output")] == ["block"]


async def test_middleware_outside_sees_what_the_router_found() -> None:
    """As metrics do that go by the route and not by the path."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["route"] = "/chat/{id}"
        scope["path"] = "changed"
        await PlainTextResponse("好")(scope, receive, send)

    outside = {"type": "http", "method": "POST", "path": "/chat", "query_string": b""}
    outside |= {"headers": JSON, "asgi": {"version": "3.0", "spec_version": "2.3"}}
    waiting = [{"type": "http.request", "body": b"{}", "more_body": False}]

    async def receive() -> dict[str, Any]:
        return waiting.pop()

    await GuardMiddleware(app, marked().guard, ["/chat"])(outside, receive, Sent())
    assert (outside["route"], outside["path"]) == ("/chat/{id}", "/chat")


async def test_an_application_that_sends_from_another_task_comes_to_its_end() -> None:
    """As one does that runs in a thread: an error in that task would leave the thread waiting."""
    ended = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(1)

        async def sending() -> None:
            while (message := await queue.get()) is not None:
                await send(message)

        sender = asyncio.ensure_future(sending())
        headers = [(b"content-type", b"text/plain")]
        await queue.put({"type": "http.response.start", "status": 200, "headers": headers})
        for piece in LONG:
            body = {"type": "http.response.body", "body": piece.encode(), "more_body": True}
            await queue.put(body)
        await queue.put(None)
        await sender
        ended.append(True)

    sent = await ask(app)
    assert sent.text.endswith(SORRY)
    assert ended
