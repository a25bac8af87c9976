from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from judge.embedded.fold import fold
from judge.embedded.one_text import OneText
from judge.embedded.shipped import shipped_weights
from judge.embedded.spans import Span, spans

HEADS = shipped_weights().evidence
ONE_TEXT = OneText(HEADS)
PLAIN = "今天天气很好，我们一起去公园散步，然后回家吃饭。"


def as_usual(text: str, asked: list[Span]) -> np.ndarray:
    return HEADS.logits([text[start:end] for start, end, _ in asked])


@given(
    st.text(alphabet=st.characters(codec=None), max_size=300),
    st.sampled_from(["", PLAIN * 5, "İ" * 90, "1 2\n3Σ" * 40]),
)
def test_the_logits_are_the_same_to_the_last_bit(text: str, more: str) -> None:
    """Whatever the text, also where a letter is two when lowered: score and guard agree."""
    folded = fold(text + more).text
    asked = list(spans(folded))
    assert (ONE_TEXT.logits(folded, asked) == as_usual(folded, asked)).all()


def test_some_of_the_parts_can_be_asked_for() -> None:
    """Each part's logits don't depend on which others are scored."""
    text = PLAIN * 20
    asked = list(spans(text))[1::3]
    assert (ONE_TEXT.logits(text, asked) == as_usual(text, asked)).all()


def test_a_long_text_is_scored_in_batches() -> None:
    """More parts than one batch holds: the same answers, in order."""
    text = "".join(PLAIN[i % len(PLAIN) :] for i in range(4000))
    asked = list(spans(text))
    assert len(asked) > 1024
    assert (ONE_TEXT.logits(text, asked) == as_usual(text, asked)).all()
