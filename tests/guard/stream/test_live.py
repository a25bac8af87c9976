"""A stream in OpenAI's form through the guard: chunks in, frames out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from guard.engine import Asked
from guard.live import LiveAnswer
from guard.openai_api import ApiError
from tests.contracts.guard_marks import ADVERT, SORRY, marked, story
from tests.guard.openai_api.servers import chunk, tool

ASKED = Asked(prompt="你好", request_id="r1", model="m-asked")
PHONE = "13800138000"


def of(choice: int, text: str | None = None, **more: Any) -> dict[str, Any]:
    """A chunk of one choice."""
    return chunk({} if text is None else {"content": text}, choice={"index": choice}, **more)


async def frames(live: LiveAnswer, *chunks: dict[str, Any]) -> list[dict[str, Any]]:
    """All frames of an answer."""
    out = [frame for one in chunks for frame in await live.take(one)]
    out += await live.end()
    await live.close()
    return out


async def test_a_choice_that_nobody_asked_for_is_left_out() -> None:
    """One was asked for: neither the text of a second one nor its end or its calls come."""
    guarded = marked()
    extra = of(1, story(200, seed=1))
    calls = chunk(tool(0, "{}", id="c", name="f"), choice={"index": 1})
    stream = [of(0, story(60)), extra, calls, of(1, finish="stop"), of(0, finish="stop")]
    told = await frames(LiveAnswer(guarded.guard, ASKED), *stream)
    assert {one["index"] for frame in told for one in frame["choices"]} == {0}
    text = "".join(one["delta"].get("content", "") for frame in told for one in frame["choices"])
    assert text == story(60)
    assert guarded.events.all[0].characters == 60


async def test_it_refuses_the_answer_where_unknown_keys_do() -> None:
    """As the policy says; nothing of it goes out."""
    live = LiveAnswer(marked(unknown_keys="block").guard, ASKED, 2)
    assert await live.take(of(1, "好")) == []
    with pytest.raises(ApiError, match="can't be read") as caught:
        await live.take(of(2, "好"))
    assert caught.value.status == 502
    assert live.over
    await live.close()


async def test_where_nobody_knows_how_many_were_asked_for_all_are_taken() -> None:
    """A function that is wrapped may ask for any number."""
    live = LiveAnswer(marked().guard, ASKED, None)
    stream = [of(at, story(30, seed=at)) for at in range(3)]
    told = await frames(live, *stream, *(of(at, finish="stop") for at in range(3)))
    assert {one["index"] for frame in told for one in frame["choices"]} == {0, 1, 2}


async def test_what_stands_around_the_text_is_ours_where_the_upstreams_may_not_pass() -> None:
    """An id that holds a telephone number, a sentence for a model, no time."""
    around = {"id": f"call-{PHONE}", "model": "how to do it", "created": int(PHONE)}
    stream = [of(0, "好", around=around), of(0, finish="stop", around=around)]
    told = await frames(LiveAnswer(marked().guard, ASKED), *stream)
    assert {(one["id"], one["model"]) for one in told} == {("chatcmpl-r1", "m-asked")}
    assert all(1.7e9 < one["created"] < 1e10 for one in told)


def together(told: list[dict[str, Any]]) -> str:
    return "".join(one["delta"].get("content", "") for frame in told for one in frame["choices"])


@pytest.mark.parametrize("size", [1, 5, 10_000])
async def test_escapes_in_an_answer_are_read_as_their_characters(size: int) -> None:
    """A window of an answer that spells its characters out would hold few of them; what passes goes
    on as it came, also where it ends within an escape."""
    good = json.dumps(story(300)) + "\\ud83d"
    bad = json.dumps(story(200) + ADVERT + story(300))
    for text in (good, bad):
        live = LiveAnswer(marked().guard, ASKED)
        cut = [of(0, text[at : at + size]) for at in range(0, len(text), size)]
        told = together(await frames(live, *cut, of(0, finish="stop")))
        if text == good:
            assert told == text
        else:
            told += together(live.last_words())
            assert told.endswith(SORRY)
            assert text.startswith(told.removesuffix(SORRY))
            assert json.dumps(ADVERT)[1:-1] not in told


async def test_an_escape_at_the_end_is_judged_before_the_choice_ends() -> None:
    """In each text of each choice."""
    live = LiveAnswer(marked().guard, ASKED, 2)
    chunks = [of(0, f"{ADVERT[:-1]}"), of(1, "好\\"), of(0, "\\u8bcd\\u"), of(1, finish="stop")]
    told = [frame for one in chunks for frame in await live.take(one)]
    assert together(told) == "好\\"
    assert together(await live.take(of(0, finish="stop"))) == ""
    assert live.stopped is not None
    await live.close()
