"""A server behind the guard whose every byte a test writes: real sockets, no HTTP library.

async with Upstream(script) as upstream:      # script: async (call: Call) -> None
    ... upstream.url, upstream.calls
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

JSON = {"content-type": "application/json"}
SSE = {"content-type": "text/event-stream"}
USAGE = {"prompt_tokens": 11, "completion_tokens": 22, "total_tokens": 33}
DONE = b"data: [DONE]\n\n"


@dataclass
class Call:
    """One request, and the line on which it is answered."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)

    @property
    def prompt(self) -> str:
        """What the user asks last."""
        turns = [turn["content"] for turn in self.json["messages"] if turn["role"] == "user"]
        return str(turns[-1])

    async def raw(self, data: bytes) -> None:
        """Write bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(
        self, body: Any, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """A whole response; a body that is not bytes is written as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        length = {"content-length": str(len(data))}
        await self.raw(_head(status, {**JSON, **(headers or {}), **length}) + data)

    async def begin(self, headers: Mapping[str, str] = SSE, status: int = 200) -> None:
        """The head of a response whose body comes in pieces."""
        await self.raw(_head(status, {**headers, "transfer-encoding": "chunked"}))

    async def piece(self, data: bytes) -> None:
        """One piece of such a body."""
        if data:
            await self.raw(b"%x\r\n%s\r\n" % (len(data), data))

    async def end(self) -> None:
        """The end of such a body."""
        await self.raw(b"0\r\n\r\n")

    async def events(self, pieces: Iterable[bytes]) -> None:
        """A whole stream, cut as given."""
        await self.begin()
        for data in pieces:
            await self.piece(data)
        await self.end()

    async def cut(self) -> None:
        """Break the connection off."""
        self.writer.close()
        await asyncio.sleep(0)

    async def gone(self) -> None:
        """Wait until the other side hangs up."""
        while await self.reader.read(1024):
            pass


Script = Callable[[Call], Awaitable[None]]


class Upstream:
    """The server, in the running loop, for as long as the `async with` lasts."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.calls: list[Call] = []
        self.connections = 0
        self._running: set[asyncio.Task[None]] = set()
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, backlog=4096)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        self.connections += 1
        try:
            while (call := await _read(reader, writer)) is not None:
                self.calls.append(call)
                await self._script(call)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._running.discard(task)
            writer.close()


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Call | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Call(method, path, headers, body, reader, writer)


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def completion(*texts: str, finish: str = "stop", **message: Any) -> dict[str, Any]:
    """A whole answer with these choices; `message` adds to each."""
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": text, **message},
            "finish_reason": finish,
            "logprobs": None,
        }
        for index, text in enumerate(texts)
    ]
    around = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m"}
    return {**around, "choices": choices, "usage": USAGE}


def chunk(delta: Mapping[str, Any], choice: int = 0, finish: str | None = None) -> dict[str, Any]:
    """One chunk of a stream."""
    around = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return {**around, "choices": [{"index": choice, "delta": delta, "finish_reason": finish}]}


def usage_chunk() -> dict[str, Any]:
    """The chunk without choices that tells the tokens."""
    around = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return {**around, "choices": [], "usage": USAGE}


def frame(value: Any) -> bytes:
    """A value as one event."""
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def streamed(*texts: str, finish: str = "stop", usage: bool = False) -> bytes:
    """A whole stream of one choice, as bytes that may be cut anywhere."""
    frames = [chunk({"role": "assistant", "content": ""})]
    frames += [chunk({"content": text}) for text in texts]
    frames += [chunk({}, finish=finish)]
    frames += [usage_chunk()] if usage else []
    return b"".join(map(frame, frames)) + DONE


def cut(data: bytes, size: int) -> list[bytes]:
    """Bytes in pieces of so many."""
    return [data[at : at + size] for at in range(0, len(data), size)]
