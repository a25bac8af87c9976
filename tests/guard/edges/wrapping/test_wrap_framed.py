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
def test_events_that_a_function_writes_are_read_as_one_text(framed: Framed) -> None:
    """Character by character the syntax would stand between; what is good comes as it was."""

    def talk(prompt: str) -> Iterator[str]:
        yield from map(framed, prompt)

    given = advert()
    assert list(wrap(talk, given.guard)(GOOD)) == list(talk(GOOD))
    said = list(wrap(talk, given.guard)(HARMFUL))
    words = next(at for at, one in enumerate(said) if SORRY in one)
    assert "".join(talk(story(60) + ADVERT)).startswith("".join(said[:words]))
    assert said[words].startswith("data: ") is framed("x").startswith(("data", "event"))
    assert [one.action for one in given.events.of("output")] == ["allow", "block"]
    with pytest.raises(Blocked):
        list(wrap(talk, advert().guard, on_block="raise")(HARMFUL))


def test_events_go_out_while_the_model_goes_on() -> None:
    """Who reads them need not wait until all has come."""
    said: list[str] = []

    def talk(prompt: str) -> Iterator[str]:
        for char in story(400):
            said.append(char)
            yield f"data: {json.dumps({'delta': char})}\n\n"

    stream = wrap(talk, advert().guard)("问")
    assert next(stream) == f"data: {json.dumps({'delta': story(1)})}\n\n"
    assert len(said) < 150


@pytest.mark.parametrize(
    "talk",
    [
        lambda text: ["\n", *(f'data: {{"t": "{char}"}}\n\n' for char in text)],
        lambda text: ["\ufeff", *(f'data: {{"t": "{char}"}}\n\n' for char in text)],
        lambda text: ["data: [START]\n\n", *(f'data: {{"t": "{char}"}}\n\n' for char in text)],
        lambda text: [f"event: said\ndata: {char}\n\n" for char in text],
        lambda text: [f"data: {char}\nid: 3\n\n" for char in text],
        lambda text: [f'data: ["{char}"]\n\n' for char in text],
        lambda text: [f'data: "{char}"\n\n' for char in text],
        lambda text: list("".join(f'data: {{"t": "{char}"}}\n\n' for char in text)),
        lambda text: list("".join(json.dumps({"t": char}) + "\n" for char in text)),
    ],
)
@pytest.mark.parametrize("whole", [False, True])
def test_they_are_known_whatever_comes_first_and_however_they_are_cut(
    talk: Callable[[str], list[str]], whole: bool
) -> None:
    def answers(prompt: str) -> object:
        return "".join(talk(prompt)) if whole else iter(talk(prompt))

    held = advert().guard
    for text, bad in ((GOOD, False), (HARMFUL, True)):
        said = "".join(wrap(answers, held)(text))  # type: ignore[arg-type]
        assert (SORRY in said) is bad
        assert bad or said == "".join(talk(text))
        assert not (bad and ADVERT[-1] in said)


def test_events_among_texts_are_read_at_the_end() -> None:
    """A text that was let out is not read anew for each of its lines, but once."""

    def talk(prompt: str) -> Iterator[str]:
        yield "好，这是回答：\n"
        yield from (f'data: {{"t": "{char}"}}\n\n' for char in prompt)

    given = advert()
    assert "".join(wrap(talk, given.guard)(GOOD)) == "".join(talk(GOOD))
    assert "".join(wrap(talk, given.guard)(HARMFUL)).endswith(SORRY)
    assert [one.action for one in given.events.of("output")] == ["allow", "block"]


def test_halves_of_a_character_are_put_together() -> None:
    """As some servers part them: by themselves no file and no socket takes them."""
    given = advert()
    talk = wrap(lambda prompt: iter(["好", "\ud83d", "\ude00", "\ud83d"]), given.guard)
    assert "".join(talk("问")) == "好😀\ufffd"


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


def test_no_event_goes_out_before_another_answer_is_asked_for() -> None:
    """The first one's beginning would stand there twice."""
    asked: list[str] = []

    def talk(prompt: str) -> Iterator[str]:
        asked.append(prompt)
        yield "event: begin\ndata: \n\n"
        yield f"data: {json.dumps({'delta': BAD if len(asked) == 1 else '好'})}\n\n"

    said = list(wrap(talk, marked([rule_of("regenerate")]).guard)("你好"))
    assert said == ["event: begin\ndata: \n\n", 'data: {"delta": "\\u597d"}\n\n']
    assert len(asked) == 2


@pytest.mark.parametrize("action", ["block", "replace"])
def test_events_that_are_stopped_end_as_the_others_do(action: str) -> None:
    """A client that waits for OpenAI's last event gets it."""

    def talk(prompt: str) -> Iterator[str]:
        for char in prompt:
            yield f"data: {json.dumps({'choices': [{'delta': {'content': char}}]})}\n\n"
        yield "data: [DONE]\n\n"

    held = advert(action).guard
    assert list(wrap(talk, held)(GOOD)) == list(talk(GOOD))
    *_, said, end, done = wrap(talk, held)(HARMFUL + story(200))
    assert SORRY in said
    finish = "stop" if action == "replace" else "content_filter"
    assert json.loads(end[6:])["choices"] == [{"delta": {}, "finish_reason": finish}]
    assert done == "data: [DONE]\n\n"


@pytest.mark.parametrize("between", ["\r\n\r\n", "\n \n", "\n\r\n"])
@pytest.mark.parametrize("framed", ['data: {{"t": "{}"}}{}', '{{"t": "{}"}}{}', '0:"{}"{}'])
def test_blank_lines_are_as_they_were_written(framed: str, between: str) -> None:
    """Byte for byte: pieces are told apart by their lengths."""
    pieces = [framed.format(char, between) for char in story(200)]
    stream = wrap(lambda prompt: iter(pieces), advert().guard)
    assert list(stream("问")) == pieces
