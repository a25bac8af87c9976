from __future__ import annotations

import importlib.util
import math
import sys
from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from judge import embedded
from judge.embedded import compiled
from judge.embedded.fold import fold
from judge.embedded.heads import KINDS, PIECE_MARGIN, EvidenceHeads, readable
from judge.embedded.shipped import shipped_weights
from judge.embedded.spans import Span, spans

HEADS = shipped_weights().evidence
PLAIN = "今天天气很好，我们一起去公园散步，然后回家吃饭。"
AD = "代发评论日结，有想做的联系我"
# A text in which all but the last hides something that is lowered or hashed in a way of its own.
ODD = [
    "",
    PLAIN * 5,
    "İ" * 90,
    "1 2\n3Σ" * 40,
    "ΑΣ 一二三四 ΣΑ",
    "😀一二三四𝕏" * 20,
    "^$^$一二三四",
]


@pytest.fixture(params=["compiled", "numpy"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the compiled half, where it could be built, and without."""
    if request.param == "numpy":
        monkeypatch.setattr(compiled, "grams", None)


def asked_in(text: str) -> list[Span]:
    return [span for span in spans(text) if readable(text[span[0] : span[1]])]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet=st.characters(codec=None), max_size=300), st.sampled_from(ODD))
def test_the_logits_are_the_same_to_the_last_bit(either: None, text: str, more: str) -> None:
    """Whatever the text, also where a letter is two when lowered: both and training agree."""
    folded = fold(text + more).text
    asked = asked_in(folded)
    near = HEADS.reaching(folded, list(spans(folded)), least=-math.inf)
    assert [one.span for one in near] == asked
    usual = HEADS.logits([folded[start:end] for start, end, _ in asked])
    assert [one.logits for one in near] == [tuple(row) for row in usual.tolist()]


def test_only_what_reaches_a_cut_is_given(either: None) -> None:
    """By the cut, by the margin of pieces, and not by the window's place."""
    text = fold((PLAIN + AD) * 3).text
    asked = list(spans(text))
    logits = HEADS.logits([text[start:end] for start, end, _ in asked])
    above = logits - HEADS.cuts - np.outer([piece for _, _, piece in asked], PIECE_MARGIN)
    for least in (-4.0, 0.0):
        near = HEADS.reaching(text, asked, least)
        assert [one.span for one in near] == [
            asked[row] for row in (above.max(axis=1) >= least).nonzero()[0]
        ]
        assert 0 < len(near) < len(asked)
        assert all(max(one.above) >= least for one in near)


def test_some_of_the_parts_can_be_asked_for(either: None) -> None:
    """Each part's logits don't depend on which others are scored."""
    text = fold(PLAIN * 20).text
    asked = asked_in(text)
    whole = HEADS.reaching(text, asked, least=-math.inf)
    assert HEADS.reaching(text, asked[1::3], least=-math.inf) == whole[1::3]


def test_a_long_text_is_scored_in_batches(either: None) -> None:
    """More parts than one batch holds: the same answers, in order."""
    text = fold("".join(PLAIN[i % len(PLAIN) :] for i in range(4000))).text
    asked = list(spans(text))
    assert len(asked) > 1024
    usual = HEADS.logits([text[start:end] for start, end, _ in asked])
    rows = [i for i, (start, end, _) in enumerate(asked) if readable(text[start:end])]
    near = HEADS.reaching(text, asked, least=-math.inf)
    assert [one.logits for one in near] == [tuple(usual[row].tolist()) for row in rows]


def test_parts_without_chinese_say_nothing(either: None) -> None:
    """The heads know Chinese alone."""
    text = "click here to win 1000 now " * 5
    assert HEADS.reaching(text, list(spans(text)), least=-math.inf) == []


def test_nothing_is_asked_of_an_empty_text(either: None) -> None:
    """No window of it holds a character."""
    assert HEADS.reaching("", list(spans("")), least=-math.inf) == []
    assert HEADS.reaching(PLAIN, []) == []


@pytest.mark.parametrize(
    ("spans_", "error"),
    [
        ([(0, 3, False)], ValueError),
        ([(-1, 1, False)], ValueError),
        ([(2, 1, False)], ValueError),
        ([(0, 2**70, False)], OverflowError),
        ([(0, 1)], TypeError),
        ([[0, 1, False]], TypeError),
        (((0, 1, False),), TypeError),
        ([("0", "1", False)], TypeError),
    ],
)
def test_the_compiled_half_reads_nothing_outside_the_text(
    spans_: list[Span], error: type[Exception]
) -> None:
    """A wrong span is refused before anything is read."""
    if compiled.grams is not None:
        with pytest.raises(error):
            compiled.grams.reaching("一二", spans_, *HEADS._packed, 0.0)


@pytest.mark.parametrize("cut", ["rows", "numbers"])
def test_the_compiled_half_reads_nothing_outside_the_heads(cut: str) -> None:
    """Heads of another size are refused."""
    if compiled.grams is not None:
        rows, numbers = HEADS._packed
        packed = (rows[:-1], numbers) if cut == "rows" else (rows, numbers[:-1])
        with pytest.raises(ValueError, match="size"):
            compiled.grams.reaching("一二", [(0, 2, False)], *packed, 0.0)


def test_the_compiled_half_keeps_no_memory() -> None:
    """Neither of what it gives nor of what it refuses."""
    import tracemalloc

    text = fold((PLAIN + AD) * 3).text
    asked = list(spans(text))

    def use() -> None:
        HEADS.reaching(text, asked, least=-math.inf)
        if compiled.grams is not None:
            for wrong in ([(0, 9**9, False)], [0]):
                with pytest.raises((TypeError, ValueError)):
                    compiled.grams.reaching(text, wrong, *HEADS._packed, 0.0)

    use()
    tracemalloc.start()
    for _ in range(20):
        use()
    kept, _ = tracemalloc.get_traced_memory()
    for _ in range(200):
        use()
    later, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert later - kept < 20_000


def test_a_head_without_weight_says_its_bias(either: None) -> None:
    """Where all buckets count nothing there is nothing to divide by."""
    small = np.zeros(len(KINDS))
    weights = np.zeros_like(HEADS.weights)
    heads = EvidenceHeads(weights, small + 1, small - 2, np.zeros_like(HEADS.idf), small)
    (one,) = heads.reaching(PLAIN, [(0, len(PLAIN), False)], least=-math.inf)
    assert one.logits == (-2.0,) * len(KINDS)


@pytest.mark.parametrize("version", [None, 0, compiled.VERSION + 1])
def test_what_another_release_compiled_is_not_used(
    monkeypatch: pytest.MonkeyPatch, version: int | None
) -> None:
    """An old build beside newer code would break every scan."""
    other = ModuleType("judge.embedded._grams")
    if version is not None:
        other.VERSION = version  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "judge.embedded._grams", other)
    monkeypatch.setattr(embedded, "_grams", other, raising=False)
    again = importlib.util.module_from_spec(compiled.__spec__)
    compiled.__spec__.loader.exec_module(again)
    assert again.grams is None
