"""Server-Sent Events: one incremental parser and one encoder (WHATWG HTML, 9.2.5 and 9.2.6).

Where the specification replaces bytes that are not UTF-8, this parser fails: the text that is
judged must be the text that a client would have seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from guard.openai_api.strict_json import serialised

MAX_EVENT_BYTES = 1024 * 1024
DONE = "[DONE]"
"""The data of the event that ends a stream of OpenAI's."""
DONE_FRAME = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
"""A comment, which every reader skips: keeps proxies from closing a stream that is held."""

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class SseEvent:
    """One dispatched event; `id` is the last event ID, which stays until it is set anew."""

    data: str
    event: str = "message"
    id: str = ""


@dataclass(frozen=True, slots=True)
class SseError:
    """Why the stream can't be read any further."""

    kind: Literal["oversize", "encoding"]


class SseParser:
    """Bytes in, events out, for one stream; the work is linear in the bytes.

    Args:
        max_event_bytes: how many bytes of one event (or of one line) are held at most.

    Attributes:
        retry_ms: the reconnection time that the stream asked for, in milliseconds, if it did.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.retry_ms: int | None = None
        self._limit = max_event_bytes
        self._line: list[bytes] = []  # the pieces of the line that has not ended
        self._line_bytes = 0
        self._data: list[str] = []
        self._data_bytes = 0
        self._event = ""
        self._id = ""
        self._after_cr = False  # the next byte may be the LF of a CRLF that was cut
        self._first_line = True
        self._failed = False

    @property
    def pending(self) -> bool:
        """Whether an unfinished event is held; at the end of the stream it is to be discarded."""
        return bool(self._line_bytes or self._data or self._event)

    def feed(self, data: bytes) -> list[SseEvent | SseError]:
        """The events that end within `data`, however the stream was cut into reads.

        After an error, which is the last item of its list, every call gives an empty list.
        """
        found: list[SseEvent | SseError] = []
        if not data or self._failed:
            return found
        if self._after_cr:
            data = data.removeprefix(b"\n")
        self._after_cr = False
        for piece in data.splitlines(keepends=True):
            outcome = self._piece(piece)
            if outcome is not None:
                found.append(outcome)
            if self._failed:
                return found
        self._after_cr = data.endswith(b"\r")
        return found

    def _piece(self, piece: bytes) -> SseEvent | SseError | None:
        body = piece.rstrip(b"\r\n")
        ended = len(body) < len(piece)
        self._line_bytes += len(body)
        if self._data_bytes + self._line_bytes > self._limit:
            return self._fail("oversize")
        self._line.append(body)
        if not ended:
            return None
        whole = b"".join(self._line)
        self._line, self._line_bytes = [], 0
        if self._first_line:
            self._first_line = False
            whole = whole.removeprefix(_BOM)
        try:
            return self._take(whole.decode("utf-8"), len(whole))
        except UnicodeDecodeError:
            return self._fail("encoding")

    def _take(self, line: str, size: int) -> SseEvent | None:
        if not line:
            return self._dispatch()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
            self._data_bytes += size
        elif field == "event":
            self._event = value
        elif field == "id" and "\0" not in value:
            self._id = value
        elif field == "retry" and value.isascii() and value.isdigit() and len(value) <= 18:
            self.retry_ms = int(value)
        return None

    def _dispatch(self) -> SseEvent | None:
        lines, name = self._data, self._event
        self._data, self._data_bytes, self._event = [], 0, ""
        return SseEvent("\n".join(lines), name or "message", self._id) if lines else None

    def _fail(self, kind: Literal["oversize", "encoding"]) -> SseError:
        self._failed = True
        self._line, self._line_bytes, self._data, self._data_bytes = [], 0, [], 0
        return SseError(kind)


def encode_event(event: SseEvent) -> bytes:
    """One event as bytes. A CR in the data is written as a line's end, as the format has no other.

    Raises:
        ValueError: a line's end in the event's name or id, or a NUL in its id.
    """
    if any(c in event.event + event.id for c in "\r\n") or "\0" in event.id:
        raise ValueError("an event's name and id are single lines")
    lines = [f"event: {event.event}"] if event.event not in {"", "message"} else []
    lines += [f"id: {event.id}"] if event.id else []
    data = event.data.replace("\r\n", "\n").replace("\r", "\n")
    lines += [f"data: {line}" for line in data.split("\n")]
    return ("\n".join(lines) + "\n\n").encode("utf-8")


def encode_json(value: object) -> bytes:
    """A JSON value as one event, the form of every frame of a chat completion.

    Raises:
        ApiError: it is not JSON.
    """
    return b"data: " + serialised(value) + b"\n\n"


def encode_frames(frames: Iterable[dict[str, Any]]) -> bytes:
    """Chunks as they are sent."""
    return b"".join(map(encode_json, frames))
