"""Whether the judge may stand in for one of the gold's annotators: `judge.stats.alt_test`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from judge.gold.model import RowKey
from judge.gold.rows import GoldRow
from judge.rubric import Label
from judge.stats.alt_test import AltTest, AltTestOptions, alt_test
from judge.stats.estimate import Missing

NAN = float("nan")


def alternative_annotator(
    rows: Sequence[GoldRow], judge: Mapping[RowKey, Label | None], options: AltTestOptions
) -> AltTest | Missing:
    """The alternative-annotator test on the annotators' first marks.

    Args:
        rows: of one dimension.
        judge: the judge's label by the gold row's key; a row without one doesn't count.
        options: what is decided beforehand.
    """
    names = sorted({name for row in rows for name in row.marks})
    marks = [[row.first_marks.get(name) or NAN for name in names] for row in rows]
    said = [judge.get(row.key) or NAN for row in rows]
    if not rows or not names:
        return Missing(confidence=options.confidence, n=len(rows), why="no row has a mark")
    return alt_test(said, marks, names, options)
