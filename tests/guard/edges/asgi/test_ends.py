"""How a stream of an application's own ends where its answer is stopped."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import anyio
import pytest
from starlette.background import BackgroundTask
from starlette.responses import StreamingResponse

from guard.asgi import GuardMiddleware, Route
from guard.engine import Asked
from guard.event import GuardEvent
from guard.openai_api import SseEvent, SseParser
from guard.stream import StreamSession
from tests.contracts.guard_marks import BAD, BROKEN, SORRY, marked, story
from tests.guard.edges.asgi.calling import Sent, call, streaming
from tests.guard.made import ABUSE, guard, policy

EVENTS, LINES = "text/event-stream", "application/x-ndjson"
SHORT = [*BAD]  # judged when the stream has ended
LONG = [*story(60), BAD, *story(2000)]  # stopped midway


async def ask(pieces: Sequence[str], media: str, route: str | Route = "/chat") -> Sent:
    """What a user gets of these."""
    return await call(GuardMiddleware(streaming(pieces, media), marked().guard, [route]))


def events(sent: Sent) -> list[tuple[str, str]]:
    """The names and the data of a stream's events."""
    found = SseParser().feed(sent.body)
    return [(one.event, one.data) for one in found if isinstance(one, SseEvent)]


def values(sent: Sent) -> list[Any]:
    """The lines of a stream."""
    return [json.loads(line) for line in sent.body.splitlines()]


def token(text: str) -> str:
    """A piece as an event with a name."""
    return f"event: token\nid: 7\ndata: {text}\n\n"


@pytest.mark.parametrize("parts", [SHORT, LONG])
async def test_the_message_comes_under_the_name_of_the_reply_s_own_events(parts: list[str]) -> None:
    """Who listens to `token` alone sees it."""
    start = "event: start\ndata: {}\n\n"
    plain = events(await ask([start, *map(token, parts)], EVENTS))
    assert plain[-1] == ("token", SORRY)
    written = [f"event: token\ndata: {json.dumps({'delta': part})}\n\n" for part in parts]
    listed = events(await ask([start, *written], EVENTS))
    assert (listed[-1][0], json.loads(listed[-1][1])) == ("token", {"delta": SORRY})


async def test_a_name_that_could_say_something_is_not_repeated() -> None:
    """It came from the application, beside a text that was withheld."""
    for name in ("13800138000", BAD):
        sent = await ask([f"event: {name}\ndata: {BAD}\n\n"], EVENTS)
        assert events(sent) == [("message", SORRY)]


@pytest.mark.parametrize(
    "end",
    [("end", ""), ("message", "[DONE]"), ("stop", "[DONE]"), ("message", '{"type":"end","n":5}')],
)
async def test_a_stream_that_had_come_whole_ends_as_it_was_going_to(end: tuple[str, str]) -> None:
    """What came behind the last text has none; a text behind it is gone with the answer."""
    more = 'data: {"sources": ["这里有一句话。"]}\n\n'
    last = "event: {}\ndata: {}\n\n".format(*end)
    for pieces in ([*map(token, SHORT), last], [*map(token, SHORT), more, last]):
        assert events(await ask(pieces, EVENTS)) == [("token", SORRY), end]
    sent = await ask([*map(token, SHORT), f"event: {BAD}\ndata: [DONE]\n\n"], EVENTS)
    assert events(sent) == [("token", SORRY), ("message", "[DONE]")]


async def test_lines_of_json_end_as_they_were_going_to() -> None:
    """`done: true` comes, with a text or without one."""

    def line(text: str, **more: Any) -> str:
        return json.dumps({"response": text, "done": False, **more}) + "\n"

    for end in ({"done": True}, {"response": "", "done": True, "n": 3}):
        sent = await ask([*map(line, SHORT), json.dumps(end) + "\n"], LINES)
        assert values(sent) == [{"response": SORRY, "done": False}, end]
    sent = await ask([*map(line, LONG), json.dumps({"done": True}) + "\n"], LINES)
    assert values(sent)[-2:] == [
        {"response": SORRY, "done": False},
        {"response": "", "done": True},
    ]


async def test_a_stream_that_is_stopped_midway_ends_as_its_route_says() -> None:
    """An event, a mark, a line."""
    ends: list[tuple[str, Callable[[str], str], str]] = [
        ("event: end\ndata: bye", token, EVENTS),
        ("data: [DONE]\n\n", lambda part: f"data: {json.dumps({'delta': part})}\n\n", EVENTS),
        ('{"over": 1}', lambda part: json.dumps({"delta": part}) + "\n", LINES),
    ]
    for end, framed, media in ends:
        blank = b"\n" if media == LINES else b"\n\n"
        sent = await ask(list(map(framed, LONG)), media, Route("/chat", end=end))
        assert sent.body.endswith(end.strip().encode() + blank)
        assert SORRY in sent.text
        good = [framed(part) for part in story(100)]
        assert end.strip() not in (await ask(good, media, Route("/chat", end=end))).text


async def test_events_that_say_that_they_are_not_the_last_are_followed_by_one_that_is() -> None:
    """`done: false` in events, as in lines."""
    pieces = [f"data: {json.dumps({'text': part, 'done': False})}\n\n" for part in LONG]
    found = [json.loads(data) for _, data in events(await ask(pieces, EVENTS))]
    assert found[-2:] == [{"text": SORRY, "done": False}, {"text": "", "done": True}]


@pytest.mark.parametrize("parts", [SHORT, LONG])
async def test_the_message_comes_under_the_type_that_clients_go_by(parts: list[str]) -> None:
    """Without it, those of Anthropic, Vercel and others show nothing."""

    def written(text: str) -> str:
        delta = {"type": "text_delta", "text": text}
        value = {"type": "content_block_delta", "id": "t1", "index": 0, "delta": delta}
        return f"data: {json.dumps(value)}\n\n"

    got = events(await ask([*map(written, parts)], EVENTS))
    assert json.loads(got[-1][1]) == json.loads(written(SORRY).removeprefix("data: "))


async def test_events_may_have_choices_of_their_own() -> None:
    """Answers that a user can click on are no chunks of OpenAI's."""
    quick = f"data: {json.dumps({'choices': ['是', '否']}, ensure_ascii=False)}\n\n"
    texts = [f"data: {json.dumps({'text': part})}\n\n" for part in "你好吗"]
    got = [json.loads(data) for _, data in events(await ask([quick, *texts], EVENTS))]
    assert got == [{"choices": ["是", "否"]}, *({"text": part} for part in "你好吗")]


@pytest.mark.parametrize("parts", [SHORT, LONG])
async def test_the_older_form_of_openai_s_streams_passes_and_is_judged(parts: list[str]) -> None:
    """Nothing of it is lost, and the message comes in its form."""

    def written(text: str) -> str:
        choice = {"index": 0, "text": text, "finish_reason": None}
        return f"data: {json.dumps({'object': 'text_completion', 'choices': [choice]})}\n\n"

    def texts(sent: Sent) -> str:
        values = [json.loads(data) for _, data in events(sent) if data != "[DONE]"]
        return "".join(value["choices"][0]["text"] for value in values)

    done = "data: [DONE]\n\n"
    assert texts(await ask([*map(written, "ok then"), done], EVENTS)) == "ok then"
    said = texts(await ask([*map(written, parts), done], EVENTS))
    assert said.endswith(SORRY)
    assert BAD not in said


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_marked_lines_of_plain_text_are_read_as_what_they_say(size: int) -> None:
    """As Vercel's SDK streams: the pieces of a text stand apart there, each in its line."""
    begin, end = 'f:{"messageId":"m1"}\n', 'd:{"finishReason":"stop"}\n'

    def written(text: str) -> str:
        pieces = (text[at : at + 2] for at in range(0, len(text), 2))
        return begin + "".join(f"0:{json.dumps(p, ensure_ascii=False)}\n" for p in pieces) + end

    async def got(stream: str) -> str:
        cut = [stream[at : at + size] for at in range(0, len(stream), size)]
        return (await ask(cut, "text/plain")).text

    for good in (written("你好世界"), "一行。\n两行。", "0:", "x", '0:"半', "a:[b]\n"):
        assert await got(good) == good
    message = f"0:{json.dumps(SORRY, ensure_ascii=False)}\n"
    assert await got(written(BAD)) == begin + message + end
    assert await got(f"0:{json.dumps(BAD)}\n") == message
    long = await got(written(story(60) + BAD + story(200)))
    assert long.endswith(message)
    assert BAD not in "".join(json.loads(line[2:]) for line in long.splitlines() if line[0] == "0")
    assert (await ask(['0:"好"\n', "无记号\n"], "text/plain")).status == 502


async def test_a_user_who_leaves_is_no_error() -> None:
    """The application is told, and ends its answer in the middle: nobody is there to hear more."""
    given = marked()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        body = {"type": "http.response.body", "body": story(200).encode(), "more_body": True}
        await send(body)
        while (await receive())["type"] != "http.disconnect":
            pass

    sent = await call(GuardMiddleware(app, given.guard, ["/chat"]))
    assert sent.messages[-1].get("more_body") is True
    assert len(given.events.of("output")) == 1


async def test_a_stream_is_recorded_before_what_follows_in_the_background() -> None:
    """That may take long, or never end."""
    given = marked()
    recorded: list[int] = []

    async def pieces() -> Any:
        yield "data: 好\n\n"

    async def later() -> None:
        recorded.append(len(given.events.of("output")))

    app = StreamingResponse(pieces(), media_type=EVENTS, background=BackgroundTask(later))
    await call(GuardMiddleware(app, given.guard, ["/chat"]))
    assert recorded == [1]


async def test_a_header_says_what_has_failed_open() -> None:
    """Of a whole answer what came of it; of a stream what is known when it begins."""
    given = marked(on_failure="allow", unread="allow")
    pieces = json.dumps({"reply": BROKEN})
    app = GuardMiddleware(streaming([pieces], "application/json"), given.guard, ["/chat"])
    sent = await call(app)
    assert (sent.status, json.loads(sent.body)) == (200, {"reply": BROKEN})
    told = {key: sent.headers[f"x-flames-{key}"] for key in ("decision", "missed")}
    assert told == {"decision": "failed_open", "missed": "1"}
    picture = {"image": "data:image/png;base64,AAAA"}
    app = GuardMiddleware(streaming([token("好")], EVENTS), given.guard, ["/chat"])
    sent = await call(app, json.dumps(picture).encode())
    assert (events(sent), sent.headers["x-flames-decision"]) == ([("token", "好")], "failed_open")


class Slow:
    """A log that takes a while, and says when it has written."""

    def __init__(self, said: list[str]) -> None:
        self._said = said

    async def emit(self, event: GuardEvent) -> None:
        for _ in range(500):
            await asyncio.sleep(0)
        self._said.append(event.side)


async def test_what_users_left_is_recorded_before_the_application_closes_its_logs() -> None:
    """Whoever waited for it was cancelled; the server's shutdown waits."""
    said: list[str] = []
    held = guard(policy(ABUSE), sinks=(Slow(said),))
    coming = ["lifespan.startup", "lifespan.shutdown"]

    async def app(_: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "lifespan.startup"
        session = StreamSession(held, Asked(prompt="问"))
        await session.feed(0, "content", "好")
        with anyio.CancelScope() as scope:
            scope.cancel()
            await session.close()
        assert (await receive())["type"] == "lifespan.shutdown"
        said.append("closed")

    async def receive() -> dict[str, Any]:
        return {"type": coming.pop(0)}

    await GuardMiddleware(app, held, ["/chat"])({"type": "lifespan"}, receive, Sent())
    assert said == ["output", "closed"]
