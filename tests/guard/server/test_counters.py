"""What several workers count together."""

from __future__ import annotations

import sqlite3
import stat
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.server.counters import Counters
from judge.errors import InputError
from tests.guard.made import Time


@given(st.lists(st.floats(0, 10), max_size=200), st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_a_minute_has_no_more_than_its_number_on_average(gaps: list[float], rpm: int) -> None:
    """Any two minutes that touch have twice the number at most, however requests come."""
    counters, now, admitted = Counters(), 1_000_000.0, []
    for gap in gaps:
        now += gap
        if counters.admit("ann", rpm, now) == 0:
            admitted.append(now)
    for start in admitted:
        assert sum(start <= at < start + 60 for at in admitted) <= 2 * rpm
        inside = sum(start // 60 == at // 60 for at in admitted)
        assert inside <= rpm
    counters.close()


@given(st.lists(st.floats(0, 30), min_size=1, max_size=60), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_who_waits_as_told_is_let_in(gaps: list[float], rpm: int) -> None:
    """The time in `retry-after` is enough."""
    counters, now = Counters(), 1_000_000.0
    for gap in gaps:
        now += gap
        wait = counters.admit("ann", rpm, now)
        if wait:
            now += wait + 1e-6
            assert counters.admit("ann", rpm, now) == 0
    counters.close()


def test_callers_are_counted_apart() -> None:
    """One's rush is not another's."""
    counters = Counters()
    assert [counters.admit("ann", 1, 90.0) > 0 for _ in range(2)] == [False, True]
    assert counters.admit("bob", 1, 90.0) == 0


def test_a_file_that_is_none_of_counters_is_named(tmp_path: Path) -> None:
    """One line in place of a traceback, and what to do."""
    file = tmp_path / "counters.sqlite"
    file.write_text("no database" * 100)
    with pytest.raises(InputError, match="can't be used") as raised:
        Counters(file)
    assert raised.value.file == file
    assert "move it away" in raised.value.mend
    with pytest.raises(InputError, match="No such file"):
        Counters(tmp_path / "nowhere" / "counters.sqlite")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")
def test_the_file_is_its_owner_s_alone(tmp_path: Path) -> None:
    """It names callers, and how much they ask."""
    counters = Counters(tmp_path / "counters.sqlite")
    counters.admit("ann", 2, 90.0)
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}
    counters.close()


def test_workers_and_restarts_share_one_count(tmp_path: Path) -> None:
    """A quota and a budget hold for the server, not for each process."""
    file = tmp_path / "counters.sqlite"
    first, second = Counters(file), Counters(file)
    assert [one.admit("ann", 2, 90.0) > 0 for one in (first, second, first)] == [False, False, True]
    first.add("2026-01-01", 1.5)
    second.add("2026-01-01", 0.25)
    assert first.spent("2026-01-01") == pytest.approx(1.75)
    first.close()
    second.close()
    third = Counters(file)
    assert third.spent("2026-01-01") == pytest.approx(1.75)
    assert third.spent("2026-01-02") == 0
    assert third.admit("ann", 2, 90.0) > 0


def test_who_holds_the_file_holds_up_nobody_and_no_money_is_lost(tmp_path: Path) -> None:
    """A backup or a forgotten shell: requests and spend are counted beside it, and written later.

    All requests wait while one worker waits for the file; so it does so briefly, and not each time.
    """
    file, clock = tmp_path / "counters.sqlite", Time()
    counters, other = Counters(file, clock.clock), Counters(file)
    counters.add("2026-01-01", 1.0)
    holding = sqlite3.connect(file, isolation_level=None)
    holding.execute("BEGIN IMMEDIATE")
    start = time.monotonic()
    counters.add("2026-01-01", 0.5)
    for _ in range(50):
        counters.add("2026-01-01", 0.25)
        assert counters.admit("ann", 100, 90.0) == 0
    assert time.monotonic() - start < 1.5
    assert counters.spent("2026-01-01") == pytest.approx(14.0)
    assert other.spent("2026-01-01") == pytest.approx(1.0)
    holding.execute("COMMIT")
    holding.close()
    counters.add("2026-01-01", 0.5)
    assert other.spent("2026-01-01") == pytest.approx(1.0)
    clock.seconds += 2
    counters.add("2026-01-01", 0.5)
    assert other.spent("2026-01-01") == pytest.approx(15.0)
    counters.close()
    other.close()


def test_money_that_is_not_written_yet_is_written_at_the_end(tmp_path: Path) -> None:
    """A server that stops while it waits for the next try."""
    file = tmp_path / "counters.sqlite"
    counters = Counters(file)
    holding = sqlite3.connect(file, isolation_level=None)
    holding.execute("BEGIN IMMEDIATE")
    counters.add("2026-01-01", 0.5)
    holding.execute("COMMIT")
    holding.close()
    counters.close()
    again = Counters(file)
    assert again.spent("2026-01-01") == pytest.approx(0.5)
    again.close()
