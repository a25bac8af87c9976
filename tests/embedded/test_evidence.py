from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.embedded.evidence import find_evidence
from judge.embedded.fold import fold
from judge.embedded.hashing import BUCKETS, grams
from judge.embedded.heads import KINDS, EvidenceHeads
from judge.embedded.shipped import shipped_weights
from judge.embedded.spans import SHORT, WINDOW, spans, windows
from judge.verdict import Evidence

HEADS = shipped_weights().evidence
AD = "代发评论日结，有想做的联系我"
LONGER_AD = AD + "，抖音点赞员一单一结，涨粉加我备用，无押金"
PLAIN = "今天天气很好，我们一起去公园散步，然后回家吃饭。"


def found(text: str, heads: EvidenceHeads | None = HEADS) -> tuple[Evidence, ...]:
    return find_evidence([fold(text)], heads)[0]


def test_an_advertisement_is_found_and_plain_text_is_not() -> None:
    """The heads find what they are for."""
    assert [one.kind for one in found(AD)] == ["black_market_ad"]
    assert found(PLAIN) == ()


def test_the_heads_see_the_whole_text() -> None:
    """What is hidden behind thousands of harmless characters counts, and is quoted."""
    text = PLAIN * 400 + LONGER_AD
    (one,) = [one for one in found(text) if one.kind == "black_market_ad"]
    assert one.quote == text[one.start : one.end]
    assert one.start >= len(text) - len(LONGER_AD)
    assert len(one.quote) <= WINDOW


@given(st.text(max_size=400))
def test_quotes_are_what_stands_at_their_offsets(text: str) -> None:
    """Also where folding moved the characters."""
    for one in found(text + AD):
        assert one.quote == (text + AD)[one.start : one.end]
        assert one.kind in KINDS or str(one.kind).startswith("pii:")


@pytest.mark.parametrize("around", ["。{}。", "\n{}\n", "，{}，", "{}"])
def test_an_advertisement_does_not_drown_in_a_long_answer(around: str) -> None:
    """In a sentence of its own, on a line of its own, between commas, and without any mark."""
    story = "我们常去公园散步，看看花草树木和湖里的鸭子，也和邻居聊聊孩子们的学习"
    text = story + around.format(LONGER_AD) + story
    first, *_ = hits = found(text)
    assert {one.kind for one in hits} == {"black_market_ad"}
    assert all(one.start < len(story) + len(around) + len(LONGER_AD) for one in hits)
    assert first.end > len(story)
    assert found(story + around.format(PLAIN.rstrip("。")) + story) == ()


@given(st.text(alphabet=st.sampled_from("天气很好。！?;\n，a "), max_size=400))
def test_windows_cover_every_character_and_pieces_lie_inside(text: str) -> None:
    """No gap, none beyond the end of a text, and no more of them than its length allows."""
    seen = np.zeros(len(text), dtype=bool)
    for start, end, _ in windows(len(text)):
        seen[start:end] = True
    assert seen.all()
    found = list(spans(text))
    assert all(0 <= start < end <= len(text) for start, end, _ in found if text)
    assert all(end - start < len(text) for start, end, piece in found if piece)
    assert len(found) <= 2 + len(text) / 6 + len(text) / (SHORT / 2)


@given(st.lists(st.text(max_size=30), min_size=1, max_size=8))
def test_a_text_has_the_same_features_in_any_batch(texts: list[str]) -> None:
    """Scores don't depend on what else is scored."""
    folded = [fold(text).text for text in texts]
    together = HEADS.logits(folded)
    alone = np.concatenate([HEADS.logits([text]) for text in folded])
    assert together == pytest.approx(alone)


def test_features_are_distinct_buckets_of_one_and_two_characters() -> None:
    """`^ab$` has four characters and three pairs."""
    pairs = grams(["ab", "AB", "77", "00"])
    counts = np.bincount(pairs.row)
    assert counts[0] == counts[1] == 7
    assert (pairs.bucket[pairs.row == 0] == pairs.bucket[pairs.row == 1]).all()
    assert (pairs.bucket[pairs.row == 2] == pairs.bucket[pairs.row == 3]).all()
    assert ((pairs.bucket >= 0) & (pairs.bucket < BUCKETS)).all()


def test_memory_stays_flat_on_a_long_text() -> None:
    """Features are made for some thousand windows at a time, not for all."""
    find_evidence([fold(PLAIN)], HEADS)
    tracemalloc.start()
    find_evidence([fold(PLAIN * 10_000)], HEADS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60 * 2**20


def test_the_product_s_own_texts_raise_no_alarm() -> None:
    """The Flames prompts and the rubrics, which no head was trained on: 1 % at most."""
    root = Path(__file__).parents[2]
    lines = (root / "judge/data/flames_prompts.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["prompt"] for line in lines]
    for file in sorted(root.glob("rubrics/*.yaml")):
        texts += [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    alarms = find_evidence([fold(text) for text in texts], HEADS)
    for kind in KINDS:
        share = np.mean([any(one.kind == kind for one in found) for found in alarms])
        assert share <= 0.01, kind


@pytest.mark.parametrize(
    "text", ["12:00", "2026-11-25", "stop", "msg", "1234567", "3.14", "a" * 64, "OK, done: 17/20."]
)
def test_the_heads_say_nothing_about_a_text_without_chinese(text: str) -> None:
    """A time is no advertisement: the heads were trained on Chinese alone."""
    heads = shipped_weights().evidence
    assert find_evidence([fold(text)], heads) == [()]
