"""Marks joined by row, what they come to, and where the rows are in a run. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, NamedTuple, TypeVar

from judge.gold.model import Design, GoldLabel, RowKey
from judge.rubric import Label

T = TypeVar("T")
How = Literal["adjudicated", "agreed", "majority", "single", "unresolved", "skipped"]


class Consensus(NamedTuple):
    """What a row's marks come to, and how; no label where it is unresolved or was skipped.

    An adjudicated label counts before all marks. Else the marks do where all are equal (`agreed`),
    where more than half are (`majority`), or where there is but one (`single`).
    """

    label: Label | None
    how: How


@dataclass(frozen=True)
class GoldRow:
    """One row with all that was said about it.

    `marks` are the annotators' labels before adjudication, in the order of the file; null is a
    skip. `changed` holds what those said first who changed their label later.
    """

    key: RowKey
    marks: Mapping[str, Label | None]
    adjudicated: Label | None
    design: Design
    inclusion: float | None
    changed: Mapping[str, Label] = field(default_factory=dict)

    @property
    def first_marks(self) -> Mapping[str, Label | None]:
        """What each annotator said at first, before any of them could know of the others."""
        return {**self.marks, **self.changed}

    @property
    def given(self) -> tuple[Label, ...]:
        """The marks that aren't skips."""
        return tuple(label for label in self.marks.values() if label is not None)

    @property
    def consensus(self) -> Consensus:
        """What the marks come to."""
        if self.adjudicated is not None:
            return Consensus(self.adjudicated, "adjudicated")
        if not self.given:
            return Consensus(None, "skipped")
        ((label, count), *others) = Counter(self.given).most_common()
        if not others:
            return Consensus(label, "agreed" if count > 1 else "single")
        if 2 * count > len(self.given):
            return Consensus(label, "majority")
        return Consensus(None, "unresolved")


def rows_of(labels: Iterable[GoldLabel]) -> tuple[GoldRow, ...]:
    """The rows of a checked gold file, in the order in which they first stand there."""
    by_row: dict[RowKey, list[GoldLabel]] = {}
    for label in labels:
        by_row.setdefault(label.key, []).append(label)
    return tuple(_row(key, said) for key, said in by_row.items())


def _row(key: RowKey, said: Sequence[GoldLabel]) -> GoldRow:
    marks = {mark.annotator or "": mark.label for mark in said if not mark.adjudicates}
    decided = [mark.label for mark in said if mark.adjudicates and mark.label is not None]
    first = said[0]
    return GoldRow(
        key=key,
        marks=marks,
        adjudicated=decided[0] if decided else None,
        design=first.drawn_by,
        inclusion=first.inclusion,
        changed={
            mark.annotator or "": mark.first_label
            for mark in said
            if not mark.adjudicates and mark.first_label is not None
        },
    )


@dataclass(frozen=True)
class Located(Generic[T]):
    """Where gold rows are in a run: `found`, or not there, or there for several models."""

    found: Mapping[RowKey, T]
    unknown: tuple[RowKey, ...]
    ambiguous: tuple[RowKey, ...]


def locate(keys: Iterable[RowKey], there: Mapping[RowKey, T]) -> Located[T]:
    """Find rows in a run; one that names no model is found where only one model has it.

    Args:
        keys: of gold rows.
        there: what the run has, by its own keys.
    """
    models: dict[tuple[str, str], list[RowKey]] = {}
    for key in there:
        models.setdefault((key.record_id, key.dimension), []).append(key)
    found: dict[RowKey, T] = {}
    unknown: list[RowKey] = []
    ambiguous: list[RowKey] = []
    for key in keys:
        same = models.get((key.record_id, key.dimension), ())
        if key in there:
            found[key] = there[key]
        elif key.model is not None or not same:
            unknown.append(key)
        elif len(same) > 1:
            ambiguous.append(key)
        else:
            found[key] = there[same[0]]
    return Located(found, tuple(unknown), tuple(ambiguous))
