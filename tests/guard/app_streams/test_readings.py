"""How a text is read whose pieces are new, or each all so far."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from itertools import accumulate

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from guard.app_streams.readings import GOING_ON, LEAST, MOST_GROWING, Fed, Needs, Reading, Readings

TEXT = "春天来了，公园里的花都开了，孩子们在草地上奔跑，大家都很开心。"
pieces_of = st.lists(st.text("加微信138 .", min_size=1, max_size=9), max_size=14)


WINDOW, NEAR = 80, 40


class Read:
    """What was fed for some pieces, and what each of them waits for."""

    def __init__(self, pieces: list[str], *, ends: bool = True) -> None:
        self.readings = Readings("reply", WINDOW, NEAR)
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
    def wholes(self) -> list[str]:
        """The texts that were read as all so far."""
        return [text for channel, text in self.texts.items() if channel.name.startswith("reply.so")]

    @property
    def whole(self) -> str:
        (text,) = self.wholes
        return text


def go_on(pieces: list[str]) -> bool:
    """Whether any of them might be taken for all so far."""
    begun = [
        any(piece.startswith(one[:1]) for one in pieces[:at]) for at, piece in enumerate(pieces)
    ]
    return sum(begun) >= GOING_ON


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
    pieces = ["你好，", *((TEXT * 2)[:end] for end in range(1, NEAR + 10))]
    read = Read(pieces, ends=False)
    assert read.then.count("hasten") == 1
    assert all(
        end <= len(read.texts[channel]) for needs in read.needs for channel, end in needs.items()
    )


def test_what_was_no_reading_of_a_text_is_dropped_and_waited_for_by_none() -> None:
    read = Read([TEXT[:end] for end in range(1, 30)], ends=False)
    assert read.then.count("drop") == 1
    assert {channel.name for needs in read.needs for channel in needs} == {"reply.so_far"}


def test_a_piece_that_may_be_either_waits_for_the_next() -> None:
    """And so does what it goes on from; a status that stands between tells nothing."""
    read = Read(["1", "13", "思考中", "138"], ends=False)
    new: Reading = read.readings.new
    assert [needs[new] for needs in read.needs] == [math.inf, math.inf, 6, math.inf]
    read.readings.take("。" * (NEAR + 1), {})
    assert [needs[new] for needs in read.needs] == [1, 3, 6, 9]


@pytest.mark.parametrize("status", ["思考中", "正在为您检索相关的资料，请稍候片刻"])
@pytest.mark.parametrize("least", [1, 30])
def test_a_status_between_is_no_end_of_a_text_that_grows(status: str, least: int) -> None:
    """Each piece goes on from the one before the status, and is read as that."""
    text = TEXT * 3
    pieces = [one for end in range(least, len(text)) for one in (text[:end], status)]
    assert Read([*pieces, text]).whole == text


@pytest.mark.parametrize("dots", ["", "…", "... "])
@pytest.mark.parametrize("length", [20, 40, 90])
def test_a_text_that_grows_may_lose_its_beginning(length: int, dots: str) -> None:
    """As where all so far is but the last so many characters."""
    text = "".join(f"第{n}句，" for n in range(99))
    pieces = [text[:end] for end in range(1, length)]
    cut = [dots + text[end - length : end] for end in range(length, len(text) + 1)]
    assert Read([*pieces, *cut]).whole == text


def test_two_texts_that_grow_by_turns_are_two() -> None:
    """Of both is read what is new."""
    other = TEXT[::-1]
    turns = [one[:end] for end in range(1, len(TEXT) + 1) for one in (TEXT, other)]
    assert sorted(Read(turns).wholes) == sorted([TEXT, other])


def test_texts_that_grow_one_after_the_other_take_no_more_channels_than_are_remembered() -> None:
    """A stream may begin anew for ever."""
    texts = [f"第{n}个{TEXT}" for n in range(10, 90)]
    read = Read([text[:end] for text in texts for end in range(16, len(text) + 1)])
    assert len(read.wholes) <= MOST_GROWING + 1
    assert sorted(one for text in read.wholes for one in text.split("\n")) == texts


def test_a_text_that_has_not_grown_for_a_window_of_others_waits_no_more() -> None:
    """It may have ended; where it goes on after all it is read as before."""
    pieces = [TEXT[:end] for end in range(1, 24)]
    read = Read([*pieces, *(f"{n}，" for n in range(40)), TEXT])
    assert read.then.count("hasten") == 1
    assert read.whole == TEXT
