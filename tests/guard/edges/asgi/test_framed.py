"""Streams whose pieces stand apart: in events, in lines, in words, whatever type they tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.responses import JSONResponse, PlainTextResponse

from guard.asgi import GuardMiddleware
from guard.engine import Guard
from tests.contracts.guard_marks import ADVERT, SORRY, marked, story
from tests.guard.edges.asgi.calling import App, call, streaming
from tests.guard.edges.asgi.test_requests import TEXT as PLAIN
from tests.guard.edges.asgi.test_requests import guarded
from tests.guard.made import SECRET, guard, policy

EVENTS, TEXT = "text/event-stream", "text/plain"
Framed = Callable[[str], str]


def private(app: App) -> GuardMiddleware:
    """A guard that finds one telephone number."""
    held: Guard = guard(policy({"evidence": "pii", "action": "block"}))
    return GuardMiddleware(app, held, ["/chat"])


def event(value: Any, space: str = " ") -> str:
    return f"data:{space}{json.dumps(value)}\n\n"


@pytest.mark.parametrize(
    "framed",
    [
        lambda part: event({"delta": part}, "   "),
        lambda part: f"data: \ndata: {json.dumps({'delta': part})}\n\n",
        lambda part: event({"delta": json.dumps({"t": part})}),
        lambda part: event(json.dumps({"t": part})),
    ],
)
async def test_json_in_events_is_read_as_json(framed: Framed) -> None:
    """Behind blanks, and written twice."""
    parts = [*story(100), *ADVERT, *story(200)]
    sent = await call(guarded(streaming([framed(part) for part in parts], EVENTS)))
    assert len(sent.text) < len("".join(map(framed, parts))) / 2
    assert not any(json.dumps(char)[1:-1] in sent.text for char in ADVERT)


@pytest.mark.parametrize(
    "data",
    [
        '{"delta": %s, "p": NaN}',
        '{"delta": %s, "p": "\t"}',
        '{"delta": "x", "delta": %s}',
    ],
)
async def test_json_that_readers_read_differently_is_no_text(data: str) -> None:
    """Who takes NaN, or the last of equal keys, would read what nobody judged."""
    pieces = [f"data: {data % json.dumps(part)}\n\n" for part in ADVERT]
    sent = await call(guarded(streaming(pieces, EVENTS)))
    assert (sent.status, json.loads(sent.body)["error"]["code"]) == (502, "upstream_unreadable")


@pytest.mark.parametrize("size", [1, 3, 10_000])
@pytest.mark.parametrize(
    "framed",
    [
        lambda part: json.dumps({"delta": part}) + "\n",
        lambda part: json.dumps({"tok": part}, ensure_ascii=False) + "\r\n",
        lambda part: event({"delta": part}),
        lambda part: f"data: {json.dumps({'a': {'tok': part}})}\n",
        lambda part: f": ping\n\nevent: message\nid: 7\n{event({'delta': part})}",
    ],
)
async def test_lines_and_events_that_are_called_plain_text_are_read_as_such(
    framed: Framed, size: int
) -> None:
    """Read as one text, the syntax would stand between the pieces."""
    for bad in (False, True):
        parts = [*story(60), *(ADVERT if bad else ""), *story(100)]
        text = "".join(map(framed, parts))
        cut = [text[at : at + size] for at in range(0, len(text), size)]
        sent = await call(guarded(streaming(cut, TEXT)))
        assert (sent.text == text) is not bad
        assert (SORRY in sent.text) is bad
        said = sent.text.encode().decode("unicode_escape") if text.isascii() else sent.text
        assert not bad or not any(char in said.replace(SORRY, "") for char in ADVERT)


async def test_the_last_line_of_a_plain_text_need_not_end() -> None:
    """Nothing is added to it; other lines among those of JSON are texts."""
    for text in (
        '{"a": "好"}\n好\n{"a": "好"}',
        "data: {}\n\ndata: 好",
        '{"a": 1}{"a": "好"}',
        "d",
    ):
        assert (await call(guarded(streaming([*text], TEXT)))).text == text
    for text in (f'{{"a": 1}}\n{ADVERT}', f'{{"a": 1}}{{"a": 1}}{ADVERT}', f"data: {{}}\n{ADVERT}"):
        assert ADVERT not in (await call(guarded(streaming([*text], TEXT)))).text


@pytest.mark.parametrize("mode", ["window", "async"])
@pytest.mark.parametrize("line", ["{}", '["好"]', '"好。"', "data:"])
async def test_a_text_stays_one_whatever_its_lines_are_like(line: str, mode: str) -> None:
    """As one that quotes, or shows an example: users read all of it as it stands, and at once."""
    parts = [*f"{story(50)}\n{line}\n{story(400)}"]
    given = marked(stream={"mode": mode})
    sent = await call(guarded(streaming(parts, TEXT), given))
    assert sent.text == "".join(parts)
    assert sent.text in given.scanner.seen
    assert len(sent.messages[-1]["body"]) < len(sent.body) / 2


async def test_objects_in_a_row_are_read_one_by_one() -> None:
    """Some servers write no line's end between them."""
    text = "".join(json.dumps({"x": {"tok": char}}) for char in ADVERT)
    sent = await call(guarded(streaming([text[:9], text[9:]], TEXT)))
    assert json.dumps(ADVERT[0])[1:-1] not in sent.text


@pytest.mark.parametrize("lines", [True, False])
async def test_a_plain_text_that_comes_whole_is_read_by_its_lines_too(lines: bool) -> None:
    """As the same text that streams."""
    text = "".join(json.dumps({"tok": char}) + "\n" * lines for char in ADVERT)
    assert (await call(guarded(PlainTextResponse(text)))).text == SORRY


@pytest.mark.parametrize("before", ["", "电话是"])
async def test_words_under_a_text_s_key_are_words_of_the_text(before: str) -> None:
    """A number that comes in pieces, some of them twice, under a key that nobody has listed."""
    parts = [*before, "1", "38", "001", "38", "000"]
    assert "".join(parts) == before + SECRET
    pieces = [event({"n": 1, "tok": part}) for part in [*parts, "。"]]
    sent = await call(private(streaming(pieces, EVENTS)))
    if before:
        assert '"000"' not in sent.text
    assert '"。"' not in sent.text.encode().decode("unicode_escape", "ignore")
    words = [event({"status": "running", "delta": "好"}) for _ in range(99)]
    assert (await call(private(streaming(words, EVENTS)))).text.count("data: ") == 99


async def test_words_in_a_list_of_texts_are_texts() -> None:
    """In an answer that comes whole: what its list says, beside what stands between its items."""
    said = [{"tok": part, "note": "好的。"} for part in ("电话是", "138", "0013", "8000")]
    sent = await call(private(JSONResponse({"segments": said})))
    assert "8000" not in sent.text
    good = {"segments": [{"tok": part, "id": "138"} for part in ("好", "0013")], "id": "8000"}
    assert json.loads((await call(private(JSONResponse(good)))).body) == good


async def test_a_question_of_lines_is_read_by_them() -> None:
    """Plain text that an application reads line by line."""
    text = "".join(json.dumps({"tok": char}) + "\n" for char in ADVERT)
    sent = await call(guarded(PlainTextResponse("好")), text.encode(), headers=PLAIN)
    assert (sent.status, json.loads(sent.body)["error"]["code"]) == (400, "content_filter")


@pytest.mark.parametrize("mode", ["window", "buffer", "async", "retract"])
async def test_events_that_each_hold_all_so_far_let_out_no_more_than_others(mode: str) -> None:
    """Read as one text, each beginning would confirm the one before it."""
    text = story(90) + ADVERT + story(300)
    parts = [event({"text": text[:end]}) for end in range(1, len(text) + 1)]
    stream = {"mode": mode, "exposure": 100}
    sent = await call(guarded(streaming(parts, EVENTS), marked(stream=stream)))
    shown = [json.loads(one[6:]) for one in sent.text.split("\n\n") if one.startswith("data: {")]
    assert any(one.get("text") == SORRY for one in shown)
    if mode in {"window", "buffer"}:
        assert not any(ADVERT[0] in one["text"][90:] for one in shown if one["text"] != SORRY)
    good = [event({"text": story(end)}) for end in range(1, 300)]
    assert json.loads(
        (await call(guarded(streaming(good, EVENTS)))).text.split("\n\n")[-2][6:]
    ) == {"text": story(299)}


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("framed", ["event: t\ndata: {}\n\n", '"{}"\n', '["{}"]\n'])
async def test_texts_in_events_are_one_text_whatever_type_they_tell(
    framed: str, streams: bool
) -> None:
    parts = [framed.format(part) for part in [*story(100), *ADVERT, *story(200)]]
    app = streaming(parts if streams else ["".join(parts)], TEXT)
    sent = await call(guarded(app))
    assert SORRY in sent.text
    assert not any(char in sent.text for char in ADVERT[2:])


async def test_events_that_say_the_same_do_not_wait_for_another() -> None:
    """Who repeats himself would be held as long as he does."""
    parts = [event({"t": "天气很好。"})] * 100
    sent = await call(guarded(streaming(parts, EVENTS)))
    bodies = [one["body"] for one in sent.messages if one["type"] == "http.response.body"]
    assert sent.text == "".join(event({"t": "天气很好。"}) for _ in parts).replace(
        json.dumps({"t": "天气很好。"}), '{"t":"天气很好。"}'
    )
    assert len([one for one in bodies if one]) > 5


@pytest.mark.parametrize("mode", ["window", "async"])
async def test_a_text_that_went_on_once_holds_up_no_other(mode: str) -> None:
    """`思考中` and `思考中…` may be all that is ever said there."""
    status = [event({"status": "思考中"}), event({"status": "思考中…"})]
    parts = [*status, *(event({"text": char}) for char in story(400))]
    sent = await call(guarded(streaming(parts, EVENTS), marked(stream={"mode": mode})))
    bodies = [one["body"] for one in sent.messages if one["type"] == "http.response.body"]
    assert len([one for one in bodies if one]) > 5
    assert sent.text.count("data:") == len(parts)


async def test_what_goes_out_as_new_is_judged_as_new_also_after_pieces_that_grow() -> None:
    """Four lines that begin alike may be four lines: the fifth goes on from the last of them."""
    head = story(20)
    lines = [head, head + "甲", head + "甲乙", head + "甲乙丙", head + "甲乙丙丁" + ADVERT[:2]]
    for end in (3, 5):
        parts = [event({"t": one}) for one in [*lines[:end], ADVERT[2:] if end == 5 else "好。"]]
        sent = await call(guarded(streaming([*parts, event({"t": "完"})], EVENTS)))
        assert (SORRY in sent.text) is (end == 5)
