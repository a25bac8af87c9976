"""Plain text that streams, which may be events, or lines of JSON, also behind a mark: `0:"text"`.

So are the data streams of Vercel's SDK, and many an application's, whatever type it tells: read as
one text, their pieces would stand apart.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from guard.asgi.bodies import MOST_OF_A_LINE, Body, LineBody
from guard.asgi.question import Question, is_json, parsed
from guard.asgi.routes import Route
from guard.asgi.texts import TextBody
from guard.engine import Guard
from guard.framed import framed, objects_in
from guard.openai_api import ApiError, serialised, strings_of

_MARKED: Final = re.compile(rb'[0-9a-z]:["{\[]')
_EVENT: Final = re.compile(rb'data: *["{\[]')
_BESIDE_DATA: Final = (b"event", b"id", b"retry", b"")
_BEFORE_EVENTS: Final = re.compile(rb"(?:(?:event|id|retry)?:.*)?\r?", re.DOTALL)
_BEGINNINGS: Final = (b'{"', b"data:", b"event:", b"id:", b"retry:", b":")
_BESIDE: Final = "2"  # the mark of what is no text
_TEXTS: Final = ("0", "g", "3")  # of text, thinking and errors
_MANY: Final = 128  # strings of a line that is no piece of an answer, but all of one


class PlainBody:
    """A stream of plain text: of whatever kind its first line is that says so, else a text."""

    def __init__(self, guard: Guard, question: Question, route: Route) -> None:
        self._guard, self._question, self._route = guard, question, route
        self._held = bytearray()
        self._line = 0  # where the line begins that is to tell
        self._body: Body | None = None
        self.over = False

    async def take(self, data: bytes) -> bytes:
        if self._body is None:
            self._body = self._told(data)
            if self._body is None:
                return b""
            data = bytes(self._held)
        return await self._passed(self._body, self._body.take(data))

    async def end(self) -> bytes:
        body, out = self._body, b""
        if body is None:
            data = bytes(self._held)
            self._body = body = self._chosen(data[self._line :], ended=False)
            out = await self._passed(body, body.take(data))
        return out if self.over else out + await self._passed(body, body.end())

    def broken(self, error: ApiError) -> bytes | None:
        return None if self._body is None else self._body.broken(error)

    async def close(self) -> None:
        if self._body is not None:
            await self._body.close()

    async def _passed(self, body: Body, work: Any) -> bytes:
        out: bytes = await work
        self.over = body.over
        return out

    def _told(self, data: bytes) -> Body | None:
        """What reads the stream, once a line of it tells."""
        new = len(self._held)
        self._held += data
        while (end := self._held.find(b"\n", max(self._line, new))) >= 0:
            line = bytes(self._held[self._line : end])
            if not _BEFORE_EVENTS.fullmatch(line):
                return self._chosen(line, ended=True)
            self._line = end + 1
        if len(self._held) < MOST_OF_A_LINE and _is_begun(self._held[self._line : self._line + 8]):
            return None
        return self._chosen(bytes(self._held[self._line :]), ended=False)

    def _chosen(self, line: bytes, *, ended: bool) -> Body:
        """What reads such a line, which may be the only one and then needs no end."""
        events = bool(_EVENT.match(line))
        said = line.decode("utf-8", "replace") if line.startswith(b"{") else ""
        several = len(list(islice(objects_in(said), 2))) > 1
        if events or several or (ended and line.startswith(b"{") and is_json(line)):
            return TextLines(self._guard, self._question, self._route, events=events)
        try:
            _value(line)
        except ApiError:
            return TextBody(self._guard, self._question)
        return MarkedLines(self._guard, self._question, self._route)


class TextLines(LineBody):
    """Lines of JSON or of events as they were written, and of text among them.

    Args:
        guard, question, route: as of other bodies.
        events: what is said by the guard is an event too.
    """

    _blank = b"\n"

    def __init__(self, guard: Guard, question: Question, route: Route, *, events: bool) -> None:
        super().__init__(guard, question, route)
        self._frame = (b"data: ", b"\n\n") if events else (b"", b"\n")

    async def end(self) -> bytes:
        out = await super().end()
        return out.removesuffix(b"\n") if self._rest and not self.over else out

    def _read(self, line: bytes) -> tuple[Any, bytes]:
        name, mark, rest = line.partition(b":")
        is_data = bool(mark) and name == b"data"
        try:
            if mark and name in _BESIDE_DATA:
                value: Any = {name.decode(): rest.decode().strip()}
            else:
                value = self._said(rest if is_data else line, before="" if is_data else "\n")
        except UnicodeDecodeError:
            raise ApiError("the line is not UTF-8", code="invalid_json") from None
        return value, line + b"\n"

    def _said(self, said: bytes, before: str) -> Any:
        """What a line says: JSON, or else a text.

        Args:
            said: the line, or an event's data.
            before: what parts a text from the one before it.
        """
        try:
            value = parsed(said, MOST_OF_A_LINE)
        except ApiError:
            if is_json(said):
                raise
            value = None
        text = said.decode().strip()
        if not isinstance(value, dict | list | str):  # a number may be a piece of a longer one
            several = [part.text for part in framed(text)]
            return [*several, text] if several else before + text
        strings = sum(not path.endswith("~") for path, _ in strings_of(value))
        return value if strings <= _MANY else "\n" + text

    def _write(self, value: Any) -> bytes:
        before, behind = self._frame
        return before + serialised(value) + behind


class MarkedLines(LineBody):
    """Lines of JSON, each behind its mark."""

    def __init__(self, guard: Guard, question: Question, route: Route) -> None:
        super().__init__(guard, question, replace(route, replies=[*_TEXTS, *route.replies]))

    def broken(self, error: ApiError) -> bytes | None:
        return b"3:" + serialised(error.message) + b"\n"

    def _read(self, line: bytes) -> tuple[Any, bytes]:
        value = _value(line)
        return value, self._write(value)

    def _write(self, value: Any) -> bytes:
        mark = next(iter(value), "") if isinstance(value, dict) and len(value) == 1 else ""
        if len(mark) != 1:
            return self._write({_BESIDE: [value]})
        return f"{mark}:".encode() + serialised(value[mark]) + b"\n"


def _is_begun(line: bytes | bytearray) -> bool:
    """Whether a line that so begins may yet be one of events, or of JSON."""
    marked = _MARKED.match(line) or len(line) < 3
    return bool(marked) or any(one.startswith(line[: len(one)]) for one in _BEGINNINGS)


def _value(line: bytes) -> dict[str, Any]:
    """A line as an object whose key is its mark.

    Raises:
        ApiError: it is none.
    """
    if not _MARKED.match(line):
        raise ApiError("the line has no mark", code="invalid_json")
    return {chr(line[0]): parsed(line[2:], MOST_OF_A_LINE)}
