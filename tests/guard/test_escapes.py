"""JSON's escapes inside texts: what is judged is what their reader will read."""

from __future__ import annotations

import itertools
import json

from hypothesis import given
from hypothesis import strategies as st

from guard.texts.escapes import Unescaping, argued, unescaped

PIECES = st.lists(
    st.one_of(
        st.sampled_from(["\\", "\\u", "\\u574f", "\\ud83d\\ude00", "\\ud83d", "\\ude00", "4f60"]),
        st.sampled_from(["\\" * 31, "\\\\u574f", "\\" * 32 + "u4f60"]),
        st.text(alphabet="好a\\ud83", max_size=4),
    ),
    max_size=12,
).map("".join)


def cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted({place % (len(text) + 1) for place in places}), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(edges)]


@given(PIECES, st.lists(st.integers(0, 200)), st.lists(st.integers(1, 5)))
def test_a_text_is_read_the_same_and_comes_out_as_it_was_however_it_is_cut(
    text: str, places: list[int], sizes: list[int]
) -> None:
    """In the middle of an escape too; not a character of it is lost."""
    one = Unescaping()
    pieces = cut(text, places)
    read = "".join(one.add(piece) for piece in pieces) + one.add("", final=True)
    assert read == unescaped(text)
    out = "".join(one.raw(size) for size in sizes)
    assert text.startswith(out)
    assert out + one.raw(len(read)) == text


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_what_json_writes_as_escapes_is_read_as_the_characters(text: str) -> None:
    """Whatever they are, faces made of two escapes too."""
    inside = json.dumps(text)[1:-1]
    kept = json.dumps(text, ensure_ascii=False)[1:-1]
    assert unescaped(inside).replace("\\", "") == unescaped(kept).replace("\\", "")


def test_json_inside_json_inside_json_is_read_too() -> None:
    """Each level doubles the backslashes."""
    text = "坏话😀"
    for _ in range(6):
        text = json.dumps({"q": text})
        assert "坏话😀" in unescaped(text)
        assert unescaped(text).isascii() is False


def test_arguments_are_read_without_the_escapes_of_blanks() -> None:
    """A tool gets ends of lines and slashes; a formula's letters stay."""
    assert argued(r"138\n1234\t5678") == "138\n1234\t5678"
    assert argued(r"a\/b\\n好") == "a/b\n好"
    assert argued(r"\\tau \\nu C:\\new") == r"\\tau \\nu C:\\new"


def test_halves_of_a_character_stay_as_they_are() -> None:
    """No text may hold one."""
    for text in ("\\ud83d", "\\ude00", "\\ud83dx", "\\ud83d\\u574f"):
        unescaped(text).encode()
    assert unescaped("\\ud83d\\u574f") == "\\ud83d坏"
