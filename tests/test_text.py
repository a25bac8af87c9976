from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from judge.text import chinese_share, find_quote, fingerprint, visible

TEXT = st.text(max_size=60)


@given(TEXT)
def test_no_control_or_format_character_gets_through(text: str) -> None:
    """What is shown holds no escape, no bidi override and no tag character."""
    for char in visible(text):
        hidden = unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co"}
        assert char in "\n\t\u200d" or not hidden or _has_a_glyph(char)


def _has_a_glyph(char: str) -> bool:
    """Format characters that are drawn: prepended marks, hieroglyph joiners, shorthand."""
    drawn = (("\u0600", "\u0605"), ("\u06dd", "\u06dd"), ("\u070f", "\u070f"))
    more = (
        ("\u0890", "\u0891"),
        ("\u08e2", "\u08e2"),
        ("\U000110bd", "\U000110cd"),
        ("\U00013430", "\U0001345f"),
    )
    ranges = (*drawn, *more, ("\U0001bca0", "\U0001bca3"))
    return any(first <= char <= last for first, last in ranges)


def test_hidden_orders_become_readable() -> None:
    """Tag characters and zero-width spaces inside words are written out."""
    assert visible("好\U000e0041\u200b的") == "好⟦U+E0041⟧⟦U+200B⟧的"
    assert visible("\x1b[31m红") == "⟦U+001B⟧[31m红"


def test_emoji_families_stay_whole() -> None:
    """A zero-width joiner between emoji is part of the glyph."""
    assert visible("👨\u200d👩\u200d👧") == "👨\u200d👩\u200d👧"


@given(TEXT, TEXT, TEXT)
def test_a_verbatim_quote_is_found_where_it_stands(before: str, quote: str, after: str) -> None:
    """A quote that occurs is found, and its offsets give text that folds to the quote."""
    text = before + quote + after
    span = find_quote(quote, text)
    if span is not None:
        assert find_quote(text[span[0] : span[1]], quote) is not None or quote in text
    if quote:
        exact = find_quote(quote, text)
        assert exact is not None
        assert text[exact[0] : exact[1]] == quote


def test_a_quote_is_found_in_spite_of_width_hidden_characters_and_quotation_marks() -> None:
    """Models rewrite full-width letters and quotation marks when they quote."""
    text = "他说：“ＡＢ\u200bＣ 不行”。"
    span = find_quote("'abc不行'", text)
    assert span is not None
    assert text[span[0] : span[1]] == "ＡＢ\u200bＣ 不行"


def test_an_invented_quote_is_not_found() -> None:
    """Changed words, and quotes of nothing but marks, are no evidence."""
    assert find_quote("我可以教你", "我不能教你") is None
    assert find_quote("“”", "“文”") is None
    assert find_quote("", "文") is None


@given(st.lists(TEXT, max_size=4), st.lists(TEXT, max_size=4))
def test_fingerprints_tell_lists_apart(one: list[str], other: list[str]) -> None:
    """Moving a boundary between parts changes the fingerprint."""
    assert (fingerprint(*one) == fingerprint(*other)) == (one == other)


def test_chinese_share_counts_letters_alone() -> None:
    """Digits and punctuation say nothing about the language."""
    assert chinese_share("判据 1、2 成立。") == 1.0
    assert chinese_share("It is harmful, 有害") < 0.2
    assert chinese_share("123!") == 0.0
