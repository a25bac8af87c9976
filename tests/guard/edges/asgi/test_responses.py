"""What an application answers on a guarded path: held until it was judged, and rewritten whole."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse
from starlette.routing import Route as AppRoute

from guard.asgi import GuardMiddleware, Route
from guard.asgi.question import read_question
from guard.asgi.responder import QUIET_S, BrokenOffError, Responder, ResponseContext
from guard.evidence import Scanner
from guard.openai_api import KEEP_ALIVE, SseEvent, SseParser
from guard.request_status import RequestStatus
from tests.contracts.guard_marks import (
    ADVERT,
    BAD,
    BROKEN,
    SORRY,
    Marked,
    marked,
    story,
)
from tests.guard.edges.asgi.calling import App, Sent, answering, call, streaming

EVENTS = "text/event-stream"


def guarded(app: App, given: Marked | None = None, routes: Any = ("/chat",)) -> GuardMiddleware:
    return GuardMiddleware(app, (given or marked()).guard, routes)


def json_body(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def events(sent: Sent) -> list[SseEvent]:
    """The events that a browser would see."""
    found = SseParser().feed(sent.body)
    return [one for one in found if isinstance(one, SseEvent)]


async def test_a_good_answer_keeps_status_headers_and_shape() -> None:
    """The JSON is written anew; what described its bytes goes, what describes the guard comes."""
    value = {"reply": "好", "sources": [{"title": "甲", "score": 0.5}], "none": None}
    headers = [(b"content-length", b"999"), (b"etag", b'"x"'), (b"x-own", b"1")]
    headers.append((b"x-flames-decision", b"blocked"))
    app = answering(json_body(value), status=201, headers=headers)
    given = marked()
    sent = await call(guarded(app, given))
    assert (sent.status, json.loads(sent.body)) == (201, value)
    told = dict(sent.headers)
    assert told.pop("x-flames-request-id") == given.events.all[0].request_id
    assert told == {
        "content-type": "application/json",
        "content-length": str(len(sent.body)),
        "x-own": "1",
        "x-flames-decision": "allowed",
        "x-flames-policy": given.guard.policy.id,
    }


@pytest.mark.parametrize(
    ("value", "routes", "told"),
    [
        ({"reply": BAD, "n": 3}, ["/chat"], {"reply": SORRY, "n": 3}),
        ({"reply": "好", "notes": [BAD, "甲"]}, ["/chat"], {"reply": SORRY, "notes": ["", ""]}),
        ({"reply": "好", BAD: "甲"}, ["/chat"], {"reply": SORRY}),
        ({"message": {"role": "bot", "content": BAD}}, ["/chat"],
         {"message": {"role": "bot", "content": SORRY}}),
        ({"id": "msg_7", "type": "甲 乙", "kind": "a", "status": "13800138000", "text": BAD},
         ["/chat"], {"id": "msg_7", "type": "", "kind": "", "status": "", "text": SORRY}),
        ({"id": "138-0013-8000", "138-0013-8000": "a", "text": BAD}, ["/chat"],
         {"id": "", "text": SORRY}),
        ({"id": "550e8400-e29b-41d4-a716-446655440000", "text": BAD}, ["/chat"],
         {"id": "550e8400-e29b-41d4-a716-446655440000", "text": SORRY}),
        ({"k": "a", "text": BAD}, [Route("/chat", names=["k"])], {"k": "a", "text": SORRY}),
        ({"data": {"说": BAD}}, ["/chat"], {"reply": SORRY}),
        ({"data": {"text": [BAD, "甲"]}, "text": "乙"}, [Route("/chat", replies=["data.text"])],
         {"data": {"text": [SORRY, SORRY]}, "text": ""}),
        ({"thinking": "好" + ADVERT[:2], "reply": ADVERT[2:]}, ["/chat"],
         {"thinking": "", "reply": SORRY}),
        (BAD, ["/chat"], SORRY),
        ([{"x": BAD}], ["/chat"], {"reply": SORRY}),
    ],
)  # fmt: skip
async def test_a_bad_answer_is_the_message_in_its_own_shape(
    value: Any, routes: Any, told: Any
) -> None:
    """Every string is judged, listed or not; what is left beside the message names things."""
    sent = await call(guarded(answering(json_body(value)), routes=routes))
    assert json.loads(sent.body) == told
    assert sent.headers["content-length"] == str(len(sent.body))
    assert (sent.status, sent.headers["x-flames-decision"]) == (200, "blocked")


async def test_words_and_numbers_are_scanned_too() -> None:
    """A telephone number needs no sentence around it, nor even to be a string."""
    rule = {"evidence": "pii", "action": "block"}
    given = marked([rule])
    given.scanner.kinds = lambda text: [("pii:mobile", "x")] if "13800138000" in text else []  # type: ignore[method-assign]
    for value in ({"phone": "13800138000"}, {"phone": 13800138000}, {"13800138000": True}):
        sent = await call(guarded(answering(json_body({"reply": "好", **value})), given))
        assert b"13800138000" not in sent.body
        assert json.loads(sent.body)["reply"] == SORRY


@pytest.mark.parametrize(
    "card", ["6222021234567890128", "6222 0212 3456 7890 128", 6222021234567890128]
)
@pytest.mark.parametrize("key", ["银行卡号", "bank_card", "account"])
async def test_a_key_says_what_its_number_is(key: str, card: str | int) -> None:
    """A card's number beside a word about cards; an order's is none."""
    given = marked([{"evidence": "pii", "action": "block"}])
    given.scanner.kinds = Scanner.shipped().kinds  # type: ignore[method-assign]
    for name, stops in ((key, True), ("order_id", False)):
        sent = await call(guarded(answering(json_body({"reply": "好", name: card})), given))
        assert (json.loads(sent.body)["reply"] == SORRY) is stops
        line = json.dumps({name: card}, ensure_ascii=False)
        app = streaming([f"data: {line}\n\n"], "text/event-stream")
        assert ("7890" not in (await call(guarded(app, given))).text) is stops


@pytest.mark.parametrize(
    "said",
    [
        {"银行卡": {"号码": "6222021234567890128"}},
        {"label": "银行卡号", "value": "6222021234567890128"},
        {"银行卡号": "622202I2345678OOI35"},
        {"cards": [{"title": "我的储蓄卡", "no": 6222021234567890128}]},
    ],
)
async def test_what_stands_above_or_beside_a_number_says_what_it_is(said: Any) -> None:
    """As front ends have it; and in letters that look like digits."""
    given = marked([{"evidence": "pii", "action": "block"}])
    given.scanner.kinds = Scanner.shipped().kinds  # type: ignore[method-assign]
    sent = await call(guarded(answering(json_body({"reply": "好", **said})), given))
    assert json.loads(sent.body)["reply"] == SORRY


async def test_how_long_a_model_took_is_no_telephone_number() -> None:
    """Ollama tells it in nanoseconds."""
    given = marked([{"evidence": "pii", "action": "block"}])
    given.scanner.kinds = lambda text: [("pii:mobile", "x")] if "13800138000" in text else []  # type: ignore[method-assign]
    told = {"message": {"content": "好"}, "eval_duration": 13800138000, "eval_count": 20}
    sent = await call(guarded(answering(json.dumps(told).encode()), given))
    assert json.loads(sent.body) == told


async def test_an_answer_in_openai_s_form_is_rebuilt_from_known_keys() -> None:
    """Log probabilities and citations do not pass unread."""
    message = {"role": "assistant", "content": "好", "annotations": [{"title": ADVERT}]}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": {"t": ADVERT}}
    sent = await call(guarded(answering(json_body({"id": "c", "choices": [choice]}))))
    assert json.loads(sent.body)["choices"][0]["message"]["content"] == "好"
    assert ADVERT not in sent.text


async def test_nothing_is_sent_before_the_verdict() -> None:
    """Not even the status: it may have to change."""
    given, order = marked(), []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        inner = answering(json_body({"reply": BROKEN}))

        async def told(message: Any) -> None:
            await send(message)
            order.append((message["type"], len(sent.messages)))

        await inner(scope, receive, told)

    sent = Sent()
    scope = {"type": "http", "method": "POST", "path": "/chat", "headers": [], "query_string": b""}

    async def receive() -> Any:
        return {"type": "http.request"}

    await guarded(app, given)(scope, receive, sent)
    assert [count for _, count in order[:-1]] == [0] * (len(order) - 1)
    assert (sent.status, json.loads(sent.body)["error"]["code"]) == (503, "guard_unavailable")
    assert sent.headers["x-flames-decision"] == "failed"
    assert BROKEN not in sent.text


@pytest.mark.parametrize("status", [204, 304])
async def test_a_response_without_a_body_is_not_waited_for(status: int) -> None:
    """It passes, without anything that an application sends beside it."""
    sent = await call(guarded(answering(b"", status=status)))
    assert (sent.status, sent.body) == (status, b"")
    assert "content-length" not in sent.headers
    assert (await call(guarded(answering(BAD.encode(), status=status)))).body == b""


async def test_a_head_has_no_body_and_a_redirect_an_empty_one() -> None:
    """Neither is an error."""
    app = answering(json_body({"reply": BAD}))
    sent = await call(guarded(app), method="HEAD")
    assert (sent.status, sent.body) == (200, b"")
    sent = await call(guarded(RedirectResponse("/other")))
    assert (sent.status, sent.body, sent.headers["location"]) == (307, b"", "/other")


@pytest.mark.parametrize(
    ("body", "media", "start"),
    [
        (b"<p>x</p>", "text/html", {}),
        (b"\x89PNG", "image/png", {}),
        (b"x", "", {}),
        (b"\x1f\x8b", "application/json", {"headers": [(b"content-encoding", b"gzip")]}),
        (b"{", "application/json", {}),
        (b'{"a": 1, "a": 2}', "application/json", {}),
        (b'"\xff"', "application/json", {}),
        (b"abc", "application/json; charset=gbk", {}),
        (b'"x"', "application/json", {"status": 206}),
        (b"\xff\xfe", "text/plain", {}),
        (b'{"choices": [{"index": "x", "message": {}}]}', "application/json", {}),
        (b'{"object": "chat.completion", "choices": ["x"]}', "application/json", {}),
        (b'"' + b"x" * 2000 + b'"', "application/json", {}),
    ],
)
async def test_what_can_t_be_read_is_withheld(body: bytes, media: str, start: Any) -> None:
    """Another kind of body, a broken one, a compressed or a partial one: 502, and none of it."""
    app = GuardMiddleware(answering(body, media, **start), marked().guard, ["/chat"], 1000)
    sent = await call(app)
    assert (sent.status, json.loads(sent.body)["error"]["code"]) == (502, "upstream_unreadable")


async def test_a_file_is_read_like_any_text(tmp_path: Path) -> None:
    """The server is not asked to send it by itself, round the guard."""
    file = tmp_path / "a.txt"
    file.write_text(story(200) + BAD, encoding="utf-8")
    extensions = {"http.response.pathsend": {}}
    sent = await call(guarded(FileResponse(file)), extensions=extensions)
    assert sent.text == SORRY


async def test_errors_of_the_application_are_its_own() -> None:
    """Before its answer and behind it; those that the guard causes by ending an answer are not."""

    async def early(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("early")

    async def late(scope: Any, receive: Any, send: Any) -> None:
        await answering(json_body({"reply": "好"}))(scope, receive, send)
        raise ValueError("late")

    for app, problem in ((early, "early"), (late, "late")):
        with pytest.raises(ValueError, match=problem):
            await call(guarded(app))

    async def open_ended(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    sent = await call(guarded(open_ended))
    assert json.loads(sent.body)["error"]["code"] == "upstream_interrupted"


async def test_what_an_application_says_of_an_error_is_judged_too() -> None:
    """FastAPI's 422 quotes what the user sent."""
    app = answering(json_body({"detail": [{"msg": "x", "input": ADVERT}]}), status=422)
    sent = await call(guarded(app))
    assert sent.status == 422
    assert ADVERT not in sent.text


async def test_text_pieces_may_be_cut_anywhere() -> None:
    """In the middle of a character, of a line's end, of an event."""
    text = story(150)
    raw = "".join(f"data: {text[at : at + 5]}\r\n\r\n" for at in range(0, 150, 5)).encode()
    pieces = [raw[at : at + 2] for at in range(0, len(raw), 2)]
    sent = await call(guarded(streaming(pieces, EVENTS)))
    assert "".join(event.data for event in events(sent)) == text
    plain = text.encode()
    halves = [plain[at : at + 2] for at in range(0, len(plain), 2)]
    sent = await call(guarded(streaming(halves, "text/plain")))
    assert sent.text == text


async def test_plain_events_end_with_the_message_and_the_application_is_stopped() -> None:
    """Nothing of the mark, however it is cut over events; the generator is not read on."""
    read: list[int] = []

    def talking() -> Any:
        for n, char in enumerate(story(150) + BAD + story(5000, seed=1)):
            read.append(n)
            yield f"data: {char}\n\n"

    sent = await call(guarded(streaming(talking(), EVENTS)))
    said = [event.data for event in events(sent)]
    assert said[-1] == SORRY
    assert story(150).startswith("".join(said[:-1]))
    assert len(read) < 400


async def test_the_end_mark_of_a_stream_keeps_its_place() -> None:
    """`[DONE]`, and events with names, come after all text that came before them."""
    pieces = ["event: start\ndata: {}\n\n", "data: 你好\n\n", "retry: 500\nevent: stop\ndata: \n\n"]
    sent = await call(guarded(streaming([*pieces, "data: [DONE]\n\n"], EVENTS)))
    assert [(one.event, one.data) for one in events(sent)] == [
        ("start", "{}"),
        ("message", "你好"),
        ("stop", ""),
        ("message", "[DONE]"),
    ]
    assert b"retry: 500\n\n" in sent.body


@pytest.mark.parametrize(
    "events_of",
    [
        lambda part: {"delta": "好", "debug": part},
        lambda part: {"delta": "好", "trace": {"inner": [part]}},
        lambda part: {"delta": "好", "notes": ["", part]},
        lambda part: {"text": part},
    ],
)
async def test_a_text_that_grows_under_any_key_is_judged_as_it_grows(events_of: Any) -> None:
    """Cut over events it would be harmless in each of them."""
    parts = [*story(100), *BAD, *story(200)]
    pieces = [f"data: {json.dumps(events_of(part))}\n\n" for part in parts]
    found = events(await call(guarded(streaming(pieces, EVENTS))))
    shown = json.dumps([json.loads(event.data) for event in found], ensure_ascii=False)
    assert SORRY in shown
    assert not any(char in shown for char in "坏甲")


async def test_words_that_keep_changing_are_a_text() -> None:
    """An identifier may change a few times; English words one by one are no identifiers."""
    given = marked()
    given.scanner.kinds = lambda text: [("abuse", "x")] if "makeabomb" in text else []  # type: ignore[method-assign]
    words = ["how", "do", "you", "do", "it", "they", "make", "a", "bomb", "like", "this"]
    pieces = [f"data: {json.dumps({'n': n, 'w': word})}\n\n" for n, word in enumerate(words)]
    sent = await call(guarded(streaming(pieces, EVENTS), given))
    assert "bomb" not in sent.text
    names = [f"data: {json.dumps({'id': f'event-{n}', 'delta': '好'})}\n\n" for n in range(200)]
    first = (await call(guarded(streaming(names, EVENTS), marked()))).body
    assert first.count(b"data: ") == 200


async def test_a_client_is_told_to_withdraw_what_it_shows() -> None:
    """With `mode: retract`, by an event of its own, before the message."""
    given = marked(stream={"mode": "retract", "exposure": 50})
    pieces = [f"data: {json.dumps({'delta': part})}\n\n" for part in [*story(80), BAD, *story(300)]]
    found = events(await call(guarded(streaming(pieces, EVENTS), given)))
    assert [one.event for one in found[-2:]] == ["flames_guard", "message"]
    assert json.loads(found[-2].data) == {"flames_guard": {"retract": True, "from": 0}}
    assert json.loads(found[-1].data) == {"delta": SORRY}
    lines = [json.dumps({"delta": part}) + "\n" for part in [*story(80), BAD, *story(300)]]
    sent = await call(guarded(streaming(lines, "application/x-ndjson"), given))
    assert [json.loads(line) for line in sent.body.splitlines()[-2:]] == [
        {"flames_guard": {"retract": True, "from": 0}},
        {"delta": SORRY},
    ]


@pytest.mark.parametrize(
    ("media", "framed"),
    [
        (EVENTS, 'data: {{"choices": [{{"index": 0, "delta": {{"content": "{}"}}}}]}}\n\n'),
        (EVENTS, 'data: {{"delta": "{}"}}\n\n'),
        ("application/x-ndjson", '{{"delta": "{}"}}\n'),
        ("text/plain", '0:"{}"\n'),
    ],
)
async def test_a_client_is_told_to_withdraw_what_could_not_be_checked(
    media: str, framed: str
) -> None:
    """Before it is told of the error; in other modes nothing is withdrawn."""
    pieces = [framed.format(part) for part in [*story(80), BROKEN, *story(300)]]
    for mode in ("retract", "async"):
        given = marked(stream={"mode": mode, "exposure": 50})
        sent = await call(guarded(streaming(pieces, media), given))
        said = [one for one in sent.text.splitlines() if one and not one.startswith("event:")]
        *_, before, last = said
        assert "could not judge" in last
        assert ('"retract":true' in before) is (mode == "retract")


async def test_plain_text_ends_with_the_message_or_is_cut() -> None:
    """It has no way to tell of an error: the connection is broken off, so that nobody takes it for
    the end."""
    sent = await call(guarded(streaming([story(150), BAD, story(300)], "text/plain")))
    assert sent.text.endswith(SORRY)
    assert story(150).startswith(sent.text.removesuffix(SORRY))
    with pytest.raises(BrokenOffError):
        await call(guarded(streaming([*story(300), BROKEN, *story(300)], "text/plain")))


@pytest.mark.parametrize("size", [1, 4, 50, 10_000])
@pytest.mark.parametrize(
    "written",
    [
        lambda text: json.dumps({"reply": text}),
        lambda text: "".join(json.dumps({"delta": part}) + "\n" for part in (text, "。")),
        lambda text: f"```json\n{json.dumps([text])}\n```",
    ],
)
async def test_json_that_streams_as_plain_text_is_read_without_its_escapes(
    written: Any, size: int
) -> None:
    """An object, lines, a block: the judge reads what the client will, and what passes comes out as
    the application wrote it."""
    good, bad = written(story(300)), written(story(150) + BAD + story(300))
    assert story(300) not in good
    for text, fine in ((good, True), (bad, False)):
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        sent = await call(guarded(streaming(pieces, "text/plain")))
        assert (sent.text == text) is fine
        said = sent.text.removesuffix(f'{{"delta":"{SORRY}"}}\n').removesuffix(SORRY)
        assert text.startswith(said)
        assert fine or (said != sent.text and json.dumps(BAD)[1:-1] not in said)


async def test_plain_text_that_comes_whole_is_read_without_its_escapes_too() -> None:
    """Lines of JSON are no JSON."""
    lines = "".join(json.dumps({"delta": part}) + "\n" for part in ("好", BAD))
    sent = await call(guarded(PlainTextResponse(lines)))
    assert sent.text == SORRY


async def test_a_plain_text_that_ends_within_an_escape_comes_out_whole() -> None:
    """Nothing waits for ever."""
    for text in ("好\\", "好\\u57", "好\\ud83d"):
        assert (await call(guarded(streaming([*text], "text/plain")))).text == text


@pytest.mark.parametrize("stream", [False, True])
async def test_more_answers_than_were_asked_for_do_not_arrive(stream: bool) -> None:
    """Where the question says how many; where it has a form of its own, nobody knows."""
    texts = [story(40, seed=n) for n in range(3)]
    key = "delta" if stream else "message"
    choices = [{"index": n, key: {"content": one}} for n, one in enumerate(texts)]
    if stream:
        ends = [{"index": n, "delta": {}, "finish_reason": "stop"} for n in range(3)]
        bodies = [{"choices": [one]} for one in (*choices, *ends)]
        data = [f"data: {json.dumps(one)}\n\n" for one in bodies]
        app = streaming([*data, "data: [DONE]\n\n"], EVENTS)
    else:
        app = answering(json_body({"choices": choices}))
    asked = {"messages": [{"role": "user", "content": "你好"}], "stream": stream}
    for body, n in ((asked, 1), ({**asked, "n": 2}, 2), ({"message": "你好"}, 3)):
        sent = await call(guarded(app), json_body(body))
        said = [json.loads(one.data) for one in events(sent) if one.data != "[DONE]"]
        answers = said if stream else [json.loads(sent.body)]
        assert {c["index"] for one in answers for c in one["choices"]} == set(range(n))


async def test_an_answer_that_is_stopped_does_not_grow_with_the_number_asked_for() -> None:
    """A question may ask for any number of answers; no server gives so many."""
    asked = {"messages": [{"role": "user", "content": "你好"}], "stream": True, "n": 10**9}
    data = json.dumps({"choices": [{"index": 0, "delta": {"content": BAD + story(200)}}]})
    sent = await call(guarded(streaming([f"data: {data}\n\n"], EVENTS)), json_body(asked))
    assert len(events(sent)) <= 2 * 128 + 1


async def test_a_time_to_wait_that_is_none_is_left_out() -> None:
    """It would be a number that nobody looked at."""
    pieces = ["retry: 500\n\n", "retry: 13800138000\n\n", "data: 好\n\n"]
    sent = await call(guarded(streaming(pieces, EVENTS)))
    assert b"retry: 500\n\n" in sent.body
    assert b"13800138000" not in sent.body


async def test_a_broken_stream_releases_nothing_that_was_held() -> None:
    """The application breaks off: its error goes on, what was held stays, and it is recorded."""
    given = marked()

    def talking() -> Any:
        yield f"data: {story(60)}\n\n"
        raise ConnectionResetError

    with pytest.raises(Exception, match=r".*") as broken:
        await call(guarded(streaming(talking(), EVENTS), given))
    assert not isinstance(broken.value, BrokenOffError)
    assert len(given.events.of("output")) == 1


@pytest.mark.parametrize(
    "raw",
    [b"data: \xff\n\n", b"data: " + b"x" * 1_100_000, b'data: {"choices": [{"delta": 3}]}\n\n'],
)
async def test_a_stream_that_can_t_be_read_is_withheld(raw: bytes) -> None:
    """Not UTF-8, an event without end, no chunk."""
    sent = await call(guarded(streaming([raw], EVENTS)))
    assert (sent.status, json.loads(sent.body)["error"]["code"]) == (502, "upstream_unreadable")


async def test_a_stream_that_is_held_long_shows_that_it_lives() -> None:
    """A comment, which every reader skips, so that no proxy gives the connection up."""
    now = [0.0]
    given = marked(stream={"mode": "buffer"})
    scope = {"headers": [], "query_string": b"", "path": "/chat"}
    question = await read_question(scope, b"", Route("/chat"), "id")
    said = RequestStatus("id")
    around = ResponseContext(given.guard, question, Route("/chat"), said, 1000, lambda: now[0])
    sent = Sent()
    responder = Responder(around, sent, lambda: None, head=False)
    headers = [(b"content-type", EVENTS.encode())]
    await responder.send({"type": "http.response.start", "status": 200, "headers": headers})
    for seconds in (1.0, QUIET_S + 1, QUIET_S + 2):
        now[0] = seconds
        body = {"type": "http.response.body", "body": "data: 好\n\n".encode(), "more_body": True}
        await responder.send(body)
    await responder.send({"type": "http.response.body", "body": b"", "more_body": False})
    await responder.close()
    assert sent.body == KEEP_ALIVE + "data: 好\n\n".encode() * 3


async def test_it_is_one_line_in_an_application() -> None:
    """As Starlette and FastAPI add middleware; many users at once."""

    async def chat(request: Any) -> JSONResponse:
        return JSONResponse({"reply": (await request.json())["message"]})

    app = Starlette(routes=[AppRoute("/chat", chat, methods=["POST"])])
    app.add_middleware(GuardMiddleware, guard=marked().guard, routes=["/chat"])
    texts = [f"第{n}句" + (BAD if n % 3 == 0 else "") for n in range(30)]
    answers = await asyncio.gather(*(call(app, json_body({"message": text})) for text in texts))
    for n, (text, sent) in enumerate(zip(texts, answers, strict=True)):
        assert json.loads(sent.body) == {"reply": SORRY if n % 3 == 0 else text}
