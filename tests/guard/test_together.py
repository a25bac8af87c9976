"""What several texts say together that stand one behind the other: answers' and questions'."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.answers import body_of, look_at_answer
from guard.chat import asked_by, look_at_request
from guard.evidence import Scanner
from guard.openai_api import read_completion, read_request
from guard.stream import StreamSession
from guard.texts.seams import REACH, seams, seams_of_answer
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


def calling(*arguments: str, name: str = "f") -> list[dict[str, Any]]:
    return [
        {"id": f"c{at}", "type": "function", "function": {"name": name, "arguments": one}}
        for at, one in enumerate(arguments)
    ]


@pytest.mark.parametrize(
    "message",
    [
        {"content": None, "tool_calls": calling(ADVERT[:2], ADVERT[2:])},
        {"content": None, "tool_calls": calling(f'{{"a": "{ADVERT[:2]}"}}', f'["{ADVERT[2:]}"]')},
        {"content": None, "tool_calls": calling(f'{{"a": "{ADVERT[:2]}", "b": "{ADVERT[2:]}"}}')},
        {"content": None, "tool_calls": calling(f'{{"a": "{ADVERT[:2]}", "a": "{ADVERT[2:]}"}}')},
        {"content": None, "tool_calls": calling(json.dumps([ADVERT[:1], {"x": ADVERT[1:]}]))},
        {"content": ADVERT[:2], "tool_calls": calling(f'{{"a": "{ADVERT[2:]}"}}')},
        {"content": ADVERT[:2], "function_call": {"name": "f", "arguments": ADVERT[2:]}},
        {"content": ADVERT[:2], "tool_calls": calling("{}", name=ADVERT[2:])},
        {"refusal": ADVERT[2:], "content": ADVERT[:2]},
    ],
)
async def test_what_a_text_and_tools_say_together_is_scanned(message: dict[str, Any]) -> None:
    """As whoever runs the tools reads it: without their names and the keys of arguments."""
    assert await decided(marked(SCANNED), answer(message)) == ["blocked"]
    given = marked(SCANNED)
    session = StreamSession(given.guard, asked_by(read_request(ASKED), "r"))
    for part in read_completion(answer(message)).choices[0].parts:
        place = part.path.partition("tool_calls")[2][:3]  # [0]
        await session.feed(0, part.kind + place, part.text, whole=bool(place))
    await session.finish(0)
    assert (await session.close()).status == "blocked"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ('{"since": 1700000000, "limit": 5}', "1700000000、5"),
        ('{"w": "1920", "h": "1080", "quality": "100"}', "1920、1080、100"),
        (
            '{"to": "电话138", "x": null, "y": true, "rest": [12345678, "好"]}',
            "电话138、12345678好",
        ),
        ('{"unit": "元", "price": 100, "of": "件"}', "元100件"),
    ],
)
async def test_numbers_of_different_values_are_not_run_together(arguments: str, said: str) -> None:
    """A time and a limit are no telephone number; beside a word about telephones a list may be."""
    (found,) = await seams_of_answer([("tool_arguments", arguments)])
    assert found.text == said
    scanned = {kind for kind, _ in Scanner.shipped().kinds(said)}
    assert scanned == ({"pii:mobile"} if "电话" in said else set())


async def test_a_call_with_one_argument_is_scanned_once() -> None:
    """Its name is a word, and its value stands with it already."""
    given = marked(SCANNED)
    body = answer({"content": None, "tool_calls": calling('{"city": "北京"}', name="get_weather")})
    assert await decided(given, body) == ["allowed"]
    assert given.scanner.seen == ["get_weather", '{"city": "北京"}']


@pytest.mark.parametrize("arguments", ["[" * 100_000, '{"a": "b', '{"a": ' + "9" * 5000 + "}"])
async def test_arguments_that_are_no_json_are_read_as_they_are(arguments: str) -> None:
    """Whatever a model writes there; also where it nests too deep or counts too far to be read."""
    texts = [("content", ADVERT[:2]), ("tool_name", "f"), ("tool_arguments", ADVERT[2:])]
    found = await seams_of_answer([*texts, ("tool_arguments", arguments)])
    assert any(ADVERT in part.text for part in found)


HALVES = (ADVERT[:2], ADVERT[2:])


def turns(*said: tuple[str, str]) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in said]


@pytest.mark.parametrize("first", ["user", "tool", "system", "developer"])
@pytest.mark.parametrize("later", [[], turns(("assistant", "好的"), ("user", "继续"))])
async def test_turns_that_come_at_once_are_scanned_together(
    first: str, later: list[dict[str, str]]
) -> None:
    """A user who says it in two messages, a tool in two results, an operator; also earlier ones."""
    second = "system" if first == "developer" else first
    halves = turns((first, HALVES[0]), (second, HALVES[1]))
    request = read_request({"messages": [*halves, *turns(("user", "呢")), *later]})
    given = marked(SCANNED)
    decision, parts = await look_at_request(given.guard, request, asked_by(request, "r"))
    assert decision.status == "blocked"
    assert {*HALVES, "呢"} <= {part.text for part in parts}


@pytest.mark.parametrize(
    ("between", "status"),
    [
        (turns(("assistant", "好的"), ("user", HALVES[1])), "allowed"),
        (turns(("system", HALVES[1])), "allowed"),
        (turns(("assistant", ""), ("user", HALVES[1])), "blocked"),
    ],
)
async def test_what_turns_say_with_an_answer_between_is_for_the_judge(
    between: list[dict[str, str]], status: str
) -> None:
    """They did not come at once; nor are an operator's words the user's. Empty answers are none."""
    request = read_request({"messages": [*turns(("user", HALVES[0])), *between]})
    given = marked(SCANNED)
    decision, _ = await look_at_request(given.guard, request, asked_by(request, "r"))
    assert decision.status == status


async def test_descriptions_of_tools_are_scanned_together() -> None:
    """They stand one behind the other before the model, with names between."""
    tools = [
        {"type": "function", "function": {"name": f"f{at}", "description": text}}
        for at, text in enumerate(HALVES)
    ]
    request = read_request({**ASKED, "tools": tools})
    given = marked(SCANNED)
    decision, _ = await look_at_request(given.guard, request, asked_by(request, "r"))
    assert decision.status == "blocked"


async def test_what_stood_together_is_scanned_once_in_a_chat() -> None:
    """Each turn sends all of them again."""
    given = marked(SCANNED)
    begun = [*turns(("system", "一"), ("system", "二"), ("user", "三"), ("user", "四"))]
    begun += turns(("assistant", "五"), ("user", "六"))
    for more in ([], turns(("assistant", "七"), ("user", "八"))):
        request = read_request({"messages": begun + more})
        await look_at_request(given.guard, request, asked_by(request, "r"))
    assert given.scanner.seen.count("一二") == given.scanner.seen.count("三四") == 1


async def test_a_turn_alone_is_scanned_once() -> None:
    """Most questions are one text: they pay nothing."""
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
