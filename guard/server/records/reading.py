"""How large a record may be and what a bad one is told, for whoever takes records from callers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from judge.readers import Mends
from judge.records import BadRow, Record

BY_REQUEST: Final = Mends(
    "mend the name", "add a `dimension` field, or give `dimension` with the request"
)
ROW_BYTES: Final = 2**20
_REASON: Final = f"is longer than {ROW_BYTES >> 20} MiB"
_MEND: Final = "shorten it: no judge reads so much"


def of_a_size(rows: Iterable[Record | BadRow]) -> Iterator[Record | BadRow]:
    """The rows, where those that are too long to be judged are bad."""
    for row in rows:
        if isinstance(row, Record) and _characters(row) > ROW_BYTES:
            yield BadRow(source=row.source, reason=_REASON, mend=_MEND)
        else:
            yield row


def _characters(record: Record) -> int:
    turns = sum(len(turn.content) for turn in record.history)
    return len(record.prompt) + len(record.response or "") + turns
