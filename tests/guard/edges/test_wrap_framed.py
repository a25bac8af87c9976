"""Functions that write a browser's events, or lines of JSON: what is said in them is read."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from guard import Blocked, wrap
from judge.errors import InputError
from tests.contracts.guard_contract import rule_of
from tests.contracts.guard_marks import ADVERT, BAD, SORRY, Marked, marked, story

Framed = Callable[[str], str]
GOOD, HARMFUL = story(60), story(60) + ADVERT + story(60)
each_frame = pytest.mark.parametrize(
    "framed",
    [
        lambda part: f"data: {json.dumps({'delta': part})}\n\n",
        lambda part: (
            f"event: x\ndata: {json.dumps({'choices': [{'delta': {'content': part}}]})}\n\n"
        ),
        lambda part: json.dumps({"tok": part}) + "\n",
        lambda part: json.dumps({"x": {"tok": part}}),
    ],
)


def advert(action: str = "block") -> Marked:
    return marked([rule_of(action, ADVERT)])


@each_frame
def test_events_that_a_function_writes_wait_until_they_have_passed(framed: Framed) -> None:
    """Character by character the syntax would stand between; what is good comes as it was."""

    def talk(prompt: str) -> Iterator[str]:
        yield from map(framed, prompt)

    given = advert()
    assert list(wrap(talk, given.guard)(GOOD)) == list(talk(GOOD))
    [said] = wrap(talk, given.guard)(HARMFUL)
    assert SORRY in said
    assert said.startswith("data: ") is framed("x").startswith(("data", "event"))
    assert [one.action for one in given.events.of("output")] == ["allow", "block"]
    with pytest.raises(Blocked):
        list(wrap(talk, advert().guard, on_block="raise")(HARMFUL))


@each_frame
async def test_they_do_so_in_asynchronous_code_and_as_a_whole(framed: Framed) -> None:
    """A text of such lines is no other than a stream of them."""

    async def talks(prompt: str) -> AsyncIterator[str]:
        for char in prompt:
            yield framed(char)

    async def tells(prompt: str) -> str:
        return "".join(map(framed, prompt))

    held = advert().guard
    assert [one async for one in wrap(talks, held)(GOOD)] == [framed(char) for char in GOOD]
    assert SORRY in "".join([one async for one in wrap(talks, held)(HARMFUL)])
    assert await wrap(tells, held)(GOOD) == await tells(GOOD)
    assert await wrap(tells, held)(HARMFUL) == SORRY


def test_another_stream_of_events_may_be_asked_for() -> None:
    """Nothing of the first one has gone out; a piece of another kind is none."""
    asked: list[str] = []

    def talk(prompt: str) -> Iterator[str]:
        asked.append(prompt)
        yield f"data: {json.dumps({'delta': BAD if len(asked) == 1 else '好'})}\n\n"

    assert list(wrap(talk, marked([rule_of("regenerate")]).guard)("你好")) == [
        'data: {"delta": "\\u597d"}\n\n'
    ]
    assert len(asked) == 2

    def mixed(prompt: str) -> Iterator[object]:
        yield from (f'{{"said": "{prompt}"}}\n', 3)

    with pytest.raises(InputError, match="among texts"):
        list(wrap(mixed, advert().guard)("你好"))


def test_events_that_are_stopped_end_as_the_others_do() -> None:
    """A client that waits for OpenAI's last event gets it."""

    def talk(prompt: str) -> Iterator[str]:
        for char in prompt:
            yield f"data: {json.dumps({'choices': [{'delta': {'content': char}}]})}\n\n"
        yield "data: [DONE]\n\n"

    held = advert().guard
    assert list(wrap(talk, held)(GOOD)) == list(talk(GOOD))
    said, done = wrap(talk, held)(HARMFUL)
    assert SORRY in said
    assert done == "data: [DONE]\n\n"
