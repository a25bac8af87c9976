"""Plain text that streams, which may be events, or lines of JSON, also behind a mark: `0:"text"`.

So are the data streams of Vercel's SDK, and many an application's, whatever type it tells: read as
one text, their pieces would stand apart.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from guard.app_streams.body import MOST_OF_A_LINE, Body, Sender
from guard.app_streams.lines import LineBody
from guard.app_streams.setting import Setting
from guard.app_streams.texts import TextBody
from guard.decision import Decision
from guard.openai_api import (
    DONE,
    DONE_FRAME,
    ApiError,
    SseEvent,
    encode_event,
    is_json,
    parse_value,
    serialised,
    strings_of,
)
from guard.texts.framed import framed, loosely, objects_in

_MARKED: Final = re.compile(rb'[0-9a-z]:["{\[]')
_BESIDE_DATA: Final = (b"event", b"id", b"retry", b"")
_BEFORE_EVENTS: Final = re.compile(rb"(?:(?:event|id|retry)?:.*)?\r?", re.DOTALL)
_BEGINNINGS: Final = (b"data:", b"event:", b"id:", b"retry:", b":")
_JSON: Final = (b'{"', b'"', b'["')
_QUOTED: Final = re.compile(rb'"(?:[^"\\]|\\.)*(?:\\|"\s*)?', re.DOTALL)
MOST_HELD: Final = 600  # bytes of a line of JSON that may be a text
_BESIDE: Final = "2"  # the mark of what is no text
_TEXTS: Final = ("0", "g", "3")  # of text, thinking and errors
_ORDER: Final = b"\xef\xbb\xbf"  # a mark of the order of bytes
_MANY: Final = 128  # strings of a line that is no piece of an answer, but all of one


class PlainBody:
    """A stream of plain text: of whatever kind its first line is that says so, else a text."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._held = bytearray()
        self._line = 0  # where the line begins that is to tell
        self._body: Body | None = None
        self.over = False

    @property
    def stopped(self) -> Decision | None:
        return None if self._body is None else self._body.stopped

    @property
    def shown(self) -> bool:
        return self._body is not None and self._body.shown

    @property
    def is_text(self) -> bool:
        """Whether it may be cut anywhere; else it is of lines, which go out as they came."""
        return isinstance(self._body, TextBody)

    async def take(self, data: bytes, send: Sender | None = None) -> bytes:
        if self._body is None:
            self._body = self._told(data)
            if self._body is None:
                return b""
            data = bytes(self._held)
        return await self._passed(self._body, self._body.take(data, send))

    async def end(self) -> bytes:
        body, out = self._body, b""
        if body is None:
            data = bytes(self._held)
            self._body = body = self._chosen(data[self._line :], ended=False)
            out = await self._passed(body, body.take(data))
        return out if self.over else out + await self._passed(body, body.end())

    def last_words(self) -> bytes:
        return b"" if self._body is None else self._body.last_words()

    def broken(self, error: ApiError) -> bytes | None:
        return None if self._body is None else self._body.broken(error)

    async def close(self, *, again: bool = False) -> Decision | None:
        return None if self._body is None else await self._body.close(again=again)

    async def _passed(self, body: Body, work: Any) -> bytes:
        out: bytes = await work
        self.over = body.over
        return out

    def _told(self, data: bytes) -> Body | None:
        """What reads the stream, once a line of it tells."""
        new = len(self._held)
        self._held += data
        if not self._line and self._held.startswith(_ORDER):
            self._line = len(_ORDER)
        while (end := self._held.find(b"\n", max(self._line, new))) >= 0:
            line = bytes(self._held[self._line : end])
            if not _BEFORE_EVENTS.fullmatch(line):
                return self._chosen(line, ended=True)
            self._line = end + 1
        begun = bytes(self._held[self._line : self._line + MOST_HELD])
        if len(self._held) < MOST_OF_A_LINE and _is_begun(begun):
            return None
        return self._chosen(bytes(self._held[self._line :]), ended=False)

    def _chosen(self, line: bytes, *, ended: bool) -> Body:
        """What reads such a line, which may be the only one and then needs no end."""
        events = line.startswith(b"data:")
        said = line.decode("utf-8", "replace") if line.startswith(b"{") else ""
        several = len(list(islice(objects_in(said), 2))) > 1
        if events or several or (ended and line.startswith((b"{", b'"', b"[")) and is_json(line)):
            return TextLines(self._setting, events=events)
        try:
            _value(line)
        except ApiError:
            return TextBody(self._setting)
        return MarkedLines(self._setting)


class _AsWritten(LineBody):
    """Lines that go out byte for byte as they came."""

    def _blank(self, line: bytes) -> bytes:
        return line + b"\n"

    async def end(self) -> bytes:
        out = await super().end()
        return out.removesuffix(b"\n") if self._rest and not self.over else out


class TextLines(_AsWritten):
    """Lines of JSON or of events as they were written, and of text among them.

    Args:
        setting: the answer's.
        events: what is said by the guard is an event too.
    """

    def __init__(self, setting: Setting, *, events: bool) -> None:
        super().__init__(setting)
        self._events, self._quoted = events, False

    def last_words(self) -> bytes:
        words = super().last_words()
        ends = words and self._events and not self._whole and not self._setting.form.end
        return words + DONE_FRAME if ends and self._flow.is_openai else words

    def _read(self, line: bytes) -> tuple[Any, bytes]:
        said = line.removeprefix(_ORDER)
        name, mark, rest = said.partition(b":")
        is_data = bool(mark) and name == b"data"
        try:
            if is_data and rest.strip() == DONE.encode():
                value: Any = ""
            elif mark and name in _BESIDE_DATA:
                value = {name.decode(): rest.decode().strip()}
            else:
                value = self._said(rest if is_data else said, before="" if is_data else "\n")
        except UnicodeDecodeError:
            raise ApiError("the line is not UTF-8", code="invalid_json") from None
        return value, line + b"\n"

    def _said(self, said: bytes, before: str) -> Any:
        """What a line says: JSON, or else a text.

        Args:
            said: the line, or an event's data.
            before: what parts a text from the one before it.
        """
        text = said.decode().strip()
        try:
            value = parse_value(said, MOST_OF_A_LINE)
        except ApiError:  # what readers read differently is judged by all that any of them reads
            value = _loosely(text) if is_json(said) else None
        self._quoted = isinstance(value, str)
        if not isinstance(value, dict | list | str):  # a number may be a piece of a longer one
            several = [part.text for part in framed(text)]
            return [*several, text] if several else before + text
        strings = sum(not path.endswith("~") for path, _ in strings_of(value))
        return value if strings <= _MANY else "\n" + text

    def _write(self, value: Any) -> bytes:
        is_plain = self._events and isinstance(value, str) and not self._quoted
        data = value if is_plain else serialised(value).decode()
        return encode_event(SseEvent(data)) if self._events else data.encode() + b"\n"


class MarkedLines(_AsWritten):
    """Lines of JSON, each behind its mark."""

    def __init__(self, setting: Setting) -> None:
        form = replace(setting.form, replies=[*_TEXTS, *setting.form.replies])
        super().__init__(replace(setting, form=form))

    def broken(self, error: ApiError) -> bytes | None:
        return self._taken_back() + b"3:" + serialised(error.message) + b"\n"

    def _read(self, line: bytes) -> tuple[Any, bytes]:
        return _value(line.removeprefix(_ORDER)), line + b"\n"

    def _write(self, value: Any) -> bytes:
        mark = next(iter(value), "") if isinstance(value, dict) and len(value) == 1 else ""
        if len(mark) != 1:
            return self._write({_BESIDE: [value]})
        return f"{mark}:".encode() + serialised(value[mark]) + b"\n"


def _loosely(text: str) -> list[str]:
    """All that readers find in JSON; raises `ApiError` where it is nested too deep."""
    try:
        return [part.text for part in loosely(text)]
    except (ValueError, RecursionError):
        raise ApiError("the line can't be read", code="invalid_json") from None


def _is_begun(line: bytes) -> bool:
    """Whether a line that so begins may yet be one of events, or of JSON.

    What begins as JSON may also be a long answer that is JSON, or begins with a quotation.
    """
    if any(one.startswith(line[: len(one)]) for one in _BEGINNINGS):
        return True
    json = _MARKED.match(line) or any(one.startswith(line[: len(one)]) for one in _JSON)
    if len(line) >= 3 and not json:
        return False
    quoted = not line.startswith(b'"') or _QUOTED.fullmatch(line)
    return len(line) < MOST_HELD and bool(quoted)


def _value(line: bytes) -> dict[str, Any]:
    """A line as an object whose key is its mark.

    Raises:
        ApiError: it is none.
    """
    if not _MARKED.match(line):
        raise ApiError("the line has no mark", code="invalid_json")
    return {chr(line[0]): parse_value(line[2:], MOST_OF_A_LINE)}
