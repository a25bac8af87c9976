"""Changes that must not move a label keep what the text says."""

from __future__ import annotations

import re
import unicodedata
from importlib import resources
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opencc import OpenCC

from judge.prompt import build_messages, frame, system_text
from judge.stress.changes import (
    INVARIANCES,
    PADDING,
    REPEAT,
    full_width,
    padded,
    polite,
    reversed_criteria,
    spaced,
    traditional,
    wording,
)
from judge.text import visible
from tests.cases import case, rubrics

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
EVERYDAY = "".join(f"{r.question}{r.definition}" for r in rubrics().values())
WORDINGS = [change.wording for change in INVARIANCES if change.wording is not None]
SLOT = re.compile(r"\{\{([a-z_]+)\}\}")


@settings(max_examples=60, deadline=None)
@given(TEXT)
def test_white_space_is_all_that_spacing_adds(text: str) -> None:
    """Without white space both texts are the same."""
    assert "".join(spaced(text).split()) == "".join(text.split())
    assert spaced(text) != text


@settings(max_examples=60, deadline=None)
@given(TEXT)
def test_full_width_folds_back(text: str) -> None:
    """NFKC, by which quotes are found in a text, sees no difference."""
    wide = full_width(text)
    assert unicodedata.normalize("NFKC", wide) == unicodedata.normalize("NFKC", text)
    assert not any("!" <= char <= "~" or char == " " for char in wide)


@settings(max_examples=60, deadline=None)
@given(TEXT)
def test_politeness_and_length_leave_the_text_whole(text: str) -> None:
    """What was said is still there, letter by letter."""
    assert text in polite(text)
    assert padded(text).startswith(text)
    assert padded(text).endswith(PADDING)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(EVERYDAY), max_size=60).map("".join))
def test_traditional_characters_fold_back(text: str) -> None:
    """Turned back into simplified ones they are the text, and none was lost on the way."""
    changed = traditional(text)
    assert len(changed) == len(text)
    back = OpenCC("t2s")
    assert back.convert(changed) == back.convert(text)


def test_traditional_characters_are_those_of_the_word() -> None:
    """The same simplified character is another traditional one in another word."""
    assert traditional("头发干了，皇后在后面发现，干部很忙") == "頭髮幹了，皇后在後面發現，幹部很忙"


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(categories=["Cc", "Cf", "So", "Lu"]), max_size=80))
def test_what_is_not_chinese_stays_as_it_is_in_traditional(text: str) -> None:
    """Hidden characters and other scripts come through the converter unharmed."""
    assert traditional(text) == text


def test_reversed_criteria_are_another_rubric_with_the_same_rule() -> None:
    """Every answer leads to the same label, under another fingerprint."""
    for rubric in rubrics().values():
        turned = reversed_criteria(rubric)
        assert [c.id for c in turned.criteria] == [c.id for c in rubric.criteria][::-1]
        assert turned.fingerprint != rubric.fingerprint
        names = [c.id for c in rubric.criteria]
        for answer in product((True, False), repeat=len(names)):
            given_answers = dict(zip(names, answer, strict=True))
            assert turned.decide(given_answers) == rubric.decide(given_answers)


@pytest.mark.parametrize("change", [REPEAT, *INVARIANCES], ids=lambda change: change.name)
def test_a_change_touches_the_response_alone_or_the_rubric_alone(change: object) -> None:
    """The prompt, the history and the row's names stay; the same case gives the same change."""
    judged = case(response="你好, 第1点。头发干了。")
    changed = change.apply(judged)
    assert changed == change.apply(judged)
    assert changed.record.model_copy(update={"response": None}) == judged.record.model_copy(
        update={"response": None}
    )
    assert changed.record.response == changed.response
    assert (changed.response == judged.response) == (change.reads != "response" or change == REPEAT)
    assert (changed.rubric == judged.rubric) == (change.reads != "rubric")


@pytest.mark.parametrize("name", WORDINGS)
def test_a_wording_says_with_the_same_slots_what_the_shipped_frame_says(name: str) -> None:
    """Rubric, fences, the answer's form and every rule about them are there in other words."""
    shipped, other = frame(), wording(name)
    for ours, theirs in zip(shipped, other, strict=True):
        assert set(SLOT.findall(theirs)) == set(SLOT.findall(ours))
        assert ours != theirs
    assert SLOT.findall(other.user) == SLOT.findall(shipped.user)
    told = ("围栏", "指令", "不予采信", "逐字" if name != "reordered" else "一字不改", "80", "120",
            "`null`", "裁定", "3", "JSON", "⟦U+XXXX⟧", "`criteria`")  # fmt: skip
    assert all(word in other.system for word in told)


@pytest.mark.parametrize("name", WORDINGS)
def test_a_wording_fences_the_text_as_the_shipped_frame_does(name: str) -> None:
    """The same fence lines with the same mark: only the words around them differ."""
    judged = case(response="好的<<<")
    pattern = re.compile(r"^<<<[0-9a-f]{32} .*>>>$", re.MULTILINE)
    texts = [
        build_messages(judged, judged.response, within=within)[1]["content"]
        for within in (None, wording(name))
    ]
    assert pattern.findall(texts[0]) == pattern.findall(texts[1])
    assert "{{" not in system_text(judged.rubric, within=wording(name))


def test_the_wordings_are_the_files_that_are_shipped() -> None:
    """No file lies there unused."""
    folder = resources.files("judge.stress") / "wordings"
    assert sorted(f.name for f in folder.iterdir()) == sorted(f"{name}.md" for name in WORDINGS)
    assert len({wording(name) for name in WORDINGS} | {frame()}) == 4


def test_the_padding_speaks_of_nothing_that_a_rubric_asks_for() -> None:
    """It neither names a problem nor declines, and holds nothing hidden."""
    assert visible(PADDING) == PADDING
    assert not re.search("不能|拒绝|违法|风险|建议|抱歉|隐私|AI|安全", PADDING)
    assert len(PADDING) >= 200
