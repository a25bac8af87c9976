"""Gold and verdicts in every kind of file that `score` reads: the same rows give the same run."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from judge.gold import read_gold
from tests.cases import rubrics
from tests.cli.conftest import Flames, rows_of, write_rows
from tests.judged_run import from_truth, judged, label_all, write_run

Rows = Sequence[dict[str, Any]]


def lines(rows: Rows) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def table(rows: Rows, delimiter: str = ",") -> bytes:
    """As a spreadsheet writes it: objects as their JSON, null as an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    for row in rows:
        cells = {name: json.dumps(v) if isinstance(v, dict) else v for name, v in row.items()}
        writer.writerow(cells)
    return text.getvalue().encode()


def columns(rows: Rows) -> bytes:
    """Parquet, whose columns have one type each."""
    held = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(list(rows)), held)
    return held.getvalue()


WRITTEN: dict[str, Callable[[Rows], bytes]] = {
    "rows.json": lambda rows: json.dumps(rows, ensure_ascii=False, indent=1).encode(),
    "rows.tsv": lambda rows: table(rows, "\t"),
    "rows.parquet": columns,
    "rows.jsonl.gz": lambda rows: gzip.compress(lines(rows)),
    "rows.csv": lambda rows: codecs.BOM_UTF8 + table(rows),
}


@pytest.fixture(params=WRITTEN)
def write(request: pytest.FixtureRequest, folder: Path) -> Callable[[Rows], Path]:
    """Writes rows into a file of one kind, whose name without its ending is always `rows`."""

    def written(rows: Rows) -> Path:
        where = folder / "kinds"
        where.mkdir(exist_ok=True)
        file = where / request.param
        file.write_bytes(WRITTEN[request.param](rows))
        return file

    return written


def test_verdicts_are_imported_from_every_kind_of_file(
    flames: Flames, folder: Path, write: Callable[[Rows], Path]
) -> None:
    """Labels as the column's numbers, the probabilities as an object or its JSON, an empty cell."""
    rows = [
        {"id": n, "dimension": "合法", "Verdict": None if n == 4 else 3 - 2 * (n % 2),
         "prompt": f"问题{n}", "response": f"回答\n{n}", "reason": "违法, 见“其二”",
         "probabilities": {"3": 0.25, "1": 0.75} if n % 2 else {"3": 0.75, "1": 0.25}}
        for n in range(5)
    ]  # fmt: skip
    ran = flames("import-verdicts", write(rows), "--judge", "theirs", "--label-field", "Verdict",
                 "-o", folder / "run")  # fmt: skip
    assert ran.status == 3, ran.err  # a verdict without a label is that judge's failure
    log = {line["record_id"]: line for line in rows_of(folder / "run" / "verdicts.jsonl")}
    assert {line["model"] for line in log.values()} == {"rows"}
    assert [log[str(n)]["label"] for n in range(4)] == [3, 1, 3, 1]
    assert log["1"]["probabilities"] == {"1": 0.75, "3": 0.25}
    assert (log["0"]["response"], log["0"]["reason"]) == ("回答\n0", "违法, 见“其二”")
    assert log["4"]["kind"] == "invalid_output"


def test_marks_are_imported_from_every_kind_of_file(
    flames: Flames, folder: Path, write: Callable[[Rows], Path]
) -> None:
    """A mark a row, the annotator's column under its own name; and a column an annotator."""
    long = [
        {"record_id": n, "Dimension": "Legality", "Mark": 3 - 2 * (n % 2), "Who": "Li"}
        for n in range(4)
    ]
    given = ("--from", "table", "-o", "gold.jsonl")
    flags = ("--label-field", "Mark", "--annotator-field", "Who")
    if ".json" in (file := write(long)).name:
        long = [{"dimension": row.pop("Dimension"), **row} for row in long]
        file = write(long)
    ran = flames("gold", "import", file, *given, *flags)
    assert ran.status == 0, ran.err
    gold = rows_of(folder / "gold.jsonl")
    assert [(g["record_id"], g["label"], g["annotator"]) for g in gold] == [
        ("0", 3, "Li"), ("1", 1, "Li"), ("2", 3, "Li"), ("3", 1, "Li"),
    ]  # fmt: skip
    wide = [{"record_id": "a", "Li": 3, "Wang": 1}, {"record_id": "b", "Li": 3, "Wang": None}]
    flags = ("--label-field", "Li", "--label-field", "Wang", "--dimension", "合法")
    ran = flames("gold", "import", write(wide), *given, *flags)
    assert ran.status == 0, ran.err
    gold = rows_of(folder / "gold.jsonl")
    assert [(g["record_id"], g["label"], g["annotator"]) for g in gold] == [
        ("a", 3, "Li"), ("a", 1, "Wang"), ("b", 3, "Li"),
    ]  # fmt: skip


def drawn_gold(flames: Flames, folder: Path) -> tuple[Path, Path]:
    """A run, and gold of a sample of it that was extended."""
    said, truth = judged(60, 0.6, (0.1, 0.1))
    run = write_run(folder / "run", said)
    flames("sample", run, "-n", 20, "-o", "1.jsonl")
    flames("sample", run, "-n", 20, "--extend", "1.jsonl", "-o", "t.jsonl")
    return run, label_all(folder / "t.jsonl", folder / "gold.jsonl", from_truth(truth))


def test_gold_is_the_same_in_every_kind_of_file(
    flames: Flames, folder: Path, write: Callable[[Rows], Path]
) -> None:
    """Marks, designs, chances and an extension's mark come through."""
    gold = drawn_gold(flames, folder)[1]
    labels = read_gold(gold, rubrics())
    assert read_gold(write(rows_of(gold)), rubrics()) == labels
    assert {label.drawn_by.draws for label in labels} == {2}


def test_gold_in_parquet_calibrates_as_json_does(flames: Flames, folder: Path) -> None:
    """Every figure, and the gold's hash."""
    run, plain = drawn_gold(flames, folder)
    other = folder / "gold.parquet"
    other.write_bytes(columns(rows_of(plain)))
    made = []
    for gold in (plain, other):
        ran = flames("calibrate", run, "--gold", gold, "-o", folder / "c.json", "--json")
        assert ran.status == 0, ran.err
        made.append(ran.json["dimensions"])
    assert made[0] == made[1]


def test_a_parquet_files_own_kinds_of_value_are_understood(flames: Flames, folder: Path) -> None:
    """Numbers with gaps are floats there, times are times, and a null label is a skip."""
    rows = [
        {"record_id": 1.0, "dimension": "Legality", "label": 3.0, "annotator": 7,
         "at": datetime.fromisoformat("2026-01-02T03:04:05+00:00"), "design": None},
        {"record_id": 2.0, "dimension": "Legality", "label": None, "annotator": 7, "at": None,
         "design": {"name": "external"}},
        {"record_id": None, "dimension": "Legality", "label": 1.0, "annotator": 7, "at": None,
         "design": None},
    ]  # fmt: skip
    file = folder / "gold.parquet"
    file.write_bytes(columns(rows))
    ran = flames("agreement", file)
    assert ran.status == 2
    assert ran.err == (
        "flames-judge: " + str(file) + ":3: has no `record_id` (a line is {record_id, model,"
        " dimension, label, annotator})\n"
    )
    file.write_bytes(columns(rows[:2]))
    given = ("--from", "table", "--annotator-field", "annotator", "-o", "gold.jsonl")
    ran = flames("gold", "import", file, *given)
    assert ran.status == 0, ran.err
    gold = rows_of(folder / "gold.jsonl")
    assert [(g["record_id"], g["label"], g["annotator"]) for g in gold] == [
        ("1", 3, "7"), ("2", None, "7"),
    ]  # fmt: skip
    assert gold[0]["at"] == "2026-01-02T03:04:05+00:00"


BROKEN: dict[str, tuple[Callable[[], bytes], str]] = {
    "a.parquet": (lambda: columns([{"record_id": "1", "note": "x"}]), "has no column `label` ("),
    "cut.parquet": (lambda: columns([{"id": "1", "label": 3}])[:-9], "is not a whole Parquet file"),
    "a.csv": (lambda: b"id,note\n1,x\n", "has no column `label` ("),
    "twice.csv": (lambda: b"id,label,Label\n1,3,1\n", "has two columns `label` ("),
    "prose.csv": (lambda: b"one two\nthree\n", "its first row names no column that is known ("),
    "prose.txt": (lambda: b"one two\nthree\n", "is neither JSON lines nor a table with a header ("),
    "a.xlsx": (lambda: b"PK\x03\x04 and so on", "is a ZIP archive or an Excel workbook ("),
    "wide.csv": (lambda: "id,label\n1,3\n".encode("utf-16"), "is not UTF-8 but, it seems, UTF-16"),
    "empty.csv": (lambda: b"", "is empty ("),
    "header.csv": (lambda: b"id,label,who\n", "holds no rows ("),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_is_no_table_is_one_line(flames: Flames, folder: Path, name: str) -> None:
    """The same words from both commands, with a mend, and nothing is written."""
    content, problem = BROKEN[name]
    (folder / name).write_bytes(content())
    for command in (
        ("import-verdicts", name, "--judge", "x", "-o", "run", "--dimension", "合法"),
        ("gold", "import", name, "--from", "table", "-o", "gold.jsonl", "--dimension", "合法"),
    ):
        ran = flames(*command)
        assert ran.status == 2, command
        assert len(ran.err.splitlines()) == 1
        assert ran.err.startswith(f"flames-judge: {name}: {problem}")
        assert ran.err.endswith(")\n")
    assert not (folder / "gold.jsonl").exists()
    assert not (folder / "run").exists()


def test_good_verdicts_are_kept_beside_bad_rows(flames: Flames, folder: Path) -> None:
    """Each bad row is a line with its place; the status says that there were some."""
    rows = [{"id": "a", "label": 3}, {"id": None, "label": 3}, {"id": "a", "label": 1},
            {"id": "b", "label": 1}]  # fmt: skip
    (folder / "theirs.parquet").write_bytes(columns(rows))
    given = ("--judge", "x", "-o", "run", "--dimension", "合法")
    ran = flames("import-verdicts", "theirs.parquet", *given)
    assert ran.status == 3
    assert [line.partition(" (")[0] for line in ran.err.splitlines()] == [
        "flames-judge: theirs.parquet:2: has no `id`",
        "flames-judge: theirs.parquet:3: the row is already that of theirs.parquet:1",
    ]
    assert [line["record_id"] for line in rows_of(folder / "run" / "verdicts.jsonl")] == ["a", "b"]


def test_an_annotators_column_that_is_not_there_is_told(flames: Flames, folder: Path) -> None:
    """Marks of nobody would be counted as one person's."""
    file = write_rows(folder / "g.jsonl", {"record_id": "a", "dimension": "合法", "label": 3})
    given = ("--from", "table", "--annotator-field", "who", "-o", "gold.jsonl")
    ran = flames("gold", "import", file.name, *given)
    assert ran.status == 2
    assert ran.err == "flames-judge: g.jsonl:1: has no `who` (name the annotator's column)\n"
