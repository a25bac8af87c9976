"""Bytes -> lines and JSON objects, in bounded memory and with their line numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from typing import Any, BinaryIO

from pydantic_core import from_json

from judge.records import UnreadableRowError
from judge.rows import Row

MOST_BYTES = 64 * 2**20
NO_OBJECT = UnreadableRowError("is not a JSON object", 'write {"field": value, ...}')
NOT_UTF8 = UnreadableRowError("is not UTF-8", "save the file as UTF-8")
_CHUNK = 2**20
_QUOTE, _OPEN = b'"{'
_BETWEEN = b" \t\r\n,[]"
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_VALUE = re.compile(
    rb"(?:%b|-?\d[-+.\deE]*+|true|false|null)(?:[\s,\[\]]++|\Z)" % _STRING, re.DOTALL
)
# To the end where it has none: to look for one behind each of its quotation marks would be slow.
_QUOTED = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_TOKEN = re.compile(_STRING + rb'|["{}]', re.DOTALL)


def too_long(most: int) -> UnreadableRowError:
    """Why a row of more bytes than `most` isn't read."""
    told = f"{most >> 20} MiB" if most % 2**20 == 0 else f"{most:,} bytes"
    return UnreadableRowError(f"is longer than {told}", "is a line break missing? else shorten it")


def numbered_lines(stream: BinaryIO, most: int) -> Iterator[tuple[int, bytes | None]]:
    """Lines with their 1-based numbers; None for one of more bytes than `most`."""
    for number in count(1):
        line: bytes | None = stream.readline(most + 1)
        if not line:
            return
        if len(line) > most:
            ends = line.endswith(b"\n")
            line = None
            while not ends:
                piece = stream.readline(_CHUNK)
                ends = not piece or piece.endswith(b"\n")
        yield number, line


def json_lines(stream: BinaryIO, most: int = MOST_BYTES) -> Iterator[tuple[int, Row]]:
    """The rows of a JSONL file; blank lines are skipped."""
    for number, line in numbered_lines(stream, most):
        if line is None:
            yield number, too_long(most)
        elif not line.isspace() and line:
            yield number, json_row(line)


def json_row(text: bytes) -> Row:
    """One JSON object, or why it isn't one."""
    try:
        value: Any = from_json(text)
    except ValueError as error:
        return _not_json(text, str(error))
    return value if isinstance(value, dict) else NO_OBJECT


def _not_json(text: bytes, problem: str) -> UnreadableRowError:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return NOT_UTF8
    if "hex escape" in problem or "surrogate" in problem:
        mend = "write characters as they are, or escape both halves of a pair"
        return UnreadableRowError("has half of a surrogate pair (\\ud800 to \\udfff)", mend)
    problem = problem.replace(" at line 1 column ", ", at column ")
    return UnreadableRowError(f"is not JSON: {problem}", "mend the line")


def json_objects(stream: BinaryIO, most: int = MOST_BYTES) -> Iterator[tuple[int, Row]]:
    """The objects of a JSON array, or of JSON objects one after another, wherever lines break.

    Objects are found by their braces, so that one which isn't JSON costs no other.
    """
    finder = _Objects()
    while chunk := stream.read(max(_CHUNK, len(finder.buffer))):
        yield from finder.feed(chunk)
        if len(finder.buffer) > most:
            yield finder.line, too_long(most)
            return
    yield from finder.close()


class _Objects:
    """Splits bytes into top-level JSON objects.

    `buffer` holds what isn't given away yet and begins at line `line`: with the object that is
    still open, or with what stands between objects.
    """

    def __init__(self) -> None:
        self.buffer, self.line = b"", 1
        self._at = 0  # up to where the buffer was searched
        self._depth = 0
        self._arrays = 0  # arrays that are open around the objects

    def feed(self, chunk: bytes) -> Iterator[tuple[int, Row]]:
        """The objects that are complete with this chunk."""
        self.buffer += chunk
        begin = 0
        for token in _TOKEN.finditer(self.buffer, self._at):
            self._at = token.end()
            mark = self.buffer[token.start()]
            if mark == _QUOTE:
                if token.end() - token.start() == 1:  # a string that goes on in the next chunk
                    self._at = token.start()
                    break
            elif mark == _OPEN:
                if self._depth == 0:
                    yield from self._between(self.buffer[begin : token.start()])
                    begin = token.start()
                self._depth += 1
            elif self._depth:
                self._depth -= 1
                if self._depth == 0:
                    yield self.line, json_row(self.buffer[begin : token.end()])
                    self.line += self.buffer.count(b"\n", begin, token.end())
                    begin = token.end()
        else:
            self._at = len(self.buffer)
        self.buffer, self._at = self.buffer[begin:], self._at - begin

    def close(self) -> Iterator[tuple[int, Row]]:
        """What is left at the end."""
        if self._depth:
            mend = "is the file cut off, or a quotation mark or brace missing?"
            yield self.line, UnreadableRowError("never ends; nothing after it was read", mend)
            return
        yield from self._between(self.buffer)
        if self._arrays > 0:
            mend = "is the file cut off?"
            yield self.line, UnreadableRowError("the array has no end", mend)

    def _between(self, text: bytes) -> Iterator[tuple[int, Row]]:
        """Go past what stands between objects: commas and brackets, or else bad rows."""
        junk = text.strip(_BETWEEN)
        if junk:
            before = text.index(junk[:1])
            for line, row in _strays(junk):
                yield self.line + text.count(b"\n", 0, before) + line, row
        marks = _QUOTED.sub(b"", text)
        self._arrays += marks.count(b"[") - marks.count(b"]")
        self.line += text.count(b"\n")


def _strays(junk: bytes) -> Iterator[tuple[int, Row]]:
    """What stands in place of objects, each with the line breaks before it: a bad row a value."""
    at = line = 0
    while at < len(junk):
        found = _VALUE.match(junk, at)
        yield line, NO_OBJECT if found else json_row(junk[at:])
        end = found.end() if found else len(junk)
        line += junk.count(b"\n", at, end)
        at = end
