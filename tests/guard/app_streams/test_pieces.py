"""What a text's pieces add, whether each is new or all so far."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from guard.app_streams.pieces import GOING_ON, LEAST, Pieces

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
    assert "".join(map(one.new, so_far)) == "".join(parts)
    if len(parts) > GOING_ON and len(so_far[-1]) >= LEAST:
        assert one.rest() == ""


@given(texts)
def test_each_piece_is_read_whole_however_the_others_begin(pieces: list[str]) -> None:
    assert all(piece in read(pieces) for piece in pieces)


@given(st.lists(st.sampled_from(["的", "哈", "1", "3", "8"]), max_size=30))
def test_pieces_that_are_alike_by_chance_are_all_read(pieces: list[str]) -> None:
    """Of `1` `1` the second is no repetition of the first."""
    assert read(pieces) == "".join(pieces)


@given(texts, texts)
def test_a_text_that_begins_anew_is_read_anew(first: list[str], second: list[str]) -> None:
    one = Pieces()
    said = [one.new(piece) for piece in [*accumulate(first), "\n", *accumulate(second)]]
    assert "".join([*said, one.rest()]).endswith("".join(second))
