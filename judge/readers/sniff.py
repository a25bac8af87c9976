"""The first bytes of a file -> its encoding and format. Pure."""

from __future__ import annotations

import codecs
import itertools
import re
import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePath

from pydantic_core import from_json

from judge.errors import InputError
from judge.readers.table import column_names, find_delimiter, header_cells
from judge.rows import FIELDS

_OTHERS = {
    b"PK\x03\x04": ("is a ZIP archive or an Excel workbook", "unpack it, or save it as CSV UTF-8"),
    b"\xd0\xcf\x11\xe0": ("is an Excel workbook or another Office file", "save it as CSV UTF-8"),
    b"\x28\xb5\x2f\xfd": ("is compressed with zstd", "zstd -d"),
    b"\xfd7zXZ": ("is compressed with xz", "xz -d"),
    b"BZh": ("is compressed with bzip2", "bzip2 -d"),
    b"7z\xbc\xaf": ("is a 7z archive", "unpack it"),
    b"Rar!": ("is a RAR archive", "unpack it"),
    b"%PDF-": ("is a PDF", "export its rows as CSV"),
    b"SQLite format 3\x00": ("is a SQLite database", "export its rows as CSV"),
    b"ARROW1": ("is an Arrow file", "save it as Parquet"),
}
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CHINESE = {"gb18030": "GB18030", "big5": "BIG5"}
_WIDE = {"utf_16": "UTF-16", "utf_16_le": "UTF-16LE", "utf_16_be": "UTF-16BE"}
_ARRAY = re.compile(rb"\s*\[\s*([{\]]|\Z)")
_JSON_NAMES = (".jsonl", ".ndjson", ".json")
_TABLE_NAMES = (".csv", ".tsv", ".tab")


class Kind(Enum):
    """What the rows are written in."""

    LINES = "JSON lines"
    OBJECTS = "JSON"
    TABLE = "CSV"
    PARQUET = "Parquet"


@dataclass(frozen=True)
class Format:
    """A kind of file; `delimiter` stands between the cells of a table."""

    kind: Kind
    delimiter: str = ""


def check_text(head: bytes, name: str) -> None:
    """Refuse a file that is empty or not UTF-8 text.

    A few lines that aren't UTF-8 among others that are don't count against the file: they will be
    bad rows.

    Raises:
        InputError: says what the file is instead, as far as that can be told.
    """
    if not head.strip():
        raise InputError("is empty", file=name, mend="is it the right file?")
    for magic, (problem, mend) in _OTHERS.items():
        if head.startswith(magic):
            raise InputError(problem, file=name, mend=mend)
    if head.startswith(_UTF16) or 8 * head.count(0) > len(head) or _mostly_undecodable(head):
        raise _not_utf8(head, name)
    if b"\n" not in head and b"\r" in head.strip():
        mend = f"tr '\\r' '\\n' < {shlex.quote(name)} > {_renamed(name)}"
        raise InputError("its lines end in carriage returns alone", file=name, mend=mend)


def _mostly_undecodable(head: bytes) -> bool:
    """Whether lines that aren't UTF-8 outweigh those that say that the file is."""
    lines = [line for line in head.split(b"\n") if line.strip()]
    wide = [line for line in lines if not line.isascii()]
    bad = sum(not _decodable(line) for line in wide)
    return bad > len(wide) - bad and 2 * bad >= len(lines)


def _decodable(line: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(line)  # the last line may be cut off
    except UnicodeDecodeError:
        return False
    return True


def _not_utf8(head: bytes, name: str) -> InputError:
    encoding = _encoding(head)
    if encoding is None:
        return InputError("is not UTF-8 text", file=name, mend="save it as UTF-8")
    mend = f"iconv -f {encoding} -t UTF-8 {shlex.quote(name)} > {_renamed(name)}"
    return InputError(f"is not UTF-8 but, it seems, {encoding}", file=name, mend=mend)


def _encoding(head: bytes) -> str | None:
    from charset_normalizer import from_bytes

    if head.startswith(_UTF16):
        return "UTF-16"
    if 0 in head:  # the marks of JSON and CSV in UTF-16; elsewhere there is no such byte
        known, sample = _WIDE, head[: len(head) // 2 * 2]
    else:
        known, sample = _CHINESE, head[: head.rfind(b"\n") + 1] or head
    best = from_bytes(sample, cp_isolation=list(known)).best()
    return None if best is None else known.get(best.encoding)


def _renamed(name: str) -> str:
    path = PurePath(name)
    return shlex.quote(f"{path.stem}.utf8{path.suffix}")


def find_format(head: bytes, name: str, needed: Sequence[Sequence[str]]) -> Format:
    """The format of a text file, by its content and, where that leaves it open, by its name.

    Raises:
        InputError: it is neither JSON nor a table with a header, or lacks a column.
    """
    first = next(line for line in head.split(b"\n") if line.strip()).strip()
    if _ARRAY.match(head) or first == b"{" or _other_array(head, first):
        return Format(Kind.OBJECTS)
    suffix = PurePath(name.removesuffix(".gz")).suffix.lower()
    header = first.decode("utf-8", "replace")
    known = {*FIELDS, *itertools.chain.from_iterable(needed)}
    delimiter = None if first.startswith((b"{", b"[")) else find_delimiter(header, known)
    if delimiter is not None:
        check_columns(column_names(header_cells(header, delimiter)), name, needed)
        return Format(Kind.TABLE, delimiter)
    if suffix in _TABLE_NAMES and not first.startswith(b"{"):
        mend = f"begin with a row like {','.join(_example(needed))}"
        raise InputError("its first row names no column that is known", file=name, mend=mend)
    if suffix in _JSON_NAMES or re.search(rb"^\s*\{", head, re.MULTILINE):
        return Format(Kind.LINES)
    fields = ", ".join(f'"{field}": ...' for field in _example(needed))
    mend = f"write lines of {{{fields}}}"
    raise InputError("is neither JSON lines nor a table with a header", file=name, mend=mend)


def _other_array(head: bytes, first: bytes) -> bool:
    """Whether the file is one array that doesn't begin with an object.

    An array that ends with its line, and lines after it, are JSON lines of which the first is bad.
    """
    if not first.startswith(b"["):
        return False
    try:
        from_json(first, allow_partial=True)
    except ValueError:
        return False
    alone = head.strip() == first
    try:
        from_json(first)
    except ValueError:
        return True
    return alone


def _example(needed: Sequence[Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(("dimension", *(group[0] for group in needed))))


def check_columns(columns: Collection[str], name: str, needed: Sequence[Sequence[str]]) -> None:
    """Refuse a table that lacks a needed column, or has it or a known one twice.

    Raises:
        InputError: names the column.
    """
    known = dict.fromkeys((*FIELDS, *itertools.chain.from_iterable(needed)))
    twice = next((field for field in known if list(columns).count(field) > 1), None)
    if twice is not None:
        raise InputError(f"has two columns `{twice}`", file=name, mend="rename one")
    for group in needed:
        if not set(group) & set(columns):
            wanted = " or ".join(f"`{field}`" for field in group)
            raise InputError(f"has no column {wanted}", file=name, mend="rename its columns")
