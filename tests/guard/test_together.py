"""What several texts say together that stand one behind the other: answers' and questions'."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.answers import body_of, look_at_answer
from guard.chat import asked_by, look_at_request
from guard.openai_api import read_completion, read_request
from guard.seams import REACH, seams
from tests.contracts.guard_marks import ADVERT, BAD, BLOCKING, Marked, marked, story
from tests.guard.openai_api import servers

SCANNED = [BLOCKING[0], BLOCKING[1]]
TEXTS = st.lists(st.text(alphabet="好坏a", max_size=30), max_size=6)


@given(TEXTS, st.integers(0, 3))
def test_what_stands_where_texts_meet_is_seen_whole(texts: list[str], long: int) -> None:
    """So far on both sides; a text alone meets none, and what is far from others is left out."""
    texts = [text * (200 if place < long else 1) for place, text in enumerate(texts)]
    found = [part.text for part in seams(texts)]
    whole, said = "".join(texts), [text for text in texts if text]
    assert bool(found) == (len(said) > 1)
    at = 0
    for text in said[:-1]:
        at += len(text)
        assert any(whole[max(0, at - REACH) : at + REACH] in one for one in found)
    assert sum(map(len, found)) <= min(len(whole), 2 * REACH * max(0, len(said) - 1))


def answer(*messages: dict[str, Any]) -> dict[str, Any]:
    choices = [{"index": at, "message": message} for at, message in enumerate(messages)]
    return {**servers.OPENAI, "choices": choices}


async def decided(given: Marked, body: dict[str, Any]) -> list[str]:
    completion = read_completion(body)
    looked = await look_at_answer(given.guard, completion, asked_by(read_request(ASKED), "r"))
    return [looked.by_choice[choice.index].status for choice in completion.choices]


ASKED: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "你好"}]}


@pytest.mark.parametrize("thinking", ["reasoning_content", "reasoning"])
async def test_thinking_and_answer_are_scanned_as_they_are_read(thinking: str) -> None:
    """One behind the other, whichever of them the body has first; each choice by itself."""
    one = {"content": ADVERT[2:] + "呀", thinking: story(900) + ADVERT[:2]}
    other = dict(reversed(one.items()))
    assert await decided(marked(SCANNED), answer(one, other)) == ["blocked", "blocked"]
    apart = answer({"content": ADVERT[:2]}, {"content": ADVERT[2:]})
    assert await decided(marked(SCANNED), apart) == ["allowed", "allowed"]


async def test_a_text_alone_is_scanned_once() -> None:
    """Most answers are one text: they pay nothing."""
    given = marked(SCANNED)
    assert await decided(given, answer({"content": story(300), "refusal": None})) == ["allowed"]
    assert given.scanner.seen == [story(300)]


async def test_turns_that_come_at_once_are_scanned_together() -> None:
    """A user who says it in two messages, or a tool that says it in two results."""
    for role in ("user", "tool"):
        turns = [{"role": role, "content": text} for text in (ADVERT[:2], ADVERT[2:])]
        request = read_request({"messages": [{"role": "system", "content": "帮忙"}, *turns]})
        given = marked(SCANNED)
        decision, parts = await look_at_request(given.guard, request, asked_by(request, "r"))
        assert decision.status == "blocked"
        assert [part.text for part in parts] == ["帮忙", ADVERT[:2], ADVERT[2:]]
    one = marked(SCANNED)
    request = read_request(ASKED)
    await look_at_request(one.guard, request, asked_by(request, "r"))
    assert one.scanner.seen == ["你好"]


async def test_what_an_answer_lacks_around_it_is_ours() -> None:
    """An id that may not pass, a model, a time: a client reads an answer like any other."""
    body = {**answer({"content": "好"}), "id": "call-13800138000", "model": None, "created": None}
    completion, asked = read_completion(body), asked_by(read_request(ASKED), "r7")
    given = marked()
    looked = await look_at_answer(given.guard, completion, asked)
    out = body_of(completion, looked, given.guard.policy, "你好")
    assert (out["id"], out["model"]) == ("chatcmpl-r7", "m")
    assert out["created"] > 1.7e9
    assert out["usage"] == servers.OPENAI["usage"]


async def test_arguments_are_judged_without_their_escapes() -> None:
    """OpenAI's models write Chinese in them as escapes; what runs the tool reads Chinese."""
    escaped = "".join(f"\\u{ord(char):04x}" for char in BAD)
    call = {"id": "c", "type": "function",
            "function": {"name": "f", "arguments": f'{{"q": "{escaped}"}}'}}  # fmt: skip
    body = answer({"content": None, "tool_calls": [call]})
    assert await decided(marked(), body) == ["blocked"]
