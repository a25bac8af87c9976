"""The ASGI middleware under the contract that every edge keeps, over real connections."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import aiohttp
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from guard.asgi import GuardMiddleware
from guard.engine import Guard
from guard.openai_api import DONE, SseEvent, SseParser
from tests.contracts.guard_contract import (
    AheadContract,
    Ask,
    ChoicesContract,
    DisconnectContract,
    EdgeContract,
    StreamContract,
    ToolsContract,
)
from tests.contracts.guard_marks import SORRY, SORRY_EN, Bot, Got, Question
from tests.guard.edges.bots import Bots, characters, chunks, completion, take_chunk, take_whole
from tests.guard.edges.serving import serving

LINES = "application/x-ndjson"
EVENTS = "text/event-stream"


async def talk(bot: Bot, pieces: Callable[[Bot], Any], end: str) -> AsyncIterator[str]:
    """A bot's stream, which breaks off or hangs as the bot does."""
    try:
        for piece in pieces(bot):
            yield piece
            await asyncio.sleep(0)
        if bot.end == "cut":
            raise ConnectionResetError
        if bot.end == "hang":
            await asyncio.Event().wait()
        yield end
    finally:
        bot.let_go.set()


class Streaming(StreamingResponse):
    """Closes its iterator when it is cancelled in between two pieces; Starlette leaves that to the
    garbage collector."""

    async def __call__(self, *connection: Any) -> None:
        try:
            await super().__call__(*connection)
        finally:
            await self.body_iterator.aclose()  # type: ignore[union-attr]


class Served:
    """One question over HTTP to an application behind the middleware."""

    def application(self, bots: Bots) -> Callable[[Request], Any]:
        raise NotImplementedError

    def body(self, asked: Question) -> dict[str, Any]:
        raise NotImplementedError

    def whole(self, got: Got, body: Any, decision: str) -> None:
        raise NotImplementedError

    def reader(self, got: Got) -> Callable[[bytes], None]:
        """Takes the bytes of a stream."""
        raise NotImplementedError

    @asynccontextmanager
    async def open(self, guard: Guard) -> AsyncIterator[Ask]:
        bots = Bots()
        app = Starlette(routes=[Route("/chat", self.application(bots), methods=["POST"])])
        app.add_middleware(GuardMiddleware, guard=guard, routes=["/chat"])
        async with serving(app, lifespan="off") as url, aiohttp.ClientSession() as session:

            async def ask(bot: Bot, asked: Question) -> Got:
                bots.add(bot, asked)
                got = Got()
                async with session.post(f"{url}/chat", json=self.body(asked)) as response:
                    if response.status == HTTPStatus.INTERNAL_SERVER_ERROR:
                        got.error = "internal"
                        return got
                    assert response.headers["x-flames-policy"] == guard.policy.id
                    if response.content_type == "application/json":
                        self._whole(got, await response.json(), response)
                    else:
                        await self._stream(got, response, asked)
                return got

            yield ask

    def _whole(self, got: Got, body: Any, response: aiohttp.ClientResponse) -> None:
        if isinstance(body, dict) and "error" in body:
            got.error, got.message = body["error"]["code"], body["error"]["message"]
        else:
            self.whole(got, body, response.headers["x-flames-decision"])
            got.ended = True

    async def _stream(self, got: Got, response: aiohttp.ClientResponse, asked: Question) -> None:
        take = self.reader(got)
        try:
            async for data in response.content.iter_any():
                take(data)
                if asked.leave_after is not None and characters(got) >= asked.leave_after:
                    return
        except aiohttp.ClientPayloadError:
            got.error = got.error or "cut"
        got.ended = got.error is None


class OpenAIForm(Served):
    """An application in OpenAI's form."""

    def application(self, bots: Bots) -> Callable[[Request], Any]:
        async def chat(request: Request) -> Response:
            asked = await request.json()
            bot = bots.of(asked["messages"][-1]["content"])
            if not asked.get("stream"):
                return JSONResponse(completion(bot))
            pieces = talk(bot, self.frames, f"data: {DONE}\n\n")
            return Streaming(pieces, media_type=EVENTS)

        return chat

    def frames(self, bot: Bot) -> Any:
        return (f"data: {json.dumps(one)}\n\n" for one in chunks(bot))

    def body(self, asked: Question) -> dict[str, Any]:
        messages = [{"role": "user", "content": asked.prompt}]
        return {"model": "m", "messages": messages, "stream": asked.stream, "n": asked.n}

    def whole(self, got: Got, body: Any, decision: str) -> None:
        take_whole(got, body)

    def reader(self, got: Got) -> Callable[[bytes], None]:
        parser = SseParser()

        def take(data: bytes) -> None:
            for event in parser.feed(data):
                assert isinstance(event, SseEvent)
                if event.data == DONE:
                    continue
                value = json.loads(event.data)
                if "error" in value:
                    got.error = value["error"]["code"]
                else:
                    take_chunk(got, value)

        return take


class OwnForm(Served):
    """An application with JSON of its own; streams end with an event that says so."""

    def __init__(self, media: str) -> None:
        self.media = media

    def framed(self, value: dict[str, Any]) -> str:
        data = json.dumps(value, ensure_ascii=False)
        return f"{data}\n" if self.media == LINES else f"event: piece\ndata: {data}\n\n"

    def application(self, bots: Bots) -> Callable[[Request], Any]:
        async def chat(request: Request) -> Response:
            asked = await request.json()
            bot = bots.of(asked["message"])
            if not asked.get("stream"):
                reply = {"reply": bot.whole()[0, "content"], "id": "a-1", "tokens": 3}
                return JSONResponse(reply)
            pieces = talk(bot, self.frames, self.framed({"type": "end", "id": "a-1"}))
            return Streaming(pieces, media_type=self.media)

        return chat

    def frames(self, bot: Bot) -> Any:
        yield self.framed({"type": "start", "id": "a-1"})
        for n, delta in enumerate(bot.deltas):
            yield self.framed({"type": "piece", "n": n, "delta": {"text": delta.text}})

    def body(self, asked: Question) -> dict[str, Any]:
        return {"message": asked.prompt, "stream": asked.stream, "history": []}

    def whole(self, got: Got, body: Any, decision: str) -> None:
        got.texts[0, "content"] = body["reply"]
        withheld = decision in {"blocked", "human"}
        got.finishes = {0: "content_filter" if withheld else "stop"}

    def reader(self, got: Got) -> Callable[[bytes], None]:
        parser, rest = SseParser(), bytearray()

        def values(data: bytes) -> list[Any]:
            if self.media != LINES:
                return [json.loads(event.data) for event in parser.feed(data)]  # type: ignore[union-attr]
            rest.extend(data)
            *lines, left = bytes(rest).split(b"\n")
            rest[:] = left
            return [json.loads(line) for line in lines]

        def take(data: bytes) -> None:
            for value in values(data):
                if "error" in value:
                    got.error = value["error"]["code"]
                elif value.get("type") == "end":
                    got.finishes = {0: "stop"}
                else:
                    said = value["delta"]["text"] if "delta" in value else value.get("reply", "")
                    got.texts[0, "content"] = got.said() + said
            if got.said().endswith((SORRY, SORRY_EN)):
                got.finishes = {0: "content_filter"}

        return take


class TestOpenAIForm(
    EdgeContract,
    StreamContract,
    AheadContract,
    ChoicesContract,
    ToolsContract,
    DisconnectContract,
):
    """A FastAPI or Starlette application that speaks OpenAI's form."""

    @pytest.fixture
    def edge(self) -> Any:
        return OpenAIForm()


class TestOwnEvents(EdgeContract, StreamContract, DisconnectContract):
    """An application with server-sent events of its own."""

    @pytest.fixture
    def edge(self) -> Any:
        return OwnForm(EVENTS)


class TestOwnLines(StreamContract):
    """The same with a JSON value a line."""

    @pytest.fixture
    def edge(self) -> Any:
        return OwnForm(LINES)
