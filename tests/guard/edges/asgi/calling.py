"""ASGI applications called by hand, so that every message can be seen."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import StreamingResponse

JSON = [(b"content-type", b"application/json")]
App = Callable[..., Any]


@dataclass
class Sent:
    """What an application sent: its messages, in order."""

    messages: list[dict[str, Any]] = field(default_factory=list)

    async def __call__(self, message: dict[str, Any]) -> None:
        self.messages.append(dict(message))

    @property
    def status(self) -> int:
        """Of the one start."""
        (start,) = [one for one in self.messages if one["type"] == "http.response.start"]
        return int(start["status"])

    @property
    def headers(self) -> dict[str, str]:
        """Of the start; each name once."""
        start = next(one for one in self.messages if one["type"] == "http.response.start")
        names = [name for name, _ in start["headers"]]
        assert len(set(names)) == len(names)
        return {name.decode(): value.decode() for name, value in start["headers"]}

    @property
    def body(self) -> bytes:
        """All of it; after its end nothing was sent."""
        bodies = [one for one in self.messages if one["type"] == "http.response.body"]
        assert [one.get("more_body", False) for one in bodies[:-1]] == [True] * (len(bodies) - 1)
        assert not bodies[-1].get("more_body", False)
        assert self.messages[-1] is bodies[-1]
        return b"".join(one.get("body", b"") for one in bodies)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


async def call(
    app: App, body: bytes = b"{}", headers: Any = JSON, into: Sent | None = None, **scope: Any
) -> Sent:
    """Send a request to an application; its body comes in pieces of five bytes."""
    sent = into or Sent()
    pieces = [body[at : at + 5] for at in range(0, len(body), 5)] or [b""]
    waiting = [
        {"type": "http.request", "body": piece, "more_body": n < len(pieces) - 1}
        for n, piece in enumerate(pieces)
    ]

    async def receive() -> dict[str, Any]:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    given = {"type": "http", "method": "POST", "path": "/chat", "query_string": b""}
    given |= {"headers": headers, "asgi": {"version": "3.0", "spec_version": "2.4"}}
    await app({**given, **scope}, receive, sent)
    return sent


def answering(body: bytes, media: str = "application/json", **start: Any) -> App:
    """An application that gives one answer, in pieces of three bytes."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", media.encode()), *start.pop("headers", [])]
        status = start.get("status", 200)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for at in range(0, len(body), 3):
            await send({"type": "http.response.body", "body": body[at : at + 3], "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return app


def streaming(pieces: Sequence[bytes | str], media: str) -> App:
    """An application that streams pieces as Starlette does."""

    async def each() -> AsyncIterator[bytes | str]:
        for piece in pieces:
            yield piece

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await StreamingResponse(each(), media_type=media)(scope, receive, send)

    return app
