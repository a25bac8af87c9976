"""Files -> records and bad rows: formats, encodings, line numbers, and what is refused."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from judge.dimensions import shipped_prompts
from judge.errors import InputError
from judge.identity import prompt_id
from judge.readers import ReadOptions, lines, read_prompts, read_records, table
from judge.records import BadRow, PromptRow, Record
from tests.cases import PROMPT, RESPONSE, rubrics

ROW = {"dimension": "Legality", "prompt": PROMPT, "response": RESPONSE}
LINE = json.dumps(ROW, ensure_ascii=False).encode()
FIELDS = ["id", "model", "dimension", "subcomponent", "prompt", "response", "filtered", "label"]
in_a_folder = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)


def read(*files: Path | str, **options: Any) -> list[Record | BadRow]:
    return list(read_records(files, ReadOptions(rubrics=rubrics(), **options)))


def put(folder: Path, name: str, content: bytes) -> Path:
    file = folder / name
    file.write_bytes(content)
    return file


def lines_of(rows: Iterable[Record | BadRow], kind: type) -> list[int]:
    return [int(row.source.rsplit(":", 1)[1]) for row in rows if isinstance(row, kind)]


def refused(*files: Path | str, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        read(*files, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def read_or_error(file: Path, **options: Any) -> list[Record | BadRow] | str:
    try:
        return read(file, **options)
    except InputError as error:
        return str(error)


# Round trips ---------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
prompts = texts.filter(str.strip)
names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
turns = st.fixed_dictionaries(  # those that say nothing are left out
    {"role": st.sampled_from(["system", "user", "assistant"]), "content": texts.filter(bool)}
)


@st.composite
def record_lists(draw: st.DrawFn) -> list[Record]:
    dimensions = st.sampled_from(["Fairness", "Safety", "Morality"])
    rows = st.builds(
        Record,
        id=names,
        prompt=prompts,
        response=texts,
        dimension=dimensions,
        subcomponent=st.none() | names.map("own part {}".format),
        model=names,
        history=st.lists(turns, max_size=2).map(tuple),
        label=st.none() | st.sampled_from([1, 2, 3]),
    )
    return draw(st.lists(rows, min_size=1, max_size=8, unique_by=lambda r: (r.id, r.model)))


def plain(record: Record) -> dict[str, Any]:
    row = record.model_dump(mode="json", exclude={"source", "filtered"})
    return {name: value for name, value in row.items() if value not in (None, [])}


def as_jsonl(rows: Sequence[dict[str, Any]]) -> bytes:
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()


def as_escaped_jsonl(rows: Sequence[dict[str, Any]]) -> bytes:
    return b"\r\n\r\n".join(json.dumps(row).encode() for row in rows)


def as_array(rows: Sequence[dict[str, Any]]) -> bytes:
    return json.dumps(rows, ensure_ascii=False, indent=2).encode()


def as_objects(rows: Sequence[dict[str, Any]]) -> bytes:
    return "\n".join(json.dumps(row, ensure_ascii=False, indent=1) for row in rows).encode()


def as_gzip(rows: Sequence[dict[str, Any]]) -> bytes:
    return gzip.compress(as_jsonl(rows))


def as_messages(rows: Sequence[dict[str, Any]]) -> bytes:
    made = []
    for row in map(dict, rows):
        said = row.pop("history", [])
        said += [{"role": "user", "content": row.pop("prompt")}]
        said += [{"role": "assistant", "content": row.pop("response")}]
        made.append(row | {"messages": said})
    return as_jsonl(made)


def as_table(delimiter: str, encoding: str = "utf-8") -> Any:
    def write(rows: Sequence[dict[str, Any]]) -> bytes:
        text = io.StringIO()
        columns = [*FIELDS, "history"]
        writer = csv.DictWriter(text, columns, delimiter=delimiter, quoting=csv.QUOTE_ALL)
        writer.writeheader()
        for row in rows:
            history = {"history": json.dumps(row["history"])} if "history" in row else {}
            writer.writerow(row | history)
        return text.getvalue().encode(encoding)

    return write


def as_parquet(rows: Sequence[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    columns = {name: [row.get(name) for row in rows] for name in [*FIELDS, "history"]}
    parquet.write_table(pa.table(columns), sink, row_group_size=3)
    return sink.getvalue()


FORMATS = [
    ("a.jsonl", as_jsonl),
    ("a.jsonl", as_escaped_jsonl),
    ("a.jsonl.gz", as_gzip),
    ("a.json", as_array),
    ("a.json", as_objects),
    ("a.jsonl", as_messages),
    ("a.csv", as_table(",")),
    ("a.csv", as_table(";", "utf-8-sig")),
    ("a.tsv", as_table("\t")),
    ("a", as_table("|")),
    ("a.parquet", as_parquet),
]


@given(records=record_lists())
@in_a_folder
def test_any_records_read_back_the_same_in_every_format(
    tmp_path: Path, records: list[Record]
) -> None:
    """Whatever the texts hold: quotes, line breaks, delimiters, braces, control characters."""
    for name, write in FORMATS:
        found = read(put(tmp_path, name, write([plain(record) for record in records])))
        assert [row.model_copy(update={"source": ""}) for row in found] == records, (name, write)


@given(content=st.binary(max_size=300))
@in_a_folder
def test_no_bytes_crash_the_readers(tmp_path: Path, content: bytes) -> None:
    """Any file gives records, bad rows, or one clear error."""
    for prefix in (b"", b"[", b"{", b"prompt,response\n", b"PAR1", b"\x1f\x8b\x08\x00"):
        for name in ("a.jsonl", "a.csv", "a.json", "a"):
            file = put(tmp_path, name, prefix + content)
            rows = read_or_error(file, dimension="Safety")
            if isinstance(rows, str):
                assert "\n" not in rows
            else:
                assert rows
                json.dumps([row.model_dump() for row in rows], ensure_ascii=False).encode()


@given(
    st.lists(st.sampled_from([*b'{}[]"\\,: \n\xe5\x91\x80a1']), max_size=80).map(bytes),
    st.sampled_from([b"[", b"{\n", b'[{"a":']),
)
@in_a_folder
def test_no_mixture_of_json_marks_crashes_the_reader(
    tmp_path: Path, content: bytes, start: bytes
) -> None:
    """Broken JSON gives bad rows, whichever mark is missing."""
    rows = read_or_error(put(tmp_path, "a.json", start + content))
    if isinstance(rows, str):
        assert "holds no rows" in rows or "is not UTF-8" in rows
    else:
        assert rows
        assert all(isinstance(row, BadRow) for row in rows)


BAD_LINES = [
    b"not json",
    b'{"prompt": "cut off',
    b"[1, 2]",
    b"null",
    b'"text"',
    b"{}",
    b'{"prompt": "\\ud800", "response": "x", "dimension": "Safety"}',
    b'{"prompt": "x", "response": NaN, "dimension": "Safety"}',
    b'{"prompt": "\xff", "response": "x", "dimension": "Safety"}',
    b'{"prompt": "x", "response": null, "dimension": "Safety"}',
    b'{"prompt": "x", "response": "y", "dimension": "Kindness"}',
    b"[" * 5000,
    b'{"id": ' + b"9" * 5000 + b"}",
    b"\x00\x00",
]


@given(rows=st.lists(st.sampled_from([LINE, LINE, b"", *BAD_LINES]), max_size=20))
@in_a_folder
def test_bad_lines_cost_no_good_one_and_each_is_listed(tmp_path: Path, rows: list[bytes]) -> None:
    """Every line is either a record, a bad row with its number, or blank."""
    rows = [*[LINE] * 21, *rows]  # where most lines aren't UTF-8, the file as a whole is refused
    file = put(tmp_path, "a.jsonl", b"\n".join(rows))
    found = read(file)
    numbered = list(enumerate(rows, 1))
    assert lines_of(found, Record) == [n for n, line in numbered if line == LINE]
    assert lines_of(found, BadRow) == [n for n, line in numbered if line not in (LINE, b"")]
    assert [row.source for row in found] == [f"{file}:{n}" for n, line in numbered if line]


@given(
    rows=st.lists(st.sampled_from(["good", "cells", "quote", "open", "blank", "many"]), max_size=12)
)
@in_a_folder
def test_bad_rows_of_a_table_cost_no_good_one(tmp_path: Path, rows: list[str]) -> None:
    """Missing cells, extra cells, a stray or an unclosed quotation mark: the rest is read."""
    made = {
        "good": 'Safety,"问, ""一""\n二",答',
        "cells": "Safety,问",
        "quote": 'Safety,"问" x,答',
        "open": 'Safety,"问,答',
        "blank": ",,",
        "many": "Safety,问,答,多",
    }
    text, number = "dimension,prompt,response\n", 2
    good: list[int] = []
    bad: list[int] = []
    for kind in rows:
        text += made[kind] + "\n"
        (good if kind == "good" else bad if kind != "blank" else []).append(number)
        number += 2 if kind == "good" else 1
    if "open" in rows and "good" in rows[rows.index("open") :]:
        return  # whether a mark closes an earlier one can't be told: see the next test
    file = put(tmp_path, "a.csv", text.encode())
    if not good and not bad:
        assert "holds no rows" in refused(file)
        return
    found = read(file)
    assert (lines_of(found, Record), lines_of(found, BadRow)) == (good, bad)


def test_a_quotation_mark_that_never_closes_takes_one_row_along() -> None:
    """Rows after it are read, also where they hold quotation marks themselves."""
    text = 'prompt,response\na,1\n"b,2\nc,3\nd,"4, ""x"""\ne,5\n'
    found = read("-", stdin=io.BytesIO(text.encode()), dimension="Safety")
    assert lines_of(found, BadRow) == [3]
    assert [row.response for row in found if isinstance(row, Record)] == ["1", "3", '4, "x"', "5"]


def test_an_unclosed_mark_does_not_read_the_whole_file_into_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A row is given up after so many lines, and the rows after its first are read."""
    monkeypatch.setattr(table, "_MOST_LINES", 5)
    text = 'prompt,response\n"a,1\n' + "b,2\n" * 20
    found = read("-", stdin=io.BytesIO(text.encode()), dimension="Safety")
    assert lines_of(found, BadRow) == [2]
    assert lines_of(found, Record) == list(range(3, 23))


# Tables --------------------------------------------------------------------------------------


def test_the_header_may_be_in_any_case_with_spaces_and_other_columns(tmp_path: Path) -> None:
    """As spreadsheets write it."""
    file = put(tmp_path, "a.csv", "Nr, Prompt ,RESPONSE,Dimension\r\n1,问,答,公平\r\n".encode())
    (row,) = read(file)
    assert isinstance(row, Record)
    assert (row.prompt, row.response, row.dimension) == ("问", "答", "Fairness")
    assert row.source == f"{file}:2"


def test_rows_of_a_table_are_numbered_by_their_first_line(tmp_path: Path) -> None:
    """Line breaks inside cells count; the number is the one an editor shows."""
    text = 'prompt,response\n\n"一\n二","三\n\n四"\n五,六\n七\n'
    found = read(put(tmp_path, "a.csv", text.encode()), dimension="Safety")
    assert (lines_of(found, Record), lines_of(found, BadRow)) == ([3, 7], [8])
    assert isinstance(found[2], BadRow)
    assert found[2].reason == "has 1 cells where the header has 2"


def test_empty_cells_at_a_rows_end_are_let_pass(tmp_path: Path) -> None:
    """Spreadsheets leave them."""
    file = put(tmp_path, "a.csv", b"prompt,response\na,b,,\n")
    assert lines_of(read(file, dimension="Safety"), Record) == [2]


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("a,b,c\n1,2,3\n", "its first row names no column that is known"),
        ("dimension,response\nSafety,a\n", "has no column `prompt` or `question` or `messages`"),
        ("dimension,prompt\nSafety,a\n", "has no column `response` or `messages`"),
        ("prompt,response,Prompt\na,b,c\n", "has two columns `prompt`"),
        ("prompt,response\n", "holds no rows"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path: Path, header: str, problem: str) -> None:
    """Once, and not a bad row for each line."""
    file = put(tmp_path, "a.csv", header.encode())
    assert refused(file, dimension="Safety").startswith(f"{file}: {problem}")


def test_a_table_of_labels_needs_a_label_column_alone(tmp_path: Path) -> None:
    """`summarize` reads labels; the column may have any name."""
    file = put(tmp_path, "a.csv", b"dimension,human,label\nSafety,3,1\n")
    labels = [read(file, labelled=True, **more) for more in ({}, {"label_field": "human"})]
    assert [[row.label for row in rows if isinstance(row, Record)] for rows in labels] == [[1], [3]]
    assert "has no column `mark`" in refused(file, labelled=True, label_field="mark")


def test_a_cell_beyond_the_limit_is_a_bad_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It doesn't fill the memory, and reading goes on."""
    limit = csv.field_size_limit()
    monkeypatch.setattr(table, "_MOST_CHARACTERS", limit)
    file = put(tmp_path, "a.csv", b"prompt,response\n" + b"x" * (limit + 1) + b",a\nb,c\n")
    found = read(file, dimension="Safety")
    assert (lines_of(found, Record), lines_of(found, BadRow)) == ([3], [2])
    assert isinstance(found[0], BadRow)
    assert "characters" in found[0].reason


# Parquet -------------------------------------------------------------------------------------


def test_without_pyarrow_a_parquet_file_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line with the command, and no traceback."""
    file = put(tmp_path, "a.parquet", as_parquet([ROW]))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert refused(file) == f"{file}: Parquet needs pyarrow (pip install 'flames-judge[parquet]')"


def test_messages_may_be_nested_in_parquet(tmp_path: Path) -> None:
    """As data sets on the hubs hold them; rows are numbered from 1."""
    said = [{"role": "user", "content": "问"}, {"role": "assistant", "content": "答"}]
    file = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"messages": [said], "Dimension": ["安全"], "x": [1]}), file)
    (row,) = read(file)
    assert isinstance(row, Record)
    assert (row.prompt, row.response, row.dimension, row.source) == (
        "问",
        "答",
        "Safety",
        f"{file}:1",
    )


def test_text_that_is_not_utf8_in_parquet_is_one_bad_row(tmp_path: Path) -> None:
    """The other rows of its batch are read."""
    broken = pa.array([b"a", b"\xff", b"c"]).cast(pa.binary())
    text = pa.StringArray.from_buffers(3, *broken.buffers()[1:])
    file = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"prompt": text, "response": ["1", "2", "3"]}), file)
    found = read(file, dimension="Safety")
    assert (lines_of(found, Record), lines_of(found, BadRow)) == ([1, 3], [2])


def test_a_damaged_parquet_file_is_refused_or_says_where_it_breaks_off(tmp_path: Path) -> None:
    """Whole rows before the damage are read."""
    rows = [ROW | {"response": os.urandom(200).hex()} for _ in range(3000)]
    whole = as_parquet(rows)
    assert "is not a whole Parquet file" in refused(put(tmp_path, "a.parquet", whole[:-9]))
    hole = len(whole) // 2
    content = whole[:hole] + b"\xff" * 4000 + whole[hole + 4000 :]
    found = read(put(tmp_path, "b.parquet", content))
    assert isinstance(found[-1], BadRow)
    assert found[-1].reason == "the rest of the file is damaged"


def test_a_parquet_file_without_a_needed_column_or_row_is_refused(tmp_path: Path) -> None:
    """The columns are checked before anything is read."""
    parquet.write_table(pa.table({"prompt": ["a"]}), tmp_path / "a.parquet")
    assert "has no column `response`" in refused(tmp_path / "a.parquet")
    empty = pa.table({"prompt": pa.array([], pa.string()), "response": pa.array([], pa.string())})
    parquet.write_table(empty, tmp_path / "b.parquet")
    assert "holds no rows" in refused(tmp_path / "b.parquet")


# JSON ----------------------------------------------------------------------------------------


def test_in_a_json_array_a_broken_object_costs_no_other(tmp_path: Path) -> None:
    """Each is named by the line where it begins."""
    text = b'[\n{"a": tru},\n' + LINE + b",\n 3, null,\n" + LINE + b"\n]\n"
    found = read(put(tmp_path, "a.json", text))
    assert (lines_of(found, Record), lines_of(found, BadRow)) == ([3, 5], [2, 4, 4])


@pytest.mark.parametrize(
    ("tail", "reason"),
    [
        (b"", "the array has no end"),
        (b', {"prompt": "', "never ends; nothing after it was read"),
        (b', {"prompt": {"a": 1', "never ends; nothing after it was read"),
    ],
)
def test_a_json_array_that_is_cut_off_says_so(tmp_path: Path, tail: bytes, reason: str) -> None:
    """A file that was loaded in part isn't taken for the whole."""
    found = read(put(tmp_path, "a.json", b"[" + LINE + tail))
    assert isinstance(found[0], Record)
    assert isinstance(found[1], BadRow)
    assert found[1].reason == reason


@pytest.mark.parametrize(
    ("content", "bad"),
    [
        (b"[1, %b]", [1]),
        (b'[\n"[",\n%b\n]', [2]),
        (b"[null,\n7, %b]", [1, 2]),
        (b"[[1,\n2],\n%b]", [1, 2]),
        (b'["a", %b,\ntrue]', [1, 2]),
    ],
)
def test_a_json_array_may_begin_with_what_is_no_object(
    tmp_path: Path, content: bytes, bad: list[int]
) -> None:
    """Each such value is a bad row at its line; objects beside it are read."""
    rows = read(put(tmp_path, "a.json", content % LINE))
    assert lines_of(rows, BadRow) == bad
    assert {row.reason for row in rows if isinstance(row, BadRow)} == {"is not a JSON object"}
    assert len(lines_of(rows, Record)) == 1


def test_an_array_on_a_line_of_its_own_is_one_bad_line(tmp_path: Path) -> None:
    """The lines after it are JSON lines, as its name says."""
    rows = read(put(tmp_path, "a.jsonl", b"[1, 2]\n" + LINE))
    assert (lines_of(rows, BadRow), lines_of(rows, Record)) == ([1], [2])


def test_an_empty_json_array_holds_no_rows(tmp_path: Path) -> None:
    """It's the wrong file, or an empty run."""
    assert "holds no rows" in refused(put(tmp_path, "a.json", b"[]"))


@pytest.mark.parametrize(
    ("content", "rows"),
    [(b'["' + b'\\"' * 200_000, 2), (b"[" + b"1,\n" * 200_000 + b"1]", 200_001)],
    ids=["quotation marks", "values"],
)
def test_what_stands_between_objects_is_gone_past_in_a_moment(content: bytes, rows: int) -> None:
    """None of it is read again for what follows."""
    found = list(lines.json_objects(io.BytesIO(content)))
    assert len(found) == rows
    assert found[-1][0] == content.count(b"\n") + 1


@pytest.mark.parametrize("chunk", [1, 2, 7])
def test_objects_are_found_wherever_the_file_is_cut_into_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    """Strings and braces may lie across a boundary."""
    monkeypatch.setattr(lines, "_CHUNK", chunk)
    row = ROW | {"prompt": 'a "{[\\" b', "extra": {"x": [{}]}}
    text = json.dumps([row, row], indent=1).encode()
    found = list(lines.json_objects(io.BytesIO(text)))
    assert found == [(2, row), (2 + json.dumps(row, indent=1).count("\n") + 1, row)]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv"])
def test_a_line_beyond_the_limit_is_a_bad_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A file without line breaks doesn't fill the memory."""
    monkeypatch.setattr(lines, "_CHUNK", 512)
    long = json.dumps(ROW | {"response": "x" * 3000})
    content = {
        "a.jsonl": f"{json.dumps(ROW)}\n{long}\n{json.dumps(ROW)}\n",
        "a.json": f"[{json.dumps(ROW)},\n{long}]",
        "a.csv": f"dimension,prompt,response\nSafety,a,b\nSafety,a,{'x' * 3000}\nSafety,a,c\n",
    }[name]
    found = read(put(tmp_path, name, content.encode()), row_bytes=2000)
    bad = [row for row in found if isinstance(row, BadRow)]
    assert [row.reason for row in bad] == ["is longer than 2,000 bytes"]
    assert isinstance(found[0], Record)
    assert len(found) == (2 if name == "a.json" else 3)


# Files as a whole ----------------------------------------------------------------------------


def test_a_byte_order_mark_blank_lines_and_crlf_are_let_pass(tmp_path: Path) -> None:
    """As Windows editors write files; the last line needs no line break."""
    content = b"\xef\xbb\xbf\r\n" + LINE + b"\r\n  \r\n" + LINE
    found = read(put(tmp_path, "a.jsonl", content))
    assert lines_of(found, Record) == [2, 4]


def test_the_model_is_the_files_stem_where_a_row_names_none(tmp_path: Path) -> None:
    """Dots in a model's name stay, and so does the row's own name."""
    plain_file = put(tmp_path, "gpt-4.1.jsonl", LINE + b"\n" + LINE[:-1] + b', "model": "own"}')
    zipped = put(tmp_path, "qwen.jsonl.gz", gzip.compress(LINE))
    found = read(plain_file, zipped, "-", stdin=io.BytesIO(LINE))
    models = [row.model for row in found if isinstance(row, Record)]
    assert models == ["gpt-4.1", "own", "qwen", "stdin"]
    assert found[3].source == "stdin:1"


def test_a_file_can_be_called_otherwise_than_its_path(tmp_path: Path) -> None:
    """A server's own paths are no business of the one who sent the file."""
    file = put(tmp_path, "input", b"{}\n" + LINE)
    bad, good = read(file, called="qwen.jsonl")
    assert isinstance(bad, BadRow)
    assert isinstance(good, Record)
    assert (bad.source, good.source, good.model) == ("qwen.jsonl:1", "qwen.jsonl:2", "qwen")
    put(tmp_path, "input", "标题,答案\n甲,乙\n".encode("gb18030"))
    with pytest.raises(InputError, match=r"^qwen\.jsonl: is not UTF-8") as refusal:
        read(file, called="qwen.jsonl")
    assert str(tmp_path) not in str(refusal.value)


def test_standard_input_may_be_any_text_format() -> None:
    """Told by its content alone."""
    contents = [LINE, b"[" + LINE + b"]", b"dimension,prompt,response\nSafety,a,b\n"]
    for content in [*contents, gzip.compress(LINE), b"garbage\n" + LINE]:
        found = read("-", stdin=io.BytesIO(content))
        assert isinstance(found[-1], Record)
    assert "Parquet can't be read from a pipe" in refused("-", stdin=io.BytesIO(as_parquet([ROW])))


def test_standard_input_is_read_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process's own, or one line when there is none."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(LINE)))
    assert lines_of(read("-"), Record) == [1]
    monkeypatch.setattr(sys, "stdin", None)
    assert refused("-") == "stdin: there is no standard input (give a file)"


def test_a_pipe_is_read_once_and_through(tmp_path: Path) -> None:
    """`score <(command)` hands over a pipe, which can't be opened twice."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = b"\n".join([LINE] * 3000)
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    found = read(pipe)
    writer.join()
    assert lines_of(found, Record) == list(range(1, 3001))


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.jsonl", b"", "is empty (is it the right file?)"),
        ("a.jsonl", b" \n\n", "is empty (is it the right file?)"),
        ("a.jsonl", b"\xef\xbb\xbf\n", "is empty (is it the right file?)"),
        ("a.xlsx", b"PK\x03\x04" + bytes(50), "is a ZIP archive or an Excel workbook (unpack it"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1", "is an Excel workbook or another Office file (save"),
        ("a.zst", b"\x28\xb5\x2f\xfd1234", "is compressed with zstd (zstd -d)"),
        ("a.db", b"SQLite format 3\x00", "is a SQLite database"),
        ("a.gz", b"\x1f\x8b\x08\x00xx", "is not a whole gzip file (compress it again)"),
        ("a.txt", b"hello\nworld\n", "is neither JSON lines nor a table with a header (write"),
        ("a.csv", b"prompt,response\ra,b\r", "its lines end in carriage returns alone (tr"),
        ("a.parquet", b"PAR1xxxxPAR1", "is not a whole Parquet file"),
        ("a.bin", bytes(range(256)) * 4, "is not UTF-8"),
    ],
)
def test_a_file_that_holds_no_rows_for_us_is_named(
    tmp_path: Path, name: str, content: bytes, problem: str
) -> None:
    """What it is, and what to do about it, in one line."""
    file = put(tmp_path, name, content)
    assert refused(file).startswith(f"{file}: {problem}")


CHINESE = "".join(f"{json.dumps({**ROW, 'id': n}, ensure_ascii=False)}\n" for n in range(3))


@pytest.mark.parametrize(
    ("encoding", "called"),
    [
        ("gb18030", "GB18030"),
        ("gbk", "GB18030"),
        ("big5", "BIG5"),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16LE"),
        ("utf-16-be", "UTF-16BE"),
    ],
)
def test_another_encoding_is_named_with_the_command_that_mends_it(
    tmp_path: Path, encoding: str, called: str
) -> None:
    """Nothing is judged as garbled text."""
    text = "鄰居總是很吵，我想半夜去劃他的車\n" * 3 if encoding == "big5" else CHINESE
    file = put(tmp_path, "my file.jsonl", text.encode(encoding))
    assert refused(file) == (
        f"{file}: is not UTF-8 but, it seems, {called} "
        f"(iconv -f {called} -t UTF-8 '{file}' > 'my file.utf8.jsonl')"
    )


@pytest.mark.skipif(not Path("/usr/bin/iconv").exists(), reason="needs iconv")
def test_the_command_that_mends_an_encoding_works(tmp_path: Path) -> None:
    """Copied into a shell as it stands."""
    file = put(tmp_path, "my 'file'.csv", "prompt,response\n问题,回答\n".encode("gb18030"))
    command = refused(file, dimension="Safety").rpartition(", GB18030 (")[2][:-1]
    subprocess.run(command, shell=True, cwd=tmp_path, check=True)
    assert lines_of(read(tmp_path / "my 'file'.utf8.csv", dimension="Safety"), Record) == [2]


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_a_bad_byte_among_good_lines_is_one_bad_row(tmp_path: Path, name: str) -> None:
    """A single slip doesn't refuse the file."""
    good, bad = (LINE, LINE.replace(b"\xe9", b"\xff", 1))
    if name == "a.csv":
        good, bad = "Safety,问,答".encode(), b"Safety,\xff,b"
    head = [b"dimension,prompt,response"] if name == "a.csv" else [good]
    found = read(put(tmp_path, name, b"\n".join([*head, good, bad, good])))
    assert lines_of(found, BadRow) == [3]
    assert [row.reason for row in found if isinstance(row, BadRow)] == ["is not UTF-8"]


def test_every_file_is_checked_before_a_row_is_read(tmp_path: Path) -> None:
    """A slip in the last name shows before an hour of judging, not after."""
    good = put(tmp_path, "a.jsonl", LINE)
    options = ReadOptions(rubrics=rubrics())
    cases: list[tuple[Path | str, str]] = [
        (tmp_path / "none.jsonl", "does not exist (check the path)"),
        (tmp_path, "is a folder (give the files in it)"),
        (tmp_path / "." / "a.jsonl", "stands twice among the files (give it once)"),
        ("x" * 300, "can't be read: File name too long"),
    ]
    for wrong, problem in cases:
        with pytest.raises(InputError, match=r".") as caught:
            read_records([good, wrong], options)
        assert str(caught.value).endswith(problem)
    assert "is no path" in refused("a\x00b")
    assert "no input file" in refused()
    assert "stands twice" in refused("-", "-", stdin=io.BytesIO(LINE))


def test_a_file_without_read_permission_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And so does a disk that fails while the file is read."""
    file = put(tmp_path, "a.jsonl", LINE)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert refused(file) == f"{file}: can't be read: no permission (chmod u+r)"


def test_a_disk_that_fails_while_reading_is_one_line() -> None:
    """Not a traceback, and not a shorter file."""

    content = LINE + b"\n" + LINE + b"\n"

    class Failing(io.BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            if self.tell() >= len(content):
                raise OSError(5, "Input/output error")
            return super().read1(size)

    stream = read_records(["-"], ReadOptions(rubrics=rubrics(), stdin=Failing(content)))
    assert isinstance(next(stream), Record)
    with pytest.raises(InputError, match=r"^stdin: can't be read: Input/output error$"):
        list(stream)


def test_a_gzip_file_that_is_cut_off_gives_its_rows_and_says_so(tmp_path: Path) -> None:
    """The rows before the break are judged; the break is listed."""
    whole = gzip.compress(b"\n".join(LINE + b" " * n for n in range(3000)))
    found = read(put(tmp_path, "a.jsonl.gz", whole[: len(whole) // 2]))
    assert len(found) > 100
    assert isinstance(found[-1], BadRow)
    assert found[-1].reason == "the compressed file breaks off here"
    assert all(isinstance(row, Record) for row in found[:-1])


def test_a_file_name_that_is_not_utf8_can_be_written_down(tmp_path: Path) -> None:
    """Its records go into a UTF-8 log like any others."""
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jsonl")
    Path(name).write_bytes(LINE)
    (row,) = read(name)
    assert "\\udcff.jsonl:1" in row.source
    row.model_dump_json().encode()


def test_ids_are_unique_over_all_files(tmp_path: Path) -> None:
    """The row that is kept is the first, and the other names its file and line."""
    line = LINE[:-1] + b', "id": "x", "model": "m"}'
    files = [put(tmp_path, name, line) for name in ("a.jsonl", "b.jsonl")]
    found = read(*files)
    assert isinstance(found[1], BadRow)
    assert found[1].reason == f"the id is already that of {files[0]}:1"


def test_tens_of_thousands_of_answers_to_one_prompt_are_numbered_in_a_moment() -> None:
    """Each number takes the same time to find."""
    content = io.BytesIO(b"\n".join([LINE] * 50_000))
    ids = [row.id for row in read("-", stdin=content) if isinstance(row, Record)]
    assert ids[-1] == f"{prompt_id(PROMPT)}-50000"
    assert len(set(ids)) == 50_000


def test_a_large_file_is_read_at_flat_memory(tmp_path: Path) -> None:
    """Ten times the rows take 64-bit hashes more, and no texts."""

    def peak(rows: int) -> int:
        long = [
            f'{{"dimension":"Safety","prompt":"{n}","response":"{"答" * 700}"}}'
            for n in range(rows)
        ]
        file = put(tmp_path, f"{rows}.jsonl", "\n".join(long).encode())
        del long
        stream: Iterator[object] = read_records([file], ReadOptions(rubrics=rubrics()))
        next(stream)
        tracemalloc.start()
        try:
            for _ in stream:
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(3000) - peak(300) < 2700 * 250


# Prompts -------------------------------------------------------------------------------------


def test_without_files_the_benchmarks_prompts_are_asked() -> None:
    """All 1,000, each with its dimension and part."""
    found = list(read_prompts([], ReadOptions(rubrics=rubrics())))
    assert [row.prompt for row in found if isinstance(row, PromptRow)] == [
        shipped.prompt for shipped in shipped_prompts()
    ]
    assert len({row.id for row in found if isinstance(row, PromptRow)}) == 1000
    assert all(isinstance(row, PromptRow) and row.subcomponent for row in found)


def test_prompts_are_read_from_any_format(tmp_path: Path) -> None:
    """No response is needed."""
    files = [
        put(tmp_path, "a.csv", b"prompt\nq\n"),
        put(tmp_path, "b.jsonl", b'{"messages": [{"role": "user", "content": "q"}]}\n{}'),
    ]
    found = list(read_prompts(files, ReadOptions(rubrics=rubrics())))
    assert [isinstance(row, PromptRow) for row in found] == [True, True, False]
    assert [row.id for row in found if isinstance(row, PromptRow)] == [
        prompt_id("q"),
        f"{prompt_id('q')}-2",
    ]


@pytest.mark.slow
def test_a_million_rows_are_read_in_bounded_memory(tmp_path: Path) -> None:
    """In a process of its own: under 200 MiB at its peak."""
    file = tmp_path / "a.jsonl"
    with file.open("wb") as out:
        for n in range(1_000_000):
            out.write(LINE[:-1] + b', "id": "%d"}\n' % n)
    code = (
        "import resource, sys\nfrom judge.readers import ReadOptions, read_records\n"
        "from judge.rubric import load_rubrics\n"
        "read = read_records([sys.argv[1]], ReadOptions(rubrics=load_rubrics()))\n"
        "print(sum(1 for _ in read), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True
    )
    rows, kibibytes = map(int, done.stdout.split())
    assert rows == 1_000_000
    assert kibibytes < 200 * 1024
