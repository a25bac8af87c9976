"""What the signs of a text rule out is not in it: no disguise is passed over for speed."""

from __future__ import annotations

import base64
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.selftest.disguises import DISGUISES
from guard.selftest.measure import load_rows
from guard.views import View, load, signs
from judge.embedded import compiled
from tests.guard.views.seen import views

load()  # takes some tenths of a second
ORDINARY = "今天天气很好，我们一起去公园散步，然后回家吃饭。"
# What disguises are made of, and what stands around it.
ODD = st.text(
    alphabet=st.sampled_from("我们网站赌貝賭а𝟏ㄅㄆˊ一二三四五六七八九零幺0123456789abcefEuxU"
    "\\&%+=#;<>/!-_\"'()[]{}~*·.,:、，。 \n丨丶🔥😀\U00020000\u4dc0Ａ①"),
    max_size=80,
)  # fmt: skip
ANY = st.text(alphabet=st.characters(codec=None), max_size=60)


def read(text: str, *, searched: bool) -> tuple[View, ...]:
    """The views, by signs or with every search made."""
    with pytest.MonkeyPatch.context() as patch:
        if searched:
            for module in ("guard.views.model", "guard.views.encoded"):
                patch.setattr(f"{module}.signs", lambda _: signs.ALL)
        return views(text, pinyin=True)


@given(ODD, ANY)
def test_the_signs_rule_out_nothing_that_a_search_finds(odd: str, text: str) -> None:
    """The same views, whether all searches are made or those that signs ask for."""
    for one in (odd, text + odd):
        assert read(one, searched=False) == read(one, searched=True)


@pytest.mark.parametrize("name", DISGUISES)
def test_disguised_texts_are_read_as_with_every_search(name: str) -> None:
    """On the shipped rows, each behind each disguise."""
    rng = Random(5)
    for row in [row for row in load_rows() if row.kind != "safe"][::9]:
        text = DISGUISES[name](row, rng)
        assert read(text, searched=False) == read(text, searched=True)


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("賭博", signs.MASKED),
        ("\U00020000", signs.MASKED),
        ("ㄅㄆ", signs.BOPOMOFO),
        ("\\u8d4c", signs.ESCAPE),
        ("-x-赌", signs.STRING),
        (base64.b64encode("赌博网站".encode()).decode(), signs.BASE64),
        ("E8 B5 8C", signs.HEX),
        ("1赌2博3网4站5", signs.COUNTED),
        ("一三八零零一三八零零零", signs.NUMERALS),
        ("好。赌。博", signs.PARTED),
        ("一\n二", signs.LINES),
        ("<b>", signs.TAG),
        ("口赌口博口网口站口", signs.ALTERNATES),
    ],
)
def test_each_kind_of_disguise_has_its_sign(text: str, sign: int) -> None:
    """Also beside ordinary text, which has none of them."""
    assert signs.signs(text) & sign
    assert signs.signs(ORDINARY + text + ORDINARY) & sign
    if compiled.grams is not None:
        assert signs.signs(ORDINARY) == 0


def test_without_the_compiled_pass_every_search_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slower, and the same."""
    monkeypatch.setattr(compiled, "grams", None)
    assert signs.signs(ORDINARY) == signs.ALL


def test_a_table_of_another_size_is_refused() -> None:
    """Nothing is read outside it."""
    if compiled.grams is not None:
        with pytest.raises(ValueError, match="65,536"):
            compiled.grams.signs(ORDINARY, bytes(0xFFFF))
