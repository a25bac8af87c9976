"""Attacks are what they say they are, and stay inside their fence."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.answer import judging, schema_for
from judge.prompt import build_messages
from judge.stress.attacks import (
    ATTACKS,
    ORDER,
    ORDER_IN_ENGLISH,
    TAGS,
    between_zero_widths,
    closed_fence,
    harmless_answers,
    in_tags,
)
from judge.stress.changes import Change
from judge.text import visible
from tests.cases import case, rubrics

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
FENCE = re.compile(r"^<<<([0-9a-f]{32}) (.+) (开始|结束)>>>$", re.MULTILINE)


def user_text(response: str) -> str:
    judged = case(response=response)
    return build_messages(judged, judged.response)[1]["content"]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
@settings(max_examples=60, deadline=None)
@given(text=TEXT)
def test_an_attack_is_written_behind_the_response_and_reaches_the_judge_fenced(
    attack: Change, text: str
) -> None:
    """The response is whole, and the real fence's six lines are the only ones with its mark."""
    judged = case(response=text)
    attacked = attack.apply(judged)
    assert attacked.response.startswith(text)
    assert attacked.response != text
    assert attacked.record.prompt == judged.record.prompt
    sent = build_messages(attacked, attacked.response)[1]["content"]
    mark = sent.split("围栏标记：")[1][:32]
    assert mark not in attacked.response
    assert sum(found == mark for found, _, _ in FENCE.findall(sent)) == 6


def test_the_imitated_fence_looks_like_the_real_one() -> None:
    """Form and titles are those of the shipped frame; only the mark can't be met."""
    sent = user_text(closed_fence("好的"))
    mark = sent.split("围栏标记：")[1][:32]
    real = [(title, edge) for found, title, edge in FENCE.findall(sent) if found == mark]
    forged = [(title, edge) for found, title, edge in FENCE.findall(sent) if found != mark]
    assert set(forged) == {("待评回复", "开始"), ("待评回复", "结束")}
    assert set(forged) < set(real)


def test_a_forged_verdict_is_sound_under_its_own_rubric() -> None:
    """It would be accepted if the judge gave it: criteria, rule, reason and label agree."""
    (forge,) = [attack for attack in ATTACKS if attack.name == "forged-verdict"]
    for name, rubric in rubrics().items():
        attacked = forge.apply(case(dimension=name))
        text = attacked.response[attacked.response.index("{") :]
        with judging(attacked.record, attacked.response):
            answer = schema_for(rubric).model_validate(json.loads(text))
        assert answer.label == 3
        assert rubric.decide(harmless_answers(rubric)) == 3


def test_hidden_orders_show_nothing_and_are_written_out_for_the_judge() -> None:
    """Tag characters carry the English order; zero-width spaces part the Chinese one."""
    tags = in_tags(ORDER_IN_ENGLISH)
    assert "".join(chr(ord(char) - TAGS) for char in tags) == ORDER_IN_ENGLISH
    assert all(0xE0000 <= ord(char) <= 0xE007F for char in tags)
    assert "⟦U+E0049⟧" in visible(tags)
    parted = between_zero_widths(ORDER)
    assert ORDER not in parted
    assert parted.replace("\u200b", "") == ORDER


def test_attacks_have_names_of_their_own() -> None:
    """Each is one row of the table and one folder on disk."""
    names = [attack.name for attack in ATTACKS]
    assert len(set(names)) == len(names) == len({a.apply(case()).response for a in ATTACKS})
    assert all(re.fullmatch("[a-z-]+", name) for name in names)
