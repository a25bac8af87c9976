from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.embedded import compiled
from judge.embedded.fold import fold
from judge.embedded.spans import LEAST, SHORT, WINDOW, Span, pieces

TEXTS = st.text(alphabet=st.sampled_from("天气很好吗。!?;\n，,、:a "), max_size=400)
STORY = "我们常去公园散步，看看花草树木，也和邻居聊聊孩子们的学习。" * 6
DAY = "今天天气很好，我们一起去公园散步。"


def in_python(text: str) -> list[Span]:
    """What the same call gives without the compiled pass."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "grams", None)
        return pieces(text)


def test_sentences_clauses_and_short_windows_are_pieces() -> None:
    """A sentence, each two clauses of one that has more, and windows for what nothing parts."""
    text = "天气很好,我们去公园,晚上回家。再见。"
    assert [text[start:end] for start, end, _ in pieces(text)] == [
        "天气很好,我们去公园,晚上回家",
        "天气很好,我们去公园",
        "我们去公园,晚上回家",
    ]
    unparted = "天" * (2 * SHORT)
    assert pieces(unparted) == [(0, 24, True), (12, 36, True), (24, 48, True)]


def test_a_text_that_is_one_short_sentence_has_no_pieces() -> None:
    """It is asked about already."""
    assert pieces("天气很好") == pieces("") == []


@given(TEXTS)
def test_pieces_do_not_depend_on_how_they_were_built(text: str) -> None:
    """Compiled or not, in the same order, none too short or too long."""
    found = pieces(text)
    assert found == in_python(text)
    assert all(LEAST <= end - start <= WINDOW for start, end, _ in found)


def test_a_long_sentence_is_asked_about_by_its_clauses() -> None:
    """Two at a time, also where there are two alone and nothing ends it."""
    text = fold(STORY).text.replace("。", ",")
    found = [text[start:end] for start, end, _ in pieces(text) if end - start != SHORT]
    assert found
    assert all(one.count(",") == 1 for one in found)


@pytest.mark.parametrize("wrong", [(0, 2, 1, 1), (1, 2, 0, 1), (1, 2, 1, 0)])
def test_the_compiled_pass_refuses_what_makes_no_pieces(wrong: tuple[int, ...]) -> None:
    """Nothing goes on for ever."""
    if compiled.grams is not None:
        with pytest.raises(ValueError, match="length"):
            compiled.grams.pieces(DAY, *wrong)
