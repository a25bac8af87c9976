"""Good answers that look like what is refused or rewritten: they come as they were."""

from __future__ import annotations

import json

import pytest
from starlette.responses import PlainTextResponse

from tests.contracts.guard_marks import ADVERT, SORRY, story
from tests.guard.edges.asgi.calling import call, streaming
from tests.guard.edges.asgi.test_framed import private
from tests.guard.edges.asgi.test_requests import TEXT as PLAIN
from tests.guard.edges.asgi.test_requests import guarded
from tests.guard.made import SECRET

EVENTS, TEXT = "text/event-stream", "text/plain"
POEM = '"床前明月光，\n疑是地上霜。"'


async def test_a_text_in_quotes_may_have_several_lines() -> None:
    """Strict readers don't take it for JSON, and for others it says the same."""
    assert (await call(guarded(PlainTextResponse(POEM)))).text == POEM
    sent = await call(guarded(PlainTextResponse("好")), POEM.encode(), headers=PLAIN)
    assert (sent.status, sent.text) == (200, "好")
    lines = "".join(f"data: {line}\n" for line in POEM.split("\n")) + "\n"
    assert (await call(guarded(streaming([lines], EVENTS)))).text == lines
    bad = f'"{story(20)}\n{ADVERT}"'
    assert (await call(guarded(PlainTextResponse(bad)))).text == SORRY
    refused = await call(guarded(PlainTextResponse("好")), bad.encode(), headers=PLAIN)
    assert refused.status == 400


@pytest.mark.parametrize("piece", [" {}", "[] ", ' "key"', "\n[1]", '  {"a": 1}\n'])
async def test_blanks_around_json_in_a_text_of_events_stay(piece: str) -> None:
    """A piece of a text may be JSON by chance: `x =` and then ` {}`."""
    data = "".join(f"data: {line}\n" for line in piece.split("\n"))
    pieces = ["data: x =\n\n", f"{data}\n", "data: 。\n\n"]
    assert (await call(guarded(streaming(pieces, EVENTS)))).text == "".join(pieces)


async def test_lines_of_json_within_one_event_are_read_one_by_one() -> None:
    """A text may have some; a client that reads line by line puts together what they say."""

    def pieces(text: str) -> list[str]:
        pairs = zip(text[::2], text[1::2], strict=True)
        lines = (f"data: {json.dumps({'t': a})}\ndata: {json.dumps({'t': b})}\n" for a, b in pairs)
        return [f"{one}\n" for one in lines]

    good = pieces(story(40))
    assert (await call(guarded(streaming(good, EVENTS)))).text == "".join(good)
    bad = pieces(story(40) + (ADVERT + "。" * (len(ADVERT) % 2)) + story(100))
    sent = await call(guarded(streaming(bad, EVENTS)))
    assert SORRY in sent.text
    assert not any(json.dumps(char)[1:-1] in sent.text for char in ADVERT)
    one = [f"data: {json.dumps({'t': char})}\ndata: {{}}\n\n" for char in ADVERT]
    assert json.dumps(ADVERT[0])[1:-1] not in (await call(guarded(streaming(one, EVENTS)))).text


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"cities": [f"第 {n} 个" for n in range(300)]}) + "\n",
        json.dumps({"words": [f"w{n}" for n in range(300)]}) + "\n以上。",
        "".join(json.dumps({f"k{n}": f"v {n}"}) + "\n" for n in range(120)),
        "".join(json.dumps({f"k{n}": f"v{n}"}) + "\n" for n in range(120)),
    ],
)
async def test_json_of_many_texts_that_streams_as_plain_text_comes_through(text: str) -> None:
    """It is an answer, and not pieces of one."""
    cut = [text[at : at + 30] for at in range(0, len(text), 30)]
    assert (await call(guarded(streaming(cut, TEXT)))).text == text
    bad = json.dumps({"cities": [*["好 的"] * 200, ADVERT, *["好 的"] * 200]}) + "\n"
    assert json.dumps(ADVERT)[1:-1] not in (await call(guarded(streaming([bad], TEXT)))).text


async def test_numbers_among_lines_of_json_are_texts() -> None:
    """In events pieces of one; on lines of their own they stand apart."""
    pieces = [SECRET[:3], SECRET[3:7], SECRET[7:]]
    lines = "".join(f"{one}\n" for one in ('{"a": 1}', "电话", *pieces))
    assert (await call(private(streaming([lines], TEXT)))).text == lines
    events = "".join(f"data: {one}\n\n" for one in ('{"a": 1}', *pieces, "。"))
    assert pieces[2] not in (await call(private(streaming([events], TEXT)))).text


@pytest.mark.parametrize(
    "answer",
    [
        '{"诗": "%s\n疑是地上霜。"}',
        '{"诗": "%s", "n": NaN}',
        '{"诗": "%s", "诗": "好"}',
        '["%s\t", "\\ud83d"]',
    ],
)
async def test_json_that_a_model_wrote_badly_is_a_plain_text(answer: str) -> None:
    """It comes as it was; what lenient readers find in it is judged as well."""
    for good in (answer % "床前明月光，", f"  {answer % '好'}\n"):
        assert (await call(guarded(PlainTextResponse(good)))).text == good
    assert (await call(guarded(PlainTextResponse(answer % ADVERT)))).text == SORRY
    hidden = "".join(f"\\u{ord(char):04x}" for char in ADVERT)
    assert (await call(guarded(PlainTextResponse(answer % hidden)))).text == SORRY
    deep = "[" * 100_000 + f'"{hidden}"' + "]" * 100_000
    assert ADVERT[0] not in (await call(guarded(PlainTextResponse(deep)))).text


async def test_pieces_in_json_that_a_model_wrote_badly_are_put_together() -> None:
    """Where their keys are the same, a lenient reader may."""
    items = ", ".join(json.dumps({"t": char}) for char in ADVERT)
    answer = f'{{"n": NaN, "items": [{items}]}}'
    assert (await call(guarded(PlainTextResponse(answer)))).text == SORRY
