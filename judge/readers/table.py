"""CSV, with commas, semicolons, tabs or bars between the cells. The first row names the columns."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from typing import BinaryIO

from judge.readers.lines import MOST_BYTES, NOT_UTF8, numbered_lines, too_long
from judge.records import UnreadableRowError
from judge.rows import FIELDS, Row

DELIMITERS = ",\t;|"
_MOST_CHARACTERS = MOST_BYTES // 4  # of a cell; csv keeps four bytes for each
_MOST_LINES = 10_000  # of a row: beyond that, a closing quotation mark is taken to be missing
_OVERLONG = "\udc00"  # stands for a line beyond the limit: no decoded byte gives this surrogate
_Line = tuple[int, str]


def find_delimiter(header: str, known: Collection[str] = FIELDS) -> str | None:
    """The delimiter that splits a header into the most columns that are known, or None."""
    found = {
        mark: len(set(column_names(header_cells(header, mark))) & set(known)) for mark in DELIMITERS
    }
    best = max(found, key=lambda mark: found[mark])
    return best if found[best] else None


def header_cells(header: str, delimiter: str) -> list[str]:
    """The cells of a header; none when its quotation marks don't match."""
    try:
        return next(csv.reader([header], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []


def column_names(cells: Sequence[object]) -> list[str]:
    """Columns by the names that rows know: any case, white space around them."""
    return [str(cell).strip().lower() for cell in cells]


def csv_rows(stream: BinaryIO, delimiter: str, most: int = MOST_BYTES) -> Iterator[tuple[int, Row]]:
    """The rows of a table, numbered by the line where they begin; blank ones are skipped.

    A row whose quotation marks don't match is bad, and reading goes on with its second line, so
    that it doesn't take the rows after it along.
    """
    # The limit is the csv module's own and the same for every reader in the process.
    csv.field_size_limit(max(csv.field_size_limit(), _MOST_CHARACTERS))
    lines = _Lines(stream, most)
    cells = csv.reader(lines, delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        try:
            row = next(cells)
        except StopIteration:
            return
        except csv.Error as error:
            yield lines.first, _unquoted(error)
            lines.go_back()
            continue
        if any(row) and header is None:
            header = column_names(row)
        elif any(row) and header is not None:
            yield lines.first, _row(header, row, most)
        lines.go_on()


class _Lines:
    """Gives csv its lines, and remembers those of the row that is being read."""

    def __init__(self, stream: BinaryIO, most: int) -> None:
        self._lines = _decoded(stream, most)
        self._again: deque[_Line] = deque()
        self._row: list[_Line] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if len(self._row) >= _MOST_LINES:
            raise csv.Error("too many lines")
        line = self._again.popleft() if self._again else next(self._lines)
        self._row.append(line)
        return line[1]

    @property
    def first(self) -> int:
        """The number of the row's first line."""
        return self._row[0][0]

    def go_on(self) -> None:
        """The row is read."""
        self._row.clear()

    def go_back(self) -> None:
        """The row can't be read: its lines after the first are read as rows of their own."""
        self._again.extendleft(reversed(self._row[1:]))
        self._row.clear()


def _decoded(stream: BinaryIO, most: int) -> Iterator[_Line]:
    for number, line in numbered_lines(stream, most):
        yield number, _OVERLONG if line is None else line.decode("utf-8", "surrogateescape")


def _unquoted(error: csv.Error) -> UnreadableRowError:
    if "larger than field limit" in str(error):
        reason = f"has a cell of more than {_MOST_CHARACTERS:,} characters"
        return UnreadableRowError(reason, "does a closing quotation mark miss? else shorten it")
    return UnreadableRowError(
        "has quotation marks that don't match",
        'put a cell that holds a quotation mark in "...", and double the marks inside it',
    )


def _row(header: Sequence[str], cells: Sequence[str], most: int) -> Row:
    text = "".join(cells)
    if not text.isascii() and not _encodable(text):
        return too_long(most) if _OVERLONG in text else NOT_UTF8
    if len(cells) < len(header) or any(cells[len(header) :]):
        reason = f"has {len(cells)} cells where the header has {len(header)}"
        mend = 'put a cell that holds a delimiter or a line break in "..."'
        return UnreadableRowError(reason, mend)
    return dict(zip(header, cells, strict=False))


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
