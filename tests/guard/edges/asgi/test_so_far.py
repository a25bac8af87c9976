"""Streams of which each event holds all so far: what stands between them, or is cut off."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from itertools import accumulate

import pytest

from tests.contracts.guard_marks import ADVERT, SORRY, marked, story
from tests.guard.edges.asgi.calling import Sent, call, streaming
from tests.guard.edges.asgi.test_requests import guarded

EVENTS, LINES, TEXT = "text/event-stream", "application/x-ndjson", "text/plain"
STATUSES = (
    "思考中",
    "检索中…",
    "正在搜索资料，请稍候",
    "ok，继续",
    "正在为您检索相关的资料，请稍候片刻",
)
Said = list[dict[str, str]]
Shape = Callable[[str, random.Random], Iterator[dict[str, str]]]


def grown(text: str, chance: random.Random) -> list[str]:
    """A text as all so far, in steps of some characters."""
    sizes = chance.choice(((1,), (1, 2), (1, 1, 2, 5, 30)))
    ends = accumulate(chance.choice(sizes) for _ in text)
    return [text[:end] for end in ends if end < len(text)] + [text]


def with_a_status(text: str, chance: random.Random) -> Iterator[dict[str, str]]:
    for piece in grown(text, chance):
        yield {"text": piece}
        if chance.random() < 0.7:
            yield {"text": chance.choice(STATUSES)}


def with_a_status_elsewhere(text: str, chance: random.Random) -> Iterator[dict[str, str]]:
    for piece in grown(text, chance):
        if len(piece) > 60:
            yield from ({"text": piece}, {"status": chance.choice(STATUSES)})


def with_a_cursor(text: str, chance: random.Random) -> Iterator[dict[str, str]]:
    for piece in grown(text, chance):
        yield from ({"text": piece + "▌"}, {"text": chance.choice(STATUSES)})


def cut_off(text: str, chance: random.Random) -> Iterator[dict[str, str]]:
    length = chance.choice((50, 80, 200))
    for piece in grown(text, chance):
        yield {"text": piece[-length:]}


def cut_off_with_dots(text: str, chance: random.Random) -> Iterator[dict[str, str]]:
    for one in cut_off(text, chance):
        yield {"text": one["text"] if text.startswith(one["text"]) else f"…{one['text']}"}
        yield {"text": chance.choice(STATUSES)}


def said_again(text: str, chance: random.Random) -> Iterator[dict[str, str]]:
    for piece in grown(text, chance):
        yield from [{"text": piece}] * chance.choice((1, 2, 4))


each_shape = pytest.mark.parametrize(
    "shape",
    [
        with_a_status,
        with_a_status_elsewhere,
        with_a_cursor,
        cut_off,
        cut_off_with_dots,
        said_again,
    ],
)


def written(said: Said, media: str) -> list[str]:
    lines = [json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in said]
    return [f"{line}\n" if media == LINES else f"data: {line}\n\n" for line in lines]


async def sent_of(said: Said, media: str = EVENTS, mode: str = "window") -> Sent:
    return await call(
        guarded(streaming(written(said, media), media), marked(stream={"mode": mode}))
    )


@each_shape
@pytest.mark.parametrize("media", [EVENTS, LINES, TEXT])
async def test_no_part_of_what_is_stopped_is_out(shape: Shape, media: str) -> None:
    """However it is cut: what follows a piece is told by the next that goes on from it."""
    for seed in range(16 if media == EVENTS else 4):
        chance = random.Random(seed)
        before, behind = story(chance.randint(0, 150)), story(chance.randint(60, 120), seed=1)
        sent = await sent_of([*shape(before + ADVERT + behind, chance)], media)
        assert SORRY in sent.text
        assert not any(char in sent.text.replace(SORRY, "") for char in ADVERT), seed


@each_shape
@pytest.mark.parametrize("mode", ["window", "buffer", "async", "retract"])
async def test_what_is_good_comes_as_it_was_and_while_it_is_said(shape: Shape, mode: str) -> None:
    """No more of it waits than of other streams."""
    for seed in range(2):
        said = [*shape(story(600), random.Random(seed))]
        sent = await sent_of(said, mode=mode)
        assert sent.text == "".join(written(said, EVENTS))
        last = sent.messages[-1]["body"].count(b"data: ")
        assert mode == "buffer" or last < len(said) / 2


async def test_two_texts_that_grow_by_turns_are_read_as_two() -> None:
    """Both under one key, as where an agent thinks and speaks."""
    texts = [story(120), story(60, seed=1) + ADVERT + story(100, seed=2)]
    said = [{"text": one[:end]} for end in range(1, 164) for one in texts]
    sent = await sent_of(said)
    assert SORRY in sent.text
    assert not any(char in sent.text.replace(SORRY, "") for char in ADVERT)
    good = [
        {"text": one[:end]} for end in range(1, 164) for one in (story(163), story(163, seed=1))
    ]
    assert (await sent_of(good)).text == "".join(written(good, EVENTS))


async def test_an_event_that_ends_within_an_escape_arrives() -> None:
    """Before a text that grows, of which it is none."""
    said = [{"text": "\\u"}, *({"text": story(end)} for end in range(4, 200, 4))]
    assert (await sent_of(said)).text == "".join(written(said, EVENTS))


@pytest.mark.parametrize("mode", ["window", "async"])
@pytest.mark.parametrize("beside", [{}, {"status": "正在为您检索相关的资料，请稍候片刻"}])
async def test_what_is_said_again_and_never_grows_holds_nothing_up(
    mode: str, beside: dict[str, str]
) -> None:
    """As the lines between a table's rows, or a status in each event."""
    line = "|----------------|----------------|\n"
    said = [{"text": line, **beside} for _ in range(60)]
    sent = await sent_of(said, mode=mode)
    assert sent.text == "".join(written(said, EVENTS))
    assert sent.messages[-1]["body"].count(b"data: ") < (5 if mode == "window" else 2)
