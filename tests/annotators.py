"""People at the annotators' page: their marks go into its store as the page's own do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from judge.annotate.items import Item, read_items
from judge.annotate.marks import Annotator, GiveLabel
from judge.annotate.store import Store
from judge.rubric import Label, Rubrics

LabelOf = Callable[[Item], Label]
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def database(tasks: Path) -> Path:
    """Where `annotate` keeps the marks on a file."""
    return tasks.with_suffix(".annotations.sqlite")


def mark(tasks: Path, people: Mapping[str, LabelOf], rubrics: Rubrics) -> int:
    """Each of them labels each row that is theirs to label; gives the number of marks."""
    marks = 0
    with Store.open(str(database(tasks))) as store:
        items = store.register(read_items(tasks, rubrics))
        for name, label_of in people.items():
            for number, item in items.items():
                at = START + timedelta(seconds=marks)
                store.add(number, Annotator(name), GiveLabel(label=label_of(item)), at)
                marks += 1
    return marks
