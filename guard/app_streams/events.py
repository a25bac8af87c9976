"""Server-sent events: OpenAI's chunks, or an application's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from guard.app_streams.body import MOST_OF_A_LINE, WITHDRAWN, Sender, passed_on
from guard.app_streams.flow import Flow, harmless_name
from guard.app_streams.setting import Setting
from guard.decision import Decision
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
    is_json,
    parse_value,
    serialised,
    upstream_unreadable,
)
from guard.texts.framed import framed_beside, objects_in

_BLANKS: Final = " \t\r\n"
LONGEST_RETRY_MS: Final = 10**9  # longer numbers are no times


class EventBody:
    """Events as they come: what their data says, read as JSON where it is JSON."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._parser = SseParser()
        self._live: LiveAnswer | None = None
        self._flow: Flow | None = None
        self._quoted = False
        self._ending: bytes | None = None  # how the application ended its stream
        self._retry: int | None = None
        self.over = False

    @property
    def stopped(self) -> Decision | None:
        said = self._live or self._flow
        return None if said is None else said.stopped

    @property
    def shown(self) -> bool:
        said = self._live or self._flow
        return said is not None and said.shown

    async def take(self, data: bytes, send: Sender | None = None) -> bytes:
        out = b""
        for event in self._parser.feed(data):
            if isinstance(event, SseError):
                raise upstream_unreadable()
            async for more in self._event(event):
                out += await passed_on(more, send)
            if self.over:
                break
        if self._parser.retry_ms != self._retry and (self._parser.retry_ms or 0) < LONGEST_RETRY_MS:
            self._retry = self._parser.retry_ms
            out += f"retry: {self._retry}\n\n".encode()
        return out

    async def end(self) -> bytes:
        if self._parser.pending:
            raise ApiError("the answer broke off", status=502, code="upstream_interrupted")
        if self._live is not None:
            return encode_frames(await self._live.end())
        return b"" if self._flow is None else await self._ended(self._flow, b"")

    def last_words(self) -> bytes:
        if self._live is not None and self._live.stopped is not None:
            return encode_frames(self._live.last_words()) + DONE_FRAME
        flow = self._flow
        if flow is None or flow.stopped is None:
            return b""
        out = self._taken_back(flow) + self._said(flow, flow.last_words())
        if self._ending is not None:
            return out + b"".join(map(encode_event, flow.behind())) + self._ending
        if self._setting.form.end:
            return out + self._setting.form.end.strip("\n").encode() + b"\n\n"
        last = flow.last_event()
        return out if last is None else out + self._said(flow, last)

    def broken(self, error: ApiError) -> bytes | None:
        if self._flow is not None:
            told = encode_event(SseEvent(_written(error.body()), event="error"))
            return self._taken_back(self._flow) + told
        back = [] if self._live is None else self._live.taken_back()
        return encode_frames(back) + encode_json(error.body())

    async def close(self, *, again: bool = False) -> Decision | None:
        said = self._live or self._flow
        return None if said is None else await said.close(again=again)

    async def _event(self, event: SseEvent) -> AsyncIterator[bytes]:
        value = _json(event.data)
        if self._live is None and self._flow is None:
            if is_chunk(value):
                self._live = LiveAnswer(self._setting.guard, self._setting.asked, self._setting.n)
            else:
                self._flow = Flow(self._setting)
        if self._live is not None:
            async for frames in self._chunk(self._live, event.data, value):
                yield frames
        elif self._flow is not None:
            yield await self._own(self._flow, event, value)

    async def _chunk(self, live: LiveAnswer, data: str, value: Any) -> AsyncIterator[bytes]:
        if data == DONE:
            frames = await live.end()
            self.over = True
            yield encode_frames(frames) + DONE_FRAME
            return
        if not isinstance(value, dict):
            raise upstream_unreadable()
        async for frames in live.take_in_turn(value):
            self.over = live.over
            yield encode_frames(frames)

    async def _own(self, flow: Flow, event: SseEvent, value: Any) -> bytes:
        if event.data == DONE:
            self.over = True
            return await self._ended(flow, encode_event(SseEvent(DONE, harmless_name(event.event))))
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
        events = await flow.take(event, value, beside)
        self.over = flow.stopped is not None
        return b"".join(map(encode_event, events))

    async def _ended(self, flow: Flow, ending: bytes) -> bytes:
        """What goes out when the application has ended its stream, by these bytes."""
        events, self._ending = await flow.end(), ending
        out = b"".join(map(encode_event, events))
        if flow.stopped is None:
            return out + ending
        self.over = True
        return out

    def _taken_back(self, flow: Flow) -> bytes:
        """What withdraws all that is shown, where the mode retracts."""
        if self._setting.mode != "retract" or not flow.shown:
            return b""
        return encode_event(SseEvent(_written(WITHDRAWN), event="flames_guard"))

    def _said(self, flow: Flow, value: Any) -> bytes:
        """An event of ours in the form of the application's own."""
        plain = isinstance(value, str) and not self._quoted
        return encode_event(SseEvent(value if plain else _written(value), flow.said_as()))


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
        return parse_value(said.encode(), MOST_OF_A_LINE)
    except ApiError:
        if is_json(said.encode()):
            raise upstream_unreadable() from None
        return data
