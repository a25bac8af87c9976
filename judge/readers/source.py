"""A path -> a file whose format is known. What is wrong with a file as a whole is said here."""

from __future__ import annotations

import gzip
import io
import os
import stat
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

from judge.errors import InputError
from judge.readers.lines import MOST_BYTES, json_lines, json_objects
from judge.readers.parquet import open_parquet, parquet_columns, parquet_rows
from judge.readers.sniff import Format, Kind, check_columns, check_text, find_format
from judge.readers.table import csv_rows
from judge.records import UnreadableRowError
from judge.rows import FIELDS, Row

_SAMPLE = 2**18  # bytes from which encoding and format are told
_GZIP, _PARQUET, _BOM = b"\x1f\x8b", b"PAR1", b"\xef\xbb\xbf"
_CUT_OFF = UnreadableRowError("the compressed file breaks off here", "compress it again")
_BROKEN_GZIP = (EOFError, zlib.error, gzip.BadGzipFile)
Needed = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Source:
    """One input file.

    `needed` are the columns that a table must have: of each group, at least one. `stream` is the
    content where the file can't be opened a second time: standard input, or a `pipe`, which is
    closed after its last row. Of a Parquet file all columns are read if it is `whole`, else those
    that are known or needed. A row of text of more than `row_bytes` isn't read.
    """

    name: str
    stem: str
    path: str
    format: Format
    needed: Needed
    stream: BinaryIO | None = None
    pipe: BinaryIO | None = None
    whole: bool = False
    row_bytes: int = MOST_BYTES

    def rows(self) -> Iterator[tuple[int, Row]]:
        """The rows with their line numbers.

        Raises:
            InputError: the file holds no row, or can't be read any more.
        """
        line = 0
        try:
            for line, row in self._rows():
                yield line, row
        except _BROKEN_GZIP:
            line += 1
            yield line, _CUT_OFF
        except OSError as error:
            raise unreadable(error, self.name) from None
        if not line:
            raise InputError("holds no rows", file=self.name, mend="is it the right file?")

    def _rows(self) -> Iterator[tuple[int, Row]]:
        if self.format.kind is Kind.PARQUET:
            known = {*FIELDS, *(name for group in self.needed for name in group)}
            yield from parquet_rows(self.path, None if self.whole else known)
        elif self.stream is not None:
            with self.pipe or nullcontext():
                yield from _parsed(self.stream, self.format, self.row_bytes)
        else:
            with Path(self.path).open("rb") as file:
                yield from _parsed(_unpacked(file)[1], self.format, self.row_bytes)


def _parsed(stream: BinaryIO, form: Format, most: int) -> Iterator[tuple[int, Row]]:
    if form.kind is Kind.TABLE:
        return csv_rows(stream, form.delimiter, most)
    return json_lines(stream, most) if form.kind is Kind.LINES else json_objects(stream, most)


def open_sources(
    paths: Sequence[str | Path],
    stdin: BinaryIO | None,
    needed: Needed,
    called: str | None = None,
) -> list[Source]:
    """Open every file and tell its format, before a row of any is read.

    Args:
        paths: the files; `-` is standard input.
        stdin: what `-` reads.
        needed: columns that a table must have: of each group, at least one.
        called: what a file is called in place of its path.

    Raises:
        InputError: one of them can't be read, stands twice, or is in no known format.
    """
    if not paths:
        raise InputError("no input file", mend="give one or more files, or - for standard input")
    seen: set[object] = set()
    found = []
    for path in map(str, paths):
        key = _identity(path)
        if key in seen:
            raise InputError("stands twice among the files", file=shown(path), mend="give it once")
        seen.add(key)
        found.append(_open_source(path, stdin, needed, called))
    return found


def shown(path: str) -> str:
    """The path as it can be printed and stored: a file name needn't be UTF-8."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def unreadable(error: OSError, name: str) -> InputError:
    """The error for a file that the system doesn't let us read."""
    if isinstance(error, FileNotFoundError):
        return InputError("does not exist", file=name, mend="check the path")
    if isinstance(error, PermissionError):
        return InputError("can't be read: no permission", file=name, mend="chmod u+r")
    return InputError(f"can't be read: {error.strerror or 'input error'}", file=name)


def _identity(path: str) -> object:
    """What is the same for two paths to one file."""
    if path == "-":
        return path
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError as error:
        raise unreadable(error, shown(path)) from None
    except ValueError:
        raise InputError("is no path", file=repr(path), mend="check the path") from None
    if stat.S_ISDIR(found.st_mode):
        mend = "give the files in it"
        raise InputError("is a folder", file=shown(path), mend=mend)
    return found.st_dev, found.st_ino


def _open_source(path: str, stdin: BinaryIO | None, needed: Needed, called: str | None) -> Source:
    name = called or ("stdin" if path == "-" else shown(path))
    try:
        if path == "-":
            return _source(path, name, needed, _unpacked(stdin or standard_input()))
        file = Path(path)
        if not file.is_file():  # a pipe can't be opened a second time
            pipe = file.open("rb")
            return replace(_source(path, name, needed, _unpacked(pipe)), pipe=pipe)
        with file.open("rb") as opened:
            return replace(_source(path, name, needed, _unpacked(opened)), stream=None)
    except _BROKEN_GZIP:
        mend = "compress it again"
        raise InputError("is not a whole gzip file", file=name, mend=mend) from None
    except OSError as error:
        raise unreadable(error, name) from None


def _source(path: str, name: str, needed: Needed, content: tuple[bytes, BinaryIO]) -> Source:
    head, stream = content
    return Source(name, _stem(name), path, _format(path, name, head, needed), needed, stream)


def _format(path: str, name: str, head: bytes, needed: Needed) -> Format:
    if not head.startswith(_PARQUET):
        check_text(head, name)
        return find_format(head, name, needed)
    if not Path(path).is_file():
        mend = "save it as a file"
        raise InputError("Parquet can't be read from a pipe", file=name, mend=mend)
    with open_parquet(path, name) as table:
        check_columns(parquet_columns(table), name, needed)
    return Format(Kind.PARQUET)


def standard_input() -> BinaryIO:
    """What is piped in.

    Raises:
        InputError: it was closed before the command began.
    """
    if sys.stdin is None:
        raise InputError("there is no standard input", file="stdin", mend="give a file")
    return sys.stdin.buffer


def _stem(name: str) -> str:
    plain = name.removesuffix(".gz")
    return Path(plain).stem or plain or name


def _unpacked(stream: BinaryIO) -> tuple[bytes, BinaryIO]:
    """The beginning of the content, and a stream over all of it: unzipped, without a BOM."""
    head = _head(stream)
    if head.startswith(_GZIP):
        stream = cast("BinaryIO", gzip.GzipFile(fileobj=_joined(head, stream)))
        head = _head(stream)
    head = head.removeprefix(_BOM)
    return head, _joined(head, stream)


def _head(stream: BinaryIO) -> bytes:
    """The first bytes: at least a line, or all there is; at most about a sample."""
    head = b""
    while len(head) < _SAMPLE and (piece := _some(stream, _SAMPLE - len(head))):
        head += piece
        if b"\n" in head.strip():
            break
    return head


def _some(stream: BinaryIO, most: int) -> bytes:
    """What is there, without waiting for more."""
    return cast("io.BufferedReader", stream).read1(most)


def _joined(head: bytes, rest: BinaryIO) -> BinaryIO:
    return io.BufferedReader(_Joined(head, rest), _SAMPLE)


class _Joined(io.RawIOBase):
    """What was read ahead, then the rest."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self._head[: len(buffer)] or _some(self._rest, len(buffer))
        self._head = self._head[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)
