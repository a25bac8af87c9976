"""What a text's pieces add, whether each is new or all so far."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from guard.app_streams.pieces import LEAST, Pieces

texts = st.lists(st.text("加微信138 -", min_size=1, max_size=12), max_size=12)


def read(pieces: list[str]) -> str:
    """All that is read of them."""
    one = Pieces()
    return "".join([*map(one.new, pieces), one.rest()])


@given(texts)
def test_a_text_that_comes_as_all_so_far_is_read_once(parts: list[str]) -> None:
    """Read as new each time, its cost would be its length's square, and windows would look away."""
    so_far = list(accumulate(parts))
    one = Pieces()
    assert "".join(map(one.new, so_far)) + one.rest() * one.are_whole == "".join(parts)


@pytest.mark.parametrize("mark", ["▌", "...", " ▌", "</p>", "</b></p>"])
def test_a_cursor_behind_all_so_far_is_no_text(mark: str) -> None:
    """It would stand between any two pieces, and what they say would be read as new each time."""
    text = "春天来了，公园里的花都开了，孩子们在草地上奔跑，大家都很开心。"
    one = Pieces()
    said = "".join([*(one.new(text[:end] + mark) for end in range(1, len(text))), one.new(text)])
    assert said.endswith(text[20:])
    assert len(said) < len(text) + 20 * len(mark) + 20


@pytest.mark.parametrize("status", ["…", "系统：正在生成"])
def test_a_status_between_two_pieces_does_not_make_them_new(status: str) -> None:
    text = "春天来了，公园里的花都开了，孩子们在草地上奔跑，大家都很开心。" * 20
    one = Pieces()
    said = "".join(
        one.new(piece) for end in range(1, len(text) + 1) for piece in (status, text[:end])
    )
    assert said.endswith(text[40:])
    assert len(said) < 400 + len(text)


@given(texts)
def test_each_piece_is_read_whole_however_the_others_begin(pieces: list[str]) -> None:
    assert all(piece in read(pieces) for piece in pieces)


@given(st.lists(st.sampled_from(["的", "哈", "1", "3", "8"]), max_size=30))
def test_pieces_that_are_alike_by_chance_are_all_read(pieces: list[str]) -> None:
    """Of `1` `1` the second is no repetition of the first."""
    assert read(pieces) == "".join(pieces)


@given(texts, texts)
def test_a_text_that_begins_anew_is_read_anew(first: list[str], second: list[str]) -> None:
    assume(not "".join(second).startswith("".join(first)[:LEAST]))
    one = Pieces()
    said = [one.new(piece) for piece in [*accumulate(first), "\n", *accumulate(second)]]
    assert "".join([*said, one.rest()]).endswith("".join(second))
