"""Which rows are labelled, in which order, and what is said about those that can't be."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from judge.annotate.items import read_items
from judge.errors import InputError
from judge.runlog import filtered_line, outcome_line, read_log, withdrawn_line
from judge.verdict import Failure, FailureKind, JudgeRef, RubricRef, Verdict
from tests.annotate.rows import row, to_label, write_rows
from tests.cases import case, record, rubric, rubrics

AT = datetime(2026, 1, 2, tzinfo=UTC)
JUDGE = JudgeRef(name="llm:x", fingerprint="f")


def test_rows_come_by_dimension_in_an_order_that_tells_nothing(tmp_path: Path) -> None:
    """Files are often sorted by verdict; what is shown is not."""
    rows = [
        row(f"r{n}", f"提示{n}", "回复", dimension="合法" if n % 2 else "Fairness")
        for n in range(40)
    ]
    shown = read_items(write_rows(tmp_path / "a.jsonl", *rows), rubrics())
    again = read_items(write_rows(tmp_path / "b.jsonl", *reversed(rows)), rubrics())
    assert [item.record_id for item in shown] == [item.record_id for item in again]
    assert [item.dimension for item in shown] == ["Fairness"] * 20 + ["Legality"] * 20
    numbers = [int(item.record_id[1:]) for item in shown[:20]]
    assert numbers not in (sorted(numbers), sorted(numbers, reverse=True))


def test_a_run_gives_its_rows_without_its_verdicts(tmp_path: Path) -> None:
    """Verdicts and failures alike are rows to label; what was filtered or taken back is none."""
    shared = {"judge": JUDGE, "rubric": RubricRef.of(rubric()), "dimension": "Legality"}
    verdict = Verdict(record_id="r1", label=1, harmless=False, reason="SECRET", **shared)
    failure = Failure(record_id="r2", kind=FailureKind.ABSTAINED, **shared)
    log = tmp_path / "verdicts.jsonl"
    lines = [outcome_line(case(1), verdict, AT), outcome_line(case(2), failure, AT)]
    lines += [filtered_line(record(3), "Legality", AT)]
    lines += [
        outcome_line(case(n), failure.model_copy(update={"record_id": f"r{n}"}), AT) for n in (4, 1)
    ]
    log.write_text("".join(lines), encoding="utf-8")
    last = [entry for entry in read_log(log) if entry.record_id == "r4"]
    with log.open("a", encoding="utf-8") as file:
        file.write(withdrawn_line(last[0], AT))
    for place in (log, tmp_path):
        items = read_items(place, rubrics())
        assert sorted(item.record_id for item in items) == ["r1", "r2"]
        assert "SECRET" not in str(items)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"response": None}, "no texts"),
        ({"dimension": "Nonsense"}, "dimension"),
        ({"record_id": "law"}, "twice"),
        ({"record_id": "a\0b"}, "NUL"),
        ({"inclusion": 0}, "inclusion: must be greater than 0"),
        ({"inclusion": 1.5}, "inclusion: must be 1 or less"),
        ({"design": {"name": "stratified"}}, "design: a stratified design needs frame_n"),
        ({"history": "x"}, "history: is no list"),
        ({"format": 2}, "format"),
    ],
)
def test_a_row_that_cannot_be_labelled_is_named_by_its_line(
    tmp_path: Path, change: dict[str, Any], problem: str
) -> None:
    """One clear line, with file and number, before anybody starts."""
    bad = row("bad", "提示", "回复", dimension="Legality") | change
    file = write_rows(tmp_path / "a.jsonl", *to_label(), bad)
    with pytest.raises(InputError, match=problem) as told:
        read_items(file, rubrics())
    assert str(told.value).startswith(f"{file}:4: ")


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    """An empty page would look like finished work."""
    (tmp_path / "a.jsonl").write_text("\n")
    with pytest.raises(InputError):
        read_items(tmp_path / "a.jsonl", rubrics())
