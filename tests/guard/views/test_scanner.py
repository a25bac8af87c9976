from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from functools import cache
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.decision import Part
from guard.engine import Asked
from guard.evidence import Found, Scanner
from guard.loading import load_guard
from guard.policy import Policy
from guard.selftest.disguises import DISGUISES
from guard.selftest.measure import load_rows
from guard.selftest.rows import with_pinyin
from judge.embedded.evidence import find_evidence
from judge.embedded.fold import fold
from judge.embedded.heads import KINDS, EvidenceHeads, Reached
from judge.embedded.shipped import shipped_weights
from judge.embedded.spans import WINDOW, Span, spans

AD = "代发评论日结，有想做的联系我，抖音点赞员一单一结，涨粉加我备用，无押金"
PLAIN = "今天天气很好，我们一起去公园散步，然后回家吃饭。"
MOBILE = "13800138000"
ROWS = load_rows()


@cache
def scanner() -> Scanner:
    return Scanner.shipped()


@cache
def bare() -> Scanner:
    return scanner().without_disguises()


def kinds(text: str) -> dict[str, str]:
    return dict(scanner().kinds(text))


def test_evidence_is_found_with_its_score_and_place() -> None:
    """One kind once, where it is strongest, with what the score had to reach."""
    text = PLAIN * 3 + AD + PLAIN * 3
    (found,) = scanner().scan(text)
    assert (found.kind, found.view) == ("black_market_ad", "plain")
    assert found.score >= found.cut
    assert found.start is not None
    assert found.end is not None
    assert set(text[found.start : found.end]) & set(AD)
    assert scanner().scan(PLAIN) == ()
    assert scanner().scan("") == ()


@given(
    st.text(alphabet=st.characters(codec=None), max_size=120),
    st.sampled_from(["", AD, PLAIN * 4 + AD, f"电话{MOBILE}", "邮箱a@example.com"]),
)
def test_the_plain_view_finds_what_the_judge_finds(text: str, more: str) -> None:
    """`score` and the guard agree on the same text: same kinds, and a head's strongest window."""
    whole = text + more
    judged = find_evidence([fold(whole)], shipped_weights().evidence)[0]
    found = {one.kind: one for one in bare().scan(whole)}
    assert set(found) == {one.kind for one in judged}
    for kind, one in found.items():
        spans = {(e.start, e.end) for e in judged if e.kind == kind}
        assert (one.start, one.end) in spans


@pytest.mark.parametrize("row", [r for r in ROWS if r.kind != "safe"][::9])
def test_looking_behind_disguises_takes_nothing_away(row: object) -> None:
    """What the plain view finds is found with all views too, at least as strongly."""
    text = row.text  # type: ignore[attr-defined]
    found = {one.kind: one for one in scanner().scan(text)}
    for one in bare().scan(text):
        assert found[one.kind].score - found[one.kind].cut >= one.score - one.cut


@pytest.mark.parametrize(
    "name", [name for name in DISGUISES if name not in {"mixed", "homoglyphs"}]
)
def test_each_disguise_is_seen_through(name: str) -> None:
    """An advertisement is found behind each disguise, and where bare text hides it, by a view."""
    found = DISGUISES[name](with_pinyin(AD, "black_market_ad", "test"), Random(3))
    assert "black_market_ad" in kinds(found)
    if name not in {"zero-width", "full-width", "tag characters", "variation selectors"}:
        assert kinds(found)["black_market_ad"] != "plain" or bare().scan(found)


@pytest.mark.parametrize(
    "text",
    [
        "打一三八〇〇一三八〇〇〇找我",
        "打１３８-００１３-８０００找我",
        f"打{MOBILE[:4]}\u200b{MOBILE[4:]}找我",
        "打𝟏𝟑𝟖𝟎𝟎𝟏𝟑𝟖𝟎𝟎𝟎找我",
    ],
)
def test_personal_data_is_found_behind_disguises(text: str) -> None:
    """Chinese numerals, full width, separators, hidden characters, mathematical digits."""
    (found,) = scanner().scan(text)
    assert (found.kind, found.score, found.cut) == ("pii:mobile", 1.0, 1.0)
    assert found.start is not None
    assert text[found.start : found.end][-1] != "找"


def test_the_tail_of_a_long_text_counts() -> None:
    """What is hidden behind a hundred thousand harmless characters is found, disguised or not."""
    padding = PLAIN * 4000
    for tail in (AD, AD[::1].replace("", "*")[1:-1]):
        (found,) = [f for f in scanner().scan(padding + tail) if f.kind == "black_market_ad"]
        assert found.start is not None
        assert found.start >= len(padding) - WINDOW


def test_a_megabyte_is_scanned_in_bounded_time() -> None:
    """A third of a million characters; the bound leaves room for a slow and busy machine."""
    text = PLAIN * 14_000
    started = time.thread_time()
    assert scanner().scan(text) == ()
    assert time.thread_time() - started < 20


def test_ordinary_texts_are_not_asked_by_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The heads for homophones cost ordinary texts nothing: counted on the benign rows."""
    asked: list[int] = []
    ask = EvidenceHeads.reaching

    def counting(
        self: EvidenceHeads, text: str, parts: Sequence[Span], least: float = 0.0
    ) -> list[Reached]:
        asked.append(len(parts))
        return ask(self, text, parts, least)

    monkeypatch.setattr(EvidenceHeads, "reaching", counting)
    benign = [row.text for row in ROWS if row.kind == "safe"]
    parts = sum(len(list(spans(fold(text).text))) for text in benign)
    counts = []
    for one in (scanner(), Scanner.shipped(sounds=False)):
        asked.clear()
        for text in benign:
            one.scan(text)
        counts.append(sum(asked))
    whole, without = counts
    assert 0 < whole - without <= 0.15 * parts


@given(st.text(alphabet=st.characters(codec=None), max_size=80))
def test_any_text_can_be_scanned(text: str) -> None:
    """Lone surrogates, controls, private use: kinds or none, never an error."""
    for found in scanner().scan(text):
        assert isinstance(found, Found)
        assert found.kind in KINDS or found.kind.startswith("pii:")


def test_benign_texts_in_traditional_characters_raise_no_other_alarms() -> None:
    """Writing as people in Taiwan and Hong Kong do is no disguise."""
    for row in [row for row in ROWS if row.kind == "safe"][::3]:
        traditional = DISGUISES["traditional"](row, Random(0))
        assert not scanner().scan(traditional)


def test_threads_may_share_a_scanner() -> None:
    """Nothing is kept between texts: eight threads get the answers that one gets."""
    texts = [row.text for row in ROWS[:40]]
    alone = [scanner().scan(text) for text in texts]
    together: list[list[tuple[Found, ...]]] = []
    threads = [
        threading.Thread(target=lambda: together.append([scanner().scan(t) for t in texts]))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == [alone] * 8


@pytest.mark.parametrize("sounds", [True, False])
async def test_a_policy_may_do_without_the_views_by_sound(sounds: bool) -> None:
    """What is spelled by its sounds then passes; what is written as it is does not."""
    rule = {"evidence": "gambling", "side": "output", "action": "block"}
    plan = Policy.model_validate({"version": 1, "rules": [rule], "sounds": sounds})
    guard = load_guard(plan)
    written, heard = "加微信领彩金，首存送88，网上真人荷官", "加薇芯领彩津，手村宋88，网尚真仁何官"
    stopped = [
        (await guard.check("output", [Part("text", text)], Asked())).stops
        for text in (written, heard)
    ]
    assert stopped == [True, sounds]
