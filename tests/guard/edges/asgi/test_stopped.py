"""What becomes of an application whose answer the guard has ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.responses import StreamingResponse

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
