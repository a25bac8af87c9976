"""What is looked at and what may be released, whatever the network does."""

from __future__ import annotations

import itertools
import pickle
import re

from hypothesis import example, given
from hypothesis import strategies as st

from guard.stream.windows import Look, Windows

TEXT = st.text(alphabet="好坏a。！\n”", max_size=400)
SIZES = st.tuples(st.integers(20, 90), st.integers(0, 45)).map(
    lambda p: (p[0], min(p[1], p[0] // 2))
)


def cut(text: str, places: list[int]) -> list[str]:
    """The text in pieces."""
    edges = [0, *sorted({p % (len(text) + 1) for p in places}), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(edges)]


def passed(pieces: list[str], sizes: tuple[int, int]) -> tuple[list[Look], str, Windows]:
    """All looks and all that was released, where every look passes."""
    windows, looks, out = Windows(*sizes), [], ""
    for piece in pieces:
        due = windows.add(piece)
        for look in due:
            windows.settle(look.end)
        looks += due
        out += windows.safe()
    tail = windows.tail()
    looks += [] if tail is None else [tail]
    windows.settle(windows.added)
    return looks, out + windows.release(windows.added), windows


@given(TEXT, st.lists(st.integers(0, 1000)), SIZES)
def test_looks_are_fixed_by_the_text_alone(
    text: str, places: list[int], sizes: tuple[int, int]
) -> None:
    """However a network cuts a text, it is looked at in the same places."""
    assert passed(cut(text, places), sizes)[0] == passed([text], sizes)[0]


@given(TEXT, st.lists(st.integers(0, 1000)), SIZES)
def test_a_text_that_passes_comes_out_whole(
    text: str, places: list[int], sizes: tuple[int, int]
) -> None:
    """Not a character is lost, doubled or moved."""
    assert passed(cut(text, places), sizes)[1] == text


@given(TEXT, st.lists(st.integers(0, 1000)), SIZES)
def test_nothing_is_released_before_two_looks_could_see_what_follows_it(
    text: str, places: list[int], sizes: tuple[int, int]
) -> None:
    """What is out has passed, with as many characters behind it as windows overlap."""
    windows = Windows(*sizes)
    seen = [False] * len(text)
    for piece in cut(text, places):
        for look in windows.add(piece):
            seen[look.end - len(look.text) : look.end] = [True] * len(look.text)
            windows.settle(look.end)
        windows.safe()
        assert all(seen[: windows.released])
        assert windows.released <= max(windows.passed - sizes[1], 0)


@given(TEXT, SIZES)
def test_every_character_is_in_a_look_and_neighbours_share_the_overlap(
    text: str, sizes: tuple[int, int]
) -> None:
    """No gap between windows, and the last one ends with the text."""
    looks, _, _ = passed([text], sizes)
    spans = [(look.end - len(look.text), look.end) for look in looks]
    assert all(text[a:b] == look.text for (a, b), look in zip(spans, looks, strict=True))
    if text:
        assert (spans[0][0], spans[-1][1]) == (0, len(text))
    for (_, end), (start, _) in itertools.pairwise(spans):
        assert end - start >= sizes[1]


@given(TEXT, st.lists(st.integers(0, 1000)), SIZES)
def test_first_text_is_held_no_longer_than_one_window_and_any_text_than_two(
    text: str, places: list[int], sizes: tuple[int, int]
) -> None:
    """A reader sees something as soon as a window is full."""
    windows = Windows(*sizes)
    for piece in cut(text, places):
        for look in windows.add(piece):
            windows.settle(look.end)
        windows.safe()
        if windows.added >= sizes[0]:
            assert windows.released > 0
        assert windows.added - windows.released < 2 * sizes[0]


@given(TEXT, st.lists(st.integers(0, 1000)), SIZES)
@example("好。" + "好" * 80, [], (80, 40))
def test_how_far_a_text_is_out_depends_on_the_text_alone(
    text: str, places: list[int], sizes: tuple[int, int]
) -> None:
    """Not on how a network cuts it, nor on how often one asks."""
    out = []
    for pieces in (cut(text, places), [text], [*text]):
        windows = Windows(*sizes)
        for piece in pieces:
            for look in windows.add(piece):
                windows.settle(look.end)
            windows.safe()
        assert windows.safe() == ""
        out.append(windows.released)
    assert len(set(out)) == 1


@given(
    st.lists(
        st.sampled_from(["好", "SF", "，", "\n", "13800138000", "1764730851123", "9" * 19]),
        max_size=60,
    ),
    SIZES,
)
def test_a_number_is_looked_at_whole_and_never_cut(
    words: list[str], sizes: tuple[int, int]
) -> None:
    """A piece of an order number is no telephone number; a telephone number is in some look."""
    window, overlap = max(sizes[0], 80), 40
    text = "，".join(words)
    looks, out, _ = passed([text], (window, overlap))
    numbers = re.findall("[0-9]+", text)
    seen = [one for look in looks for one in re.findall("[0-9]+", look.text)]
    assert out == text
    assert set(seen) == set(numbers)


def test_a_number_that_ends_a_text_with_its_window_is_looked_at() -> None:
    """It might have gone on: it waits for more, or for the end."""
    looks, out, _ = passed(["好" * 69 + "13800138000"], (80, 40))
    assert [look.text.endswith("13800138000") for look in looks] == [False, True]
    assert out.endswith("13800138000")


def test_a_release_ends_with_a_sentence_where_one_ends() -> None:
    """Readers get whole sentences, with their closing marks."""
    windows = Windows(80, 40)
    text = "他说：“不行。”" + "后" * 80
    for look in windows.add(text):
        windows.settle(look.end)
    assert windows.safe() == "他说：“不行。”"


def test_memory_and_work_stay_flat_over_a_long_text() -> None:
    """A megabyte in small pieces: what is kept, in bytes of a copy, is bounded by the window."""
    windows, kept, looked = Windows(80, 40), 0, 0
    for _ in range(20_000):
        for look in windows.add("好" * 50):
            windows.settle(look.end)
            looked += len(look.text)
        windows.safe()
        kept = max(kept, len(pickle.dumps(windows)))
    assert kept <= 3 * (80 + 50 + 80) + 300
    assert looked <= 2 * 1_000_000
