"""How a text is read whose pieces are new, or each all so far."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import accumulate, pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from guard.app_streams.readings import GOING_ON, LEAST, Fed, Needs, Reading, Readings

TEXT = "春天来了，公园里的花都开了，孩子们在草地上奔跑，大家都很开心。"
pieces_of = st.lists(st.text("加微信138 .", min_size=1, max_size=9), max_size=14)


class Read:
    """What was fed for some pieces, and what each of them waits for."""

    def __init__(self, pieces: list[str], *, ends: bool = True) -> None:
        self.readings = Readings("reply")
        self.texts: defaultdict[Reading, str] = defaultdict(str)
        self.then: list[str] = []
        self.needs: list[Needs] = [{} for _ in pieces]
        for piece, needs in zip(pieces, self.needs, strict=True):
            self._feed(self.readings.take(piece, needs))
        if ends:
            self._feed(self.readings.end())

    def _feed(self, fed: Iterable[Fed]) -> None:
        for channel, text, then in fed:
            self.texts[channel] += text * (then != "aside")
            self.then.append(then)

    @property
    def new(self) -> str:
        return self.texts[self.readings.new]

    @property
    def whole(self) -> str:
        return self.texts[self.readings.whole]


def go_on(pieces: list[str]) -> bool:
    """Whether any of them might be taken for all so far."""
    runs = [later.startswith(before[:1]) for before, later in pairwise(pieces)]
    return any(all(runs[at : at + GOING_ON]) for at in range(len(runs) - GOING_ON + 1))


@given(pieces_of)
def test_pieces_that_are_new_are_read_as_one_text(pieces: list[str]) -> None:
    """Also where one happens to begin with the one before it, as digits do: `1` and `11`."""
    assume(not go_on(pieces) or max(map(len, pieces)) < LEAST)
    assert Read(pieces).new == "".join(pieces)


@given(st.lists(st.integers(1, 9), min_size=GOING_ON + 1, max_size=30))
def test_a_text_that_comes_as_all_so_far_is_read_once(steps: list[int]) -> None:
    ends = list(accumulate(steps))
    assume(ends[GOING_ON] >= LEAST)
    text = (TEXT * 10)[: ends[-1]]
    read = Read([text[:end] for end in ends])
    assert read.whole == text
    assert read.new == ""  # what was held so is dropped


@given(pieces_of, st.booleans())
def test_each_event_waits_until_all_that_it_says_is_read(pieces: list[str], whole: bool) -> None:
    """And for no longer than to the end."""
    said = list(accumulate(pieces)) if whole else pieces
    read = Read(said)
    for piece, needs in zip(said, read.needs, strict=True):
        assert needs
        seen = [read.texts[channel][: int(end)] for channel, end in needs.items()]
        kept = piece.rstrip(" .")
        assert any(kept in text for text in seen)


@given(pieces_of, pieces_of)
def test_a_stream_that_begins_anew_is_read_anew(first: list[str], second: list[str]) -> None:
    said = [*accumulate(first), "好，", *second]
    assume(not go_on(["好，", *second]))
    assert "".join(second) in Read(said).new


@pytest.mark.parametrize("mark", ["▌", "...", " ▌", "</p>", "</b></p>"])
def test_a_cursor_behind_all_so_far_is_no_text(mark: str) -> None:
    """It would stand between any two pieces, and what they say would be read as new each time."""
    pieces = [*(TEXT[:end] + mark for end in range(1, len(TEXT))), TEXT]
    assert Read(pieces).whole == TEXT


@pytest.mark.parametrize("mark", ["●", "\n```", "**", "”", '<span class="cursor"></span>', '"}'])
def test_a_mark_that_nobody_knows_is_learned(mark: str) -> None:
    """What stands behind two texts in a row, one of which is the other gone on, is none of them."""
    text = TEXT * 4
    pieces = [*(text[:end] + mark for end in range(1, len(text))), text]
    read = Read(pieces)
    assert read.whole.endswith(text)
    assert len(read.new) < 300 + 20 * len(mark)


def test_what_stands_before_such_a_text_waits_for_no_more() -> None:
    """The other channel gets no more of it, so that no window would pass it."""
    pieces = ["你好，", *(TEXT[:end] for end in range(1, 30))]
    read = Read(pieces, ends=False)
    assert read.then.count("hasten") == 1
    assert all(
        end <= len(read.texts[channel]) for needs in read.needs for channel, end in needs.items()
    )


def test_what_was_no_reading_of_a_text_is_dropped_and_waited_for_by_none() -> None:
    read = Read([TEXT[:end] for end in range(1, 30)], ends=False)
    assert read.then.count("drop") == 1
    assert {channel for needs in read.needs for channel in needs} == {read.readings.whole}


def test_a_piece_that_may_be_either_waits_for_the_next() -> None:
    read = Read(["1", "13", "138"], ends=False)
    assert read.needs[0][read.readings.new] == 1
    assert read.needs[1:] == [{read.readings.new: float("inf")}] * 2
    channel: Reading = read.readings.new
    read.readings.take("。", {})
    assert [needs[channel] for needs in read.needs] == [1, 3, 6]
