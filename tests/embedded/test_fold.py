from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.embedded.fold import fold

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


MESSY = st.text(
    "aZ9 ,。！？，、“”—你好我\n\r\t\u3000\u200b\u202eㅤ㎏½\u0301①🅐🇨Ａ０（）\u2028\u00a0🙂\ud800ﬁ\x00",
    max_size=40,
)


@given(MESSY | st.text(max_size=40))
def test_every_text_folds_as_character_by_character(text: str) -> None:
    """However much of it is plain, text and offsets are the definition's."""
    folded = fold(text)
    chars, origin = by_the_definition(text)
    assert folded.text == "".join(chars)
    assert origin == (list(range(len(text))) if folded.origin is None else list(folded.origin))


def by_the_definition(text: str) -> tuple[list[str], list[int]]:
    """The folded characters, and where each comes from."""
    chars: list[str] = []
    origin: list[int] = []
    for at, char in enumerate(text):
        for plain in of_one(char):
            if plain in " \n" and not chars:
                continue
            if plain in " \n" and chars[-1] in " \n":
                chars[-1] = "\n" if plain == "\n" else chars[-1]
                continue
            chars.append(plain)
            origin.append(at)
    while chars and chars[-1] in " \n":
        chars.pop(), origin.pop()
    return chars, origin


def of_one(char: str) -> str:
    """What is left of one character."""
    if char in "\r\n\x0b\x0c\x85\u2028\u2029":
        return "\n"
    if char.isspace():
        return " "
    boxed = (ord(char) - first for first in (0x1F150, 0x1F170, 0x1F1E6))
    letters = [chr(65 + at) for at in boxed if 0 <= at < 26]
    kept = letters[0] if letters else unicodedata.normalize("NFKC", char)
    hidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Mn", "Me"}
    seen = (c for c in kept if unicodedata.category(c) not in hidden)
    return "".join(" " if c.isspace() else c for c in seen if c not in "\u115f\u1160\u3164\uffa0")


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
        ("🅥🅧", "VX"),
        ("🆅🆇", "VX"),
        ("🇻🇽", "VX"),
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
        start = time.thread_time()
        fold("拒\u200b" * (length // 2))
        return time.thread_time() - start

    cost(10_000)
    assert cost(1_000_000) < 40 * max(cost(100_000), 0.02)
