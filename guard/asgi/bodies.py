"""Streamed responses: server-sent events, lines of JSON."""

from __future__ import annotations

from typing import Any, Final, Protocol

from guard.asgi.flow import Flow, harmless_name
from guard.asgi.question import Question, is_json, parsed
from guard.asgi.routes import Route
from guard.engine import Guard
from guard.framed import framed_beside, objects_in
from guard.live import LiveAnswer
from guard.openai_api import (
    DONE,
    DONE_FRAME,
    ApiError,
    SseError,
    SseEvent,
    SseParser,
    encode_event,
    encode_frames,
    encode_json,
    is_chunk,
    serialised,
    upstream_unreadable,
)

MOST_OF_A_LINE: Final = 1024 * 1024
_BLANKS: Final = " \t\r\n"
LONGEST_RETRY_MS: Final = 10**9  # longer numbers are no times
WITHDRAWN: Final = {"flames_guard": {"retract": True, "from": 0}}


class Body(Protocol):
    """A response as it comes; `over` when nothing more of it is wanted."""

    over: bool

    async def take(self, data: bytes) -> bytes:
        """What to send after more of it.

        Raises:
            ApiError: 502 it can't be read; 503 it could not be judged.
        """

    async def end(self) -> bytes:
        """What to send when no more comes; raises as `take` does."""

    def broken(self, error: ApiError) -> bytes | None:
        """How a client is told of an error in mid-stream; None when it can't be told."""

    async def close(self) -> None:
        """Record what was decided; also when the client has left."""


class EventBody:
    """Server-sent events: OpenAI's chunks, or an application's own."""

    def __init__(self, guard: Guard, question: Question, route: Route) -> None:
        self._guard, self._question, self._route = guard, question, route
        self._parser = SseParser()
        self._live: LiveAnswer | None = None
        self._flow: Flow | None = None
        self._quoted = False
        self._retry: int | None = None
        self.over = False

    async def take(self, data: bytes) -> bytes:
        out = []
        for event in self._parser.feed(data):
            if isinstance(event, SseError):
                raise upstream_unreadable()
            out.append(await self._event(event))
            if self.over:
                break
        if self._parser.retry_ms != self._retry and (self._parser.retry_ms or 0) < LONGEST_RETRY_MS:
            self._retry = self._parser.retry_ms
            out.append(f"retry: {self._retry}\n\n".encode())
        return b"".join(out)

    async def end(self) -> bytes:
        if self._parser.pending:
            raise ApiError("the answer broke off", status=502, code="upstream_interrupted")
        if self._live is not None:
            return encode_frames(await self._live.end())
        if self._flow is None:
            return b""
        return self._flowed(await self._flow.end(), whole=True)

    def broken(self, error: ApiError) -> bytes | None:
        if self._live is not None or self._flow is None:
            return encode_json(error.body())
        return encode_event(SseEvent(_written(error.body()), event="error"))

    async def close(self) -> None:
        if self._live is not None:
            await self._live.close()
        if self._flow is not None:
            await self._flow.close()

    async def _event(self, event: SseEvent) -> bytes:
        value = _json(event.data)
        if self._live is None and self._flow is None:
            if is_chunk(value):
                request = self._question.request
                n = None if request is None else request.n
                self._live = LiveAnswer(self._guard, self._question.asked, n)
            else:
                self._flow = Flow(self._guard, self._question, self._route)
        if self._live is not None:
            return await self._chunk(self._live, event.data, value)
        return await self._own(self._flow, event, value) if self._flow is not None else b""

    async def _chunk(self, live: LiveAnswer, data: str, value: Any) -> bytes:
        if data == DONE:
            frames = await live.end()
            self.over = True
            return encode_frames(frames) + DONE_FRAME
        if not isinstance(value, dict):
            raise upstream_unreadable()
        frames = await live.take(value)
        if not live.over:
            return encode_frames(frames)
        self.over = True
        return encode_frames([*frames, *live.last_words()]) + DONE_FRAME

    async def _own(self, flow: Flow, event: SseEvent, value: Any) -> bytes:
        if event.data == DONE:
            out = self._flowed(await flow.end(), whole=True)
            self.over = True
            return out + encode_event(SseEvent(DONE, harmless_name(event.event)))
        beside = {} if event.event == "message" else {"event": event.event}
        beside |= {"id": event.id} if event.id else {}
        if isinstance(value, dict | list) or value is not event.data:
            self._quoted = isinstance(value, str)
            if event.data == event.data.strip(_BLANKS):  # else perhaps a text's piece, by chance
                event = SseEvent(_written(value), event.event, event.id)
        elif "\n" in event.data and next(objects_in(event.data), None) is not None:
            # who reads line by line finds JSON in them
            said = await framed_beside(event.data + "\n{}")
            beside |= {f"data[{n}]": one.text for n, one in enumerate(said)}
        return self._flowed(await flow.take(event, value, beside))

    def _flowed(self, events: list[SseEvent], *, whole: bool = False) -> bytes:
        """Events as they go out; the message and an end where the answer was stopped.

        Args:
            events: what may go out.
            whole: the application has ended its stream.
        """
        out = b"".join(map(encode_event, events))
        flow = self._flow
        if flow is None or flow.stopped is None:
            return out
        self.over = True
        if self._guard.policy.stream.mode == "retract" and flow.shown:
            out += encode_event(SseEvent(_written(WITHDRAWN), event="flames_guard"))
        out += self._said(flow, flow.last_words())
        if whole:
            return out + b"".join(map(encode_event, flow.behind()))
        if self._route.end:
            return out + self._route.end.strip("\n").encode() + b"\n\n"
        last = flow.last_event()
        return out if last is None else out + self._said(flow, last)

    def _said(self, flow: Flow, value: Any) -> bytes:
        """An event of ours in the form of the application's own."""
        plain = isinstance(value, str) and not self._quoted
        return encode_event(SseEvent(value if plain else _written(value), flow.said_as()))


class LineBody:
    """One JSON value a line."""

    _blank = b""  # what a line without one is written as

    def __init__(self, guard: Guard, question: Question, route: Route) -> None:
        self._flow, self._route = Flow(guard, question, route), route
        self._retracts = guard.policy.stream.mode == "retract"
        self._rest = bytearray()
        self.over = False

    async def take(self, data: bytes) -> bytes:
        self._rest += data
        lines: list[bytes] = []
        if b"\n" in data:
            *lines, rest = bytes(self._rest).split(b"\n")
            self._rest = bytearray(rest)
        if len(self._rest) > MOST_OF_A_LINE:
            raise upstream_unreadable()
        out = b""
        for line in lines:
            out += await self._line(line)
            if self.over:
                break
        return out

    async def end(self) -> bytes:
        out = await self._line(bytes(self._rest)) if self._rest else b""
        return out if self.over else out + self._flowed(await self._flow.end(), whole=True)

    def broken(self, error: ApiError) -> bytes | None:
        return serialised(error.body()) + b"\n"

    async def close(self) -> None:
        await self._flow.close()

    async def _line(self, line: bytes) -> bytes:
        if not line.strip():
            return self._flowed(await self._flow.take(self._blank, "", {})) if self._blank else b""
        try:
            value, out = self._read(line)
        except ApiError:
            raise upstream_unreadable() from None
        return self._flowed(await self._flow.take(out, value, {}))

    def _read(self, line: bytes) -> tuple[Any, bytes]:
        """What a line says, and the line that goes out for it."""
        value = parsed(line, MOST_OF_A_LINE)
        return value, self._write(value)

    def _write(self, value: Any) -> bytes:
        return serialised(value) + b"\n"

    def _flowed(self, lines: list[bytes], *, whole: bool = False) -> bytes:
        out = b"".join(lines)
        if self._flow.stopped is None:
            return out
        self.over = True
        if self._retracts and self._flow.shown:
            out += self._write(WITHDRAWN)
        out += self._write(self._flow.last_words())
        if whole:
            return out + b"".join(self._flow.behind())
        if self._route.end:
            return out + self._route.end.strip("\n").encode() + b"\n"
        last = self._flow.last_event()
        return out if last is None else out + self._write(last)


def _written(value: Any) -> str:
    return serialised(value).decode()


def _json(data: str) -> Any:
    """An event's data as JSON, where it is an object, a list or a string; else as it is.

    Raises:
        ApiError: 502; two readers could read it differently.
    """
    said = data.strip(_BLANKS)
    if said[:1] not in {"{", "[", '"'}:
        return data
    try:
        return parsed(said.encode(), MOST_OF_A_LINE)
    except ApiError:
        if is_json(said.encode()):
            raise upstream_unreadable() from None
        return data
