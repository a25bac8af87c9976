"""Which rows of a run are drawn, and what stands in them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.errors import InputError
from judge.gold.model import RowKey
from judge.judged import JudgedRow, judged_rows
from judge.records import Record
from judge.runlog import content_sha256
from judge.stress.draw import draw_evenly, drawn_cases
from judge.verdict import Hazard
from tests.cases import rubrics
from tests.judged_run import entries, verdict

SIZES = st.dictionaries(st.sampled_from("ABCDE"), st.integers(1, 12), min_size=1)


def rows_of(sizes: dict[str, int]) -> list[JudgedRow]:
    return [
        JudgedRow(RowKey("m", f"r{number}", name), "3", number)
        for name, size in sizes.items()
        for number in range(size)
    ]


@settings(max_examples=60, deadline=None)
@given(SIZES, st.integers(1, 40), st.integers(0, 99))
def test_dimensions_get_equal_parts_as_far_as_they_have_rows(
    sizes: dict[str, int], n: int, seed: int
) -> None:
    """No dimension has two rows more than another that still has some; no row comes twice."""
    keys = draw_evenly(rows_of(sizes), n, seed)
    assert len(keys) == len(set(keys)) == min(n, sum(sizes.values()))
    drawn = Counter(key.dimension for key in keys)
    open_ = [drawn[name] for name, size in sizes.items() if drawn[name] < size]
    assert all(count <= min(open_) + 1 for count in drawn.values()) if open_ else True


@settings(max_examples=60, deadline=None)
@given(SIZES, st.integers(1, 20), st.integers(1, 20))
def test_a_larger_draw_begins_with_the_same_rows(sizes: dict[str, int], n: int, more: int) -> None:
    """So that it costs the further rows alone."""
    rows = rows_of(sizes)
    assert draw_evenly(rows, n + more, 7)[: min(n, len(rows))] == draw_evenly(rows, n, 7)


def test_another_seed_draws_other_rows() -> None:
    """And the same one the same rows, whatever their order in the log."""
    rows = rows_of({"A": 200})
    assert set(draw_evenly(rows, 20, 1)) != set(draw_evenly(rows, 20, 2))
    assert draw_evenly(rows[::-1], 20, 1) == draw_evenly(rows, 20, 1)


def drawn(*lines: dict[str, Any]) -> list[Any]:
    log = entries(lines)
    keys = list(judged_rows(log))
    return drawn_cases(log, keys, rubrics(), "log")


def test_a_row_is_judged_again_as_it_was_judged() -> None:
    """Without its thinking where that was left out, with it where it was judged."""
    whole = "<think>想一想</think>不行。"
    record = Record(id="a", prompt="问", response=whole)
    dropped = content_sha256(record, "不行。")
    judged = content_sha256(record, whole)
    lines = [
        verdict(name, prompt="问", response=whole, content_sha256=content, subcomponent="x",
                hazard="known")
        for name, content in (("a", dropped), ("b", judged))
    ]  # fmt: skip
    first, second = drawn(*lines)
    assert (first.response, first.record.response) == ("不行。", "不行。")
    assert second.response == whole
    assert (first.record.model, first.record.subcomponent) == ("m", "x")


def test_the_last_line_of_a_row_counts() -> None:
    """A row whose text changed is judged as it is now."""
    (case,) = drawn(verdict("a", response="旧"), verdict("a", response="新"))
    assert case.response == "新"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([verdict("a", response=None)], "hashes instead of texts"),
        ([verdict("a", dimension="Health")], "no rubric for the dimension 'Health'"),
        ([verdict("a", hazard="known"), verdict("b", hazard="unknown")], "--ordinary"),
    ],
)
def test_rows_that_can_not_be_judged_again_end_the_test(
    lines: list[dict[str, Any]], told: str
) -> None:
    """One line that names the log and the mend."""
    with pytest.raises(InputError, match=r"^log: ") as raised:
        drawn(*lines)
    assert told in str(raised.value)


def test_ordinary_traffic_stays_ordinary() -> None:
    """The embedded judge abstains on it, and must go on doing so."""
    (case,) = drawn(verdict("a", hazard="unknown"))
    assert case.hazard is Hazard.UNKNOWN
