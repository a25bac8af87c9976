from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.embedded.fold import _fold_slowly, fold

ZERO_WIDTH = "\u200b\u200c\u200d\ufeff\u2060"


@given(st.text(max_size=60))
def test_a_folded_span_lies_in_the_original_text(text: str) -> None:
    """Every folded character can be shown where it stands."""
    folded = fold(text)
    assert folded.origin is None or len(folded.origin) == len(folded.text)
    for at in range(len(folded.text)):
        start, end = folded.span(at, at + 1)
        assert 0 <= start < end <= len(text)
    if folded.text:
        start, end = folded.span(0, len(folded.text))
        assert text[:start] == "" or not text[:start].isalnum()


PLAIN = st.text("abcZ019 ,.!?，。！？、“”—你好我拒绝\n", max_size=40)


@given(PLAIN)
def test_the_quick_way_folds_like_the_slow_one(text: str) -> None:
    """Text that needs no offsets comes out the same."""
    quick, slow = fold(text), _fold_slowly(text)
    assert quick.text == slow.text
    for at in range(len(quick.text)):
        assert quick.span(at, at + 1) == slow.span(at, at + 1)


@given(st.text(max_size=60))
def test_folding_twice_changes_nothing(text: str) -> None:
    """What was folded is plain."""
    once = fold(text).text
    assert fold(once).text == once


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("我" + ZERO_WIDTH + "拒绝", "我拒绝"),
        ("ＡＢＣ１２３", "ABC123"),
        ("a \t b", "a b"),
        ("a\r\n\r\nb", "a\nb"),
        ("\x00\x1b[31m抱歉", "[31m抱歉"),
        ("  抱歉  ", "抱歉"),
        ("違\ue000法", "違法"),
        ("", ""),
    ],
)
def test_disguises_fall(text: str, plain: str) -> None:
    """Zero-width, full-width and control characters hide nothing."""
    assert fold(text).text == plain


def test_a_megabyte_of_disguise_takes_linear_time() -> None:
    """Ten times the text costs about ten times the work, not a hundred times."""

    def cost(length: int) -> float:
        start = time.process_time()
        fold("拒\u200b" * (length // 2))
        return time.process_time() - start

    cost(10_000)
    assert cost(1_000_000) < 40 * max(cost(100_000), 0.02)
