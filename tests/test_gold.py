"""Gold labels: their file, their rows, and what they come to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.errors import InputError
from judge.gold import (
    Design,
    GoldLabel,
    LabelTask,
    RowKey,
    gold_lines,
    gold_sha256,
    locate,
    parse_gold,
    read_gold,
    read_tasks,
    rows_of,
    task_lines,
    write_lines,
)
from judge.gold.agreement import agreement, widest
from judge.gold.alternative import alternative_annotator
from judge.stats.agreement import Draws
from judge.stats.alt_test import AltTestOptions
from tests.cases import rubrics
from tests.cli.conftest import write_rows

DRAWN = Design(name="stratified", frame_n=900, frame_sha256="ab", stratum="s", seed=1)


def mark(number: int = 1, label: int | None = 3, annotator: str = "a", **fields: Any) -> GoldLabel:
    given = {"record_id": f"r{number}", "model": "m", "dimension": "Fairness", "label": label,
             "annotator": annotator} | fields  # fmt: skip
    return GoldLabel.model_validate(given)


def line(**fields: Any) -> dict[str, Any]:
    return json.loads(next(gold_lines([mark()]))) | fields


def problems(*rows: dict[str, Any]) -> list[str]:
    found = parse_gold(enumerate(rows, 1), "gold.jsonl", rubrics())
    return [str(problem) for problem in found.problems]


def test_gold_is_written_with_the_fields_of_its_format_and_read_back(tmp_path: Path) -> None:
    """The file is the interface: its fields and their order are fixed."""
    labels = [
        mark(1, 3, at="2026-11-24T10:00:00+00:00", note="清楚", design=DRAWN, inclusion=0.25),
        mark(1, 1, "b", design=DRAWN, inclusion=0.25, first_label=2),
        mark(2, None, "b", note="skipped: 读不懂"),
    ]
    file = tmp_path / "deep" / "gold.jsonl"
    write_lines(file, gold_lines(labels))
    assert read_gold(file, rubrics()) == tuple(labels)
    first = json.loads(file.read_text(encoding="utf-8").splitlines()[0])
    assert list(first) == ["format", "record_id", "model", "dimension", "label", "annotator", "at",
                           "note", "design", "inclusion"]  # fmt: skip
    assert first["design"] == {"name": "stratified", "frame_n": 900, "frame_sha256": "ab",
                               "stratum": "s", "seed": 1}  # fmt: skip


def test_gold_of_ones_own_needs_little(tmp_path: Path) -> None:
    """A CSV with Chinese dimension names, labels as text, and no design: external."""
    file = tmp_path / "mine.csv"
    file.write_text("record_id,dimension,label\n7,公平,3\n8,Fairness,1.0\n", encoding="utf-8")
    first, second = read_gold(file, rubrics())
    assert (first.key, first.label) == (RowKey(None, "7", "Fairness"), 3)
    assert (second.label, second.annotator) == (1, None)
    assert first.drawn_by.name == "external"
    assert first.design is None
    assert first.inclusion is None


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (line(label=4), "the label is none of 3, 2, 1 (labels are"),
        (line(label=True), "the label is none of 3, 2, 1"),
        (line(label="harmless"), "the label is none of 3, 2, 1"),
        (line(dimension="Legality", label=2), "not on the scale of Legality (Legality is labelled"),
        (line(dimension="Legalty"), "no rubric has its `dimension` (one of Fairness, "),
        (line(record_id=""), "has no `record_id`"),
        (line(inclusion=0), "inclusion: must be greater than 0 (a line is {record_id"),
        (line(inclusion=1.5), "inclusion: must be 1 or less"),
        (line(design={"name": "simple"}), "a simple design needs frame_n and frame_sha256"),
        (line(design={"name": "stratified", "frame_n": 9, "frame_sha256": "a"}), "needs stratum"),
        (line(design=DRAWN.model_dump()), "a stratified design needs `inclusion`"),
        (line(format=2), "format: must be 1"),
        (line(inclusion="much"), "inclusion: is no number"),
        (line(record_id=["r1"]), "record_id: is no text"),
        (line(design={"name": "at random"}), "design.name: is none of simple, stratified, ext"),
        (line(design={"name": "external", "frame_n": 1.5}), "design.frame_n: is no whole number"),
        ({"record_id": "r1", "dimension": "Fairness"}, "has no `label` (a line is {record_id"),
    ],
)
def test_each_bad_line_is_named_with_its_place_and_mend(row: dict[str, Any], told: str) -> None:
    """One line, no traceback, none of the row's text."""
    (problem,) = problems(line(record_id="other"), row)
    assert problem.startswith("gold.jsonl:2: ")
    assert told in problem
    assert problem.endswith(")")


def test_marks_that_contradict_each_other_are_refused_and_equal_ones_count_once() -> None:
    """One annotator can't say two things of one row; a repeated line is no second opinion."""
    (problem,) = problems(line(), line(label=1))
    assert problem.startswith("gold.jsonl:2: contradicts line 1")
    found = parse_gold(enumerate([line(), line(), line(annotator="b")], 1), "g", rubrics())
    assert not found.problems
    assert len(found.labels) == 2


def test_draws_are_written_where_a_sample_was_extended_and_only_there() -> None:
    """The mark travels with the design, and changes nothing in files without it."""
    once, twice = DRAWN, DRAWN.model_copy(update={"draws": 2})
    assert "draws" not in json.loads(once.model_dump_json())
    assert Design.model_validate(twice.model_dump()) == twice
    labels = [mark(design=design, inclusion=0.5) for design in (once, twice)]
    assert [next(gold_lines([label])).count('"draws":2') for label in labels] == [0, 1]
    assert gold_sha256(labels[:1]) != gold_sha256(labels[1:])
    (problem,) = problems(line(design=once.model_dump() | {"draws": 0}, inclusion=0.5))
    assert "design.draws: must be 1 or more" in problem


def test_a_row_that_was_drawn_in_two_ways_is_refused() -> None:
    """A row's weight must be one."""
    drawn = {"design": DRAWN.model_dump(), "inclusion": 0.5}
    (problem,) = problems(line(**drawn), line(annotator="b", **drawn | {"inclusion": 0.4}))
    assert problem.startswith("gold.jsonl:2: has another design or inclusion than the same row on")


def test_reading_stops_at_the_first_bad_line_and_counts_the_others(tmp_path: Path) -> None:
    """Gold with holes is not used: which rows are bad may not be chance."""
    file = write_rows(tmp_path / "gold.jsonl", line(), line(record_id="r2", label=9), line(label=0))
    with pytest.raises(InputError, match=r"gold\.jsonl:2: the label .*; 1 more lines are bad"):
        read_gold(file, rubrics())
    with pytest.raises(InputError, match="does not exist"):
        read_gold(tmp_path / "none.jsonl", rubrics())


def test_a_file_that_is_no_gold_says_so(tmp_path: Path) -> None:
    """A table without the columns, a line that isn't JSON, a Parquet file without a dimension."""
    table, text, other = (tmp_path / name for name in ("a.csv", "b.jsonl", "c.parquet"))
    table.write_text("id,model\n1,m\n", encoding="utf-8")
    text.write_text(json.dumps(line()) + "\nnope\n", encoding="utf-8")
    pq = pytest.importorskip("pyarrow.parquet")
    pa = pytest.importorskip("pyarrow")
    pq.write_table(pa.table({"record_id": ["1"], "label": [3]}), other)
    with pytest.raises(InputError, match="has no column `record_id`"):
        read_gold(table, rubrics())
    with pytest.raises(InputError, match=r"b\.jsonl:2: is not JSON"):
        read_gold(text, rubrics())
    with pytest.raises(InputError, match="has no column `dimension`"):
        read_gold(other, rubrics())


@pytest.mark.parametrize(
    ("said", "label", "how"),
    [
        ({"a": 3}, 3, "single"),
        ({"a": 3, "b": 3}, 3, "agreed"),
        ({"a": 3, "b": 1}, None, "unresolved"),
        ({"a": 3, "b": 1, "c": 3}, 3, "majority"),
        ({"a": 3, "b": 1, "c": 2}, None, "unresolved"),
        ({"a": None, "b": 2}, 2, "single"),
        ({"a": None}, None, "skipped"),
        ({"a": 3, "b": 1, "adjudicator": 1}, 1, "adjudicated"),
        ({"a": 3, "b": 3, "adjudicator:李": 2}, 2, "adjudicated"),
        ({"a": 3, "b": 3, "Adjudicator": None}, 3, "agreed"),
    ],
)
def test_what_marks_come_to(said: dict[str, int | None], label: int | None, how: str) -> None:
    """Adjudicated before agreement before a plain majority; else nothing."""
    (row,) = rows_of(mark(1, given, name) for name, given in said.items())
    assert row.consensus == (label, how)
    assert not {"adjudicator", "adjudicator:李", "Adjudicator"} & set(row.marks)


@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from([1, 2, 3, None])), max_size=30))
def test_rows_keep_every_mark_and_their_order(said: list[tuple[int, int | None]]) -> None:
    """Joining loses nothing."""
    labels = [mark(n, label, f"p{place}") for place, (n, label) in enumerate(said)]
    rows = rows_of(labels)
    assert [row.key.record_id for row in rows] == list(dict.fromkeys(x.record_id for x in labels))
    assert sum(len(row.marks) for row in rows) == len(labels)


def test_the_hash_of_gold_is_that_of_what_it_says() -> None:
    """Not of the order of lines, of notes or of times; but of each label."""
    one = [mark(1), mark(2, 1)]
    assert gold_sha256(one) == gold_sha256([mark(2, 1, note="x", at="now"), mark(1)])
    assert gold_sha256(one) != gold_sha256([mark(1), mark(2, 2)])
    assert gold_sha256(one) != gold_sha256([mark(1), mark(2, 1, "b")])


def test_tasks_are_written_and_read_back_and_stand_once(tmp_path: Path) -> None:
    """What `sample` writes is what `annotate` and `export` read."""
    task = LabelTask(record_id="r1", model="m", dimension="Fairness", prompt="问", response="答",
                     design=DRAWN, inclusion=0.5)  # fmt: skip
    file = tmp_path / "to_label.jsonl"
    write_lines(file, task_lines([task]))
    assert read_tasks(file, rubrics()) == (task,)
    write_lines(file, task_lines([task, task]))
    with pytest.raises(InputError, match=r":2: the row stands twice"):
        read_tasks(file, rubrics())


def test_rows_are_found_by_model_or_where_only_one_model_has_them() -> None:
    """Gold of one's own may not name the model; it is never guessed."""
    there = {
        RowKey("m", "r1", "F"): "m1",
        RowKey("n", "r1", "F"): "n1",
        RowKey("m", "r2", "F"): "2",
    }
    wanted = [RowKey("n", "r1", "F"), RowKey(None, "r2", "F"), RowKey(None, "r1", "F"),
              RowKey("n", "r2", "F"), RowKey(None, "r9", "F")]  # fmt: skip
    found = locate(wanted, there)
    assert dict(found.found) == {wanted[0]: "n1", wanted[1]: "2"}
    assert found.ambiguous == (wanted[2],)
    assert found.unknown == (wanted[3], wanted[4])


def report(labels: list[GoldLabel], **options: Any) -> Any:
    return agreement(rows_of(labels), rubrics(), Draws(np.random.default_rng(0)), **options)


def test_agreement_goes_by_first_marks_before_adjudication() -> None:
    """What annotators changed after seeing each other, and who decided, don't count."""
    labels = [mark(n, 3 if n % 2 else 1, who) for n in range(20) for who in ("a", "b")]
    labels += [mark(99, 3, "a"), mark(99, 3, "b", first_label=1), mark(99, 2, "adjudicator")]
    part = report(labels).dimensions["Fairness"]
    assert part.annotators == ("a", "b")
    assert part.observed.value == pytest.approx(20 / 21)
    (pair,) = part.pairs
    assert pair.confusion.counts == ((10, 0, 1), (0, 0, 0), (0, 0, 10))
    assert pair.confusion.shares[0][2].value == pytest.approx(1 / 21)
    (worst,) = widest(rows_of(labels), 5)
    assert worst.key.record_id == "r99"


def test_alpha_is_ordinal_on_three_labels_and_nominal_on_two() -> None:
    """3-2-1 is an order; 3 and 1 alone have none."""
    labels = [mark(n, 3 - n % 3, who) for n in range(9) for who in "ab"]
    labels += [mark(n, 3 - 2 * (n % 2), w, dimension="Legality") for n in range(9) for w in "ab"]
    found = report(labels).dimensions
    assert found["Fairness"].alpha_metric == "ordinal"
    assert found["Legality"].alpha_metric == "nominal"
    kappa = found["Legality"].kappa
    assert kappa.linear == kappa.quadratic == kappa.unweighted


def test_three_annotators_have_a_kappa_for_each_pair_worst_first() -> None:
    """Cohen's kappa is for two; alpha is for all."""
    labels = [mark(n, 3 if n % 2 else 1, who) for n in range(30) for who in "abc"]
    labels = [x if x.annotator != "c" or int(x.record_id[1:]) > 9
              else x.model_copy(update={"label": 1}) for x in labels]  # fmt: skip
    part = report(labels).dimensions["Fairness"]
    assert "3: see pairs" in part.kappa.linear.why
    assert part.alpha.value < 1
    assert [pair.annotators for pair in part.pairs][-1] == ("a", "b")


def test_subcomponents_have_figures_of_their_own() -> None:
    """Where the run tells them."""
    labels = [mark(n, 3 if n % 2 else 1, who) for n in range(8) for who in "ab"]
    found = report(labels, part=lambda key: "one" if key.record_id < "r4" else None)
    assert set(found.dimensions["Fairness"].subcomponents) == {"one"}
    assert found.dimensions["Fairness"].subcomponents["one"].rows == 4


def test_unequal_inclusion_weighs_the_figures() -> None:
    """A row drawn with a chance of one in ten stands for ten."""
    drawn = {"design": DRAWN.model_dump()}
    labels = [mark(n, 3, who, inclusion=1.0, **drawn) for n in range(10) for who in "ab"]
    labels += [mark(n, 3 if w == "a" else 1, w, inclusion=0.1, **drawn)
               for n in range(10, 15) for w in "ab"]  # fmt: skip
    found = report(labels)
    assert found.weighted
    assert found.dimensions["Fairness"].observed.value == pytest.approx(10 / 60)


def test_a_judge_is_held_against_the_annotators() -> None:
    """The alternative-annotator test reads gold rows; rows without a verdict don't count."""
    labels = [mark(n, 3 if n % 2 else 1, who) for n in range(40) for who in "abc"]
    rows = rows_of(labels)
    judge = {row.key: row.marks["a"] for row in rows[:35]}
    found = alternative_annotator(rows, judge, AltTestOptions())
    assert found.passed
    assert {left.n for left in found.annotators} == {35}
    assert "no row has a mark" in alternative_annotator([], {}, AltTestOptions()).why
