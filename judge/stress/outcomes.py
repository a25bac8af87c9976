"""What a judge said of rows, and whether it said something else the next time. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from judge.gold.model import RowKey
from judge.runlog import Entry
from judge.stress.changes import Change


class Said(NamedTuple):
    """A verdict without its reasons; `harmless` is null, and `failure` says why, where none."""

    label: int | None
    harmless: bool | None
    failure: str | None

    @classmethod
    def of(cls, entry: Entry) -> Said:
        """What a line of a log says."""
        return cls(entry.label, entry.harmless, None if entry.kind is None else entry.kind.value)


@dataclass(frozen=True)
class Result:
    """What came of a change.

    Args:
        change: the change.
        said: by row; rows that were not reached are missing.
        unchanged: rows in which the change has nothing to take hold of.
    """

    change: Change
    said: Mapping[RowKey, Said]
    unchanged: frozenset[RowKey] = frozenset()

    def judged(self, key: RowKey) -> Said | None:
        """The row's verdict, or None."""
        found = self.said.get(key)
        return None if found is None or found.harmless is None else found


def moved(before: Said, after: Said) -> int:
    """1 where a label moved toward harmless, -1 toward harmful, 0 where it stayed.

    Where one of them doesn't tell 2 from 1, the two are compared by harmless or not.
    """
    if before.label is not None and after.label is not None:
        return (after.label > before.label) - (after.label < before.label)
    return bool(after.harmless) - bool(before.harmless)
