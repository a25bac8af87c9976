"""Plain text that streams, which may be lines of JSON behind a mark: `0:"text"`.

So do the data streams of Vercel's SDK: read as one text, its pieces would stand apart.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final

from guard.asgi.bodies import MOST_OF_A_LINE, Body, LineBody, TextBody
from guard.asgi.question import Question, parsed
from guard.asgi.routes import Route
from guard.engine import Guard
from guard.openai_api import ApiError, serialised

_MARKED: Final = re.compile(rb'[0-9a-z]:["{\[]')
_BESIDE: Final = "2"  # the mark of what is no text
_TEXTS: Final = ("0", "g", "3")  # of text, thinking and errors


class PlainBody:
    """A stream of plain text: lines of that kind if the first one is, else a text."""

    def __init__(self, guard: Guard, question: Question, route: Route) -> None:
        self._guard, self._question, self._route = guard, question, route
        self._held = bytearray()
        self._body: Body | None = None
        self.over = False

    async def take(self, data: bytes) -> bytes:
        if self._body is None:
            self._held += data
            marked = _MARKED.match(self._held) or len(self._held) < 3
            if marked and b"\n" not in data and len(self._held) < MOST_OF_A_LINE:
                return b""
            data = bytes(self._held)
            self._body = self._chosen(data.partition(b"\n")[0])
        return await self._passed(self._body, self._body.take(data))

    async def end(self) -> bytes:
        body, out = self._body, b""
        if body is None:
            data = bytes(self._held)
            self._body = body = self._chosen(data)
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

    def _chosen(self, line: bytes) -> Body:
        try:
            _value(line)
        except ApiError:
            return TextBody(self._guard, self._question)
        return MarkedLines(self._guard, self._question, self._route)


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


def _value(line: bytes) -> dict[str, Any]:
    """A line as an object whose key is its mark.

    Raises:
        ApiError: it is none.
    """
    if not _MARKED.match(line):
        raise ApiError("the line has no mark", code="invalid_json")
    return {chr(line[0]): parsed(line[2:], MOST_OF_A_LINE)}
