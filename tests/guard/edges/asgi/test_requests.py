"""What users send to a guarded path: read within bounds, judged whole, and handed on unchanged."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from guard.asgi import GuardMiddleware, Route
from judge.errors import InputError, JudgeUnavailable
from tests.contracts.guard_marks import ADVERT, BAD, CRASH, SORRY, SORRY_EN, Marked, marked
from tests.guard.edges.asgi.calling import JSON, App, Sent, answering, call

FORM = [(b"content-type", b"application/x-www-form-urlencoded")]
TEXT = [(b"content-type", b"text/plain; charset=UTF-8")]


class Seen:
    """An application that keeps what it got."""

    def __init__(self) -> None:
        self.scope: dict[str, Any] = {}
        self.messages: list[dict[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        while not self.messages or self.messages[-1]["type"] != "http.disconnect":
            self.messages.append(await receive())
        await answering(b'"ok"')(scope, receive, send)

    @property
    def body(self) -> bytes:
        assert self.messages[0]["type"] == "http.request"
        return bytes(self.messages[0]["body"])


def guarded(app: App, given: Marked | None = None, **options: Any) -> GuardMiddleware:
    held = (given or marked()).guard
    return GuardMiddleware(app, held, options.pop("routes", ["/chat"]), **options)


async def test_the_application_gets_the_body_once_and_then_hears_of_the_user() -> None:
    """The JSON is written anew, the length fits, and `http.disconnect` arrives."""
    seen = Seen()
    sent = await call(guarded(seen), b' {"message": "\\u4f60\\u597d", "n": 1.0} ')
    assert sent.status == 200
    assert seen.body == '{"message":"你好","n":1.0}'.encode()
    assert dict(seen.scope["headers"])[b"content-length"] == str(len(seen.body)).encode()
    assert [one["type"] for one in seen.messages] == ["http.request", "http.disconnect"]


async def test_an_inner_compression_or_a_file_can_t_go_round_the_guard() -> None:
    """Of the request's headers and extensions, none asks for a body that can't be read."""
    seen = Seen()
    headers = [*JSON, (b"accept-encoding", b"gzip, br"), (b"range", b"bytes=0-9")]
    extensions = {"http.response.pathsend": {}, "http.response.trailers": {}, "tls": {"a": 1}}
    await call(guarded(seen), headers=headers, extensions=extensions)
    found = dict(seen.scope["headers"])
    assert found[b"accept-encoding"] == b"identity"
    assert b"range" not in found
    assert seen.scope["extensions"] == {"tls": {"a": 1}}


@pytest.mark.parametrize(
    ("body", "headers", "scope"),
    [
        ({"message": ADVERT}, JSON, {}),
        ({"message": "好", "anything": [{"deep": ADVERT}]}, JSON, {}),
        ({"message": "好", ADVERT: 1}, JSON, {}),
        ([["好", ADVERT]], JSON, {}),
        (ADVERT, JSON, {}),
        ({"messages": [{"role": "user", "content": ADVERT}]}, JSON, {}),
        ({"messages": [{"role": "user", "content": "好", "name": ADVERT}]}, JSON, {}),
        (
            {"messages": [{"role": "user", "content": one} for one in (ADVERT[:2], ADVERT[2:])]},
            JSON,
            {},
        ),
        ({"messages": "好", "message": ADVERT}, JSON, {}),
        (urlencode({"message": ADVERT}).encode(), FORM, {}),
        (urlencode([("message", ADVERT), ("message", "好")]).encode(), FORM, {}),
        (ADVERT.encode(), TEXT, {}),
        (b"", [], {"query_string": urlencode({"q": ADVERT}).encode(), "method": "GET"}),
        (b"", [], {"path": f"/ask/{ADVERT}", "method": "GET"}),
    ],
)
async def test_every_string_of_a_request_is_judged(body: Any, headers: Any, scope: Any) -> None:
    """Wherever it stands, and in whatever form."""
    seen = Seen()
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = await call(guarded(seen, routes=["/chat", "/ask/*"]), raw, headers, **scope)
    assert sent.status == 400
    error = json.loads(sent.body)["error"]
    assert (error["code"], error["message"]) == ("content_filter", SORRY)
    assert sent.headers["x-flames-decision"] == "blocked"
    assert not seen.messages


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{}", [*JSON, (b"content-encoding", b"gzip")], 415),
        (b"{}", [(b"content-type", b"application/octet-stream")], 415),
        (b"{}", [(b"content-type", b"multipart/form-data; boundary=x")], 415),
        (b"{}", [(b"content-type", b"application/json; charset=utf-16")], 415),
        (b"{}", [], 415),
        (b'{"a": 1, "a": 2}', JSON, 400),
        (b'{"a": NaN}', JSON, 400),
        (b'{"a": 1} {"b": 2}', JSON, 400),
        (b'1, "b": 2', JSON, 400),
        (b"{", JSON, 400),
        (b"\xff", TEXT, 400),
        (b"a=%ff", FORM, 400),
        (b'"' + b"x" * 100 + b'"', JSON, 413),
        (b"{}", [*JSON, (b"content-length", b"101")], 413),
        (b"{}", [*JSON, (b"content-length", b"9" * 5000)], 413),
    ],
)
async def test_what_can_t_be_read_is_refused(body: bytes, headers: Any, status: int) -> None:
    """Two readers could read it differently, or it is too large: the application never sees it."""
    seen = Seen()
    sent = await call(guarded(seen, most_bytes=100), body, headers)
    assert sent.status == status
    assert "error" in json.loads(sent.body)
    assert "x-flames-decision" not in sent.headers
    assert not seen.messages


async def test_pictures_count_as_the_policy_says() -> None:
    """Their addresses are text, they themselves can't be read."""
    part = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    openai = {"messages": [{"role": "user", "content": [part]}]}
    own = {"message": "看图", "picture": "data:image/png;base64,iVBORw0KGgo="}
    for body in (openai, own):
        raw = json.dumps(body).encode()
        assert (await call(guarded(Seen()), raw)).status == 400
        assert (await call(guarded(Seen(), marked(unread="allow")), raw)).status == 200


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image", "source": {"type": "base64", "data": "iVBO"}},
        {"type": "file", "mediaType": "application/pdf", "url": "https://example.org/a.pdf"},
        {"inlineData": {"mimeType": "image/png", "data": "iVBO"}},
        {"type": "image_file", "image_file": {"file_id": "file-7"}},
        {"prompt": "看", "images": ["iVBO"]},
        {"type": "file", "content": "看", "images": ["iVBO"]},
        {"role": "user", "content": [{"image": "https://example.org/a.png"}, {"text": "看"}]},
        {"role": "user", "content": [{"image": {"format": "png", "source": {"bytes": "iVBO"}}}]},
        {"type": "image", "url": "https://example.org/a.png", "source": {"type": "text"}},
    ],
)
async def test_pictures_of_other_protocols_count_too(part: Any) -> None:
    """Not only OpenAI's."""
    body = json.dumps({"messages": [{"role": "user", "parts": [{"text": "看"}, part]}]}).encode()
    assert (await call(guarded(Seen()), body)).status == 400
    assert (await call(guarded(Seen(), marked(unread="allow")), body)).status == 200


@pytest.mark.parametrize(
    "part",
    [
        {"type": "document", "source": "wiki", "text": "好"},
        {"type": "video", "source": "频道", "title": "好"},
        {"content": "好", "images": 3},
        {"content": [{"image": ""}, {"type": "text", "text": "好", "image": "x"}]},
        {"type": "object", "properties": {"type": {"type": "string"}, "url": {"type": "string"}}},
    ],
)
async def test_words_about_pictures_and_files_are_none(part: Any) -> None:
    """An application's own keys may bear such names."""
    body = json.dumps({"message": "好", "about": [part]}).encode()
    assert (await call(guarded(Seen()), body)).status == 200


@pytest.mark.parametrize(
    "body",
    [
        {"history": [{"role": [], "content": "早"}]},
        {"history": [{"role": {}, "content": "早"}]},
        {"type": "image", "source": {"type": ["text"]}, "messages": [{"role": [], "content": []}]},
        {"choices": [{"delta": []}], "stream": {}},
    ],
)
async def test_values_of_any_type_may_stand_anywhere(body: Any) -> None:
    """Nobody's body makes an error of ours."""
    assert (await call(guarded(Seen()), json.dumps({"message": "好", **body}).encode())).status in (
        200,
        400,
    )


async def test_a_text_file_in_a_message_is_read() -> None:
    """As it is everywhere: what it says is judged, and it is no unread file."""
    for said, status in (("好", 200), (ADVERT, 400)):
        data = "data:text/plain;base64," + base64.b64encode(said.encode()).decode()
        part = {"type": "file", "file": {"file_data": data, "filename": "a.txt"}}
        body = json.dumps({"messages": [{"role": "user", "content": [part]}]}).encode()
        assert (await call(guarded(Seen()), body)).status == status


async def test_a_refusal_may_be_an_answer() -> None:
    """In the form of the request: the application's own, OpenAI's, or OpenAI's stream."""
    given = marked(blocked_input="answer")
    routes = [Route("/chat", replies=["data.text"])]
    own = await call(guarded(Seen(), given, routes=routes), json.dumps({"q": ADVERT}).encode())
    assert (own.status, json.loads(own.body)) == (200, {"data": {"text": SORRY}})
    body: dict[str, Any] = {"messages": [{"role": "user", "content": f"What's {ADVERT}?"}], "n": 2}
    whole = json.loads((await call(guarded(Seen(), given), json.dumps(body).encode())).body)
    said = [(one["message"]["content"], one["finish_reason"]) for one in whole["choices"]]
    assert said == [(SORRY, "content_filter")] * 2
    body |= {"stream": True, "stream_options": {"include_usage": True}}
    streamed = await call(guarded(Seen(), given), json.dumps(body).encode())
    assert streamed.headers["content-type"] == "text/event-stream"
    assert (streamed.text.count(SORRY), streamed.text.count('"total_tokens":0')) == (2, 1)
    assert streamed.text.endswith("data: [DONE]\n\n")


async def test_a_question_that_is_replaced_is_answered_with_the_message() -> None:
    """Also where blocked questions are errors."""
    rule = {"evidence": "abuse", "side": "input", "action": "replace"}
    sent = await call(guarded(Seen(), marked([rule])), json.dumps({"message": ADVERT}).encode())
    assert (sent.status, json.loads(sent.body)) == (200, {"reply": SORRY})
    assert sent.headers["x-flames-decision"] == "replaced"


async def test_a_question_that_can_t_be_checked_is_refused() -> None:
    """503, and the application is not asked."""
    seen = Seen()
    sent = await call(guarded(seen), json.dumps({"message": CRASH}).encode())
    assert (sent.status, json.loads(sent.body)["error"]["code"]) == (503, "guard_unavailable")
    assert not seen.messages


@pytest.mark.parametrize(
    ("body", "routes"),
    [
        ({"message": "How are you?", "session": "甲"}, ["/chat"]),
        ({"q": {"ask": "How are you?"}, "注": "甲"}, [Route("/chat", prompts=["q.ask"])]),
        ({"messages": [{"role": "user", "content": "How are you?"}], "注": "甲"}, ["/chat"]),
    ],
)
async def test_the_message_is_in_the_language_of_the_prompt(body: Any, routes: Any) -> None:
    """Which of the strings that is, the usual names or the route's paths say."""
    app = guarded(answering(json.dumps({"reply": BAD}).encode()), routes=routes)
    sent = await call(app, json.dumps(body).encode())
    assert json.loads(sent.body) == {"reply": SORRY_EN}


@pytest.mark.parametrize(
    ("path", "scope", "inside"),
    [
        ("/chat", {}, True),
        ("/chat/", {}, True),
        ("//Chat", {}, True),
        ("/chats", {}, False),
        ("/chat/7", {}, False),
        ("/v1/rooms/7/say", {}, True),
        ("/api/chat", {"root_path": "/api"}, True),
        ("/api/chat", {}, False),
    ],
)
async def test_paths_are_matched_as_routers_may_match_them(
    path: str, scope: Any, inside: bool
) -> None:
    """Rather too much than too little; what is no guarded path is not touched at all."""
    seen = Seen()
    app = guarded(seen, routes=["/chat", "/v1/rooms/*/say"])
    sent = await call(app, json.dumps({"message": ADVERT}).encode(), path=path, **scope)
    assert (sent.status == 400) is inside
    if not inside:
        assert sent.text == '"ok"'
        assert "x-flames-policy" not in sent.headers
        assert b"accept-encoding" not in dict(seen.scope["headers"])


@pytest.mark.parametrize(
    ("route", "path", "inside"),
    [
        ("/chat/{id}", "/chat/7", True),
        ("/chat/{id}/say", "/Chat/a b/say/", True),
        ("/chat/{id:int}", "/chat/7", True),
        ("/chat/{id}", "/chat/\n", True),
        ("/chat/{id}/", "/chat/\n/\n", True),
        ("/chat/{rest:path}", "/chat/", True),
        ("/chat/*", "/chat//", True),
        ("/chat/{id}", "/chat", False),
        ("/chat/{id}", "/chat/7/export", False),
        ("/files/{name:path}", "/files/a/b", True),
        ("/files/{name:own_kind}", "/files/a/b", True),
        ("/{a}/{b}", "/1/2", True),
    ],
)
async def test_a_path_may_have_parameters(route: str, path: str, inside: bool) -> None:
    """As the application's router writes them."""
    app = guarded(Seen(), routes=[route])
    sent = await call(app, json.dumps({"message": ADVERT}).encode(), path=path)
    assert (sent.status == 400) is inside


async def test_what_a_path_s_parameter_holds_is_judged() -> None:
    """The caller chooses it."""
    assert (
        await call(guarded(Seen(), routes=["/say/{text}"]), path=f"/say/{ADVERT}")
    ).status == 400
    assert (await call(guarded(Seen(), routes=["/say/{text}"]), path="/say/hi")).status == 200


async def test_a_websocket_on_a_guarded_path_is_refused() -> None:
    """Nothing of it could be read."""
    sent = await call(guarded(Seen()), type="websocket")
    assert sent.messages == [{"type": "websocket.close", "code": 1008, "reason": "not guarded"}]
    seen = Seen()
    await call(guarded(seen), type="websocket", path="/other")
    assert seen.scope["type"] == "websocket"


async def test_a_user_who_leaves_early_costs_nothing() -> None:
    """The body never came to its end: nobody is asked, nothing is recorded."""
    given, seen, sent = marked(), Seen(), Sent()
    messages = [{"type": "http.request", "body": b"{", "more_body": True}]

    async def receive() -> dict[str, Any]:
        return messages.pop() if messages else {"type": "http.disconnect"}

    scope = {"type": "http", "method": "POST", "path": "/chat", "headers": JSON}
    await guarded(seen, given)({**scope, "query_string": b""}, receive, sent)
    assert not sent.messages
    assert not seen.messages
    assert not given.events.all


async def test_the_judge_is_loaded_before_the_first_request() -> None:
    """And where it can't be loaded, the server says so and doesn't start."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "lifespan.startup"
        await send({"type": "lifespan.startup.complete"})

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan.startup"}

    async def broken() -> None:
        raise JudgeUnavailable("no weights")

    given, sent = marked(), Sent()
    await guarded(app, given)({"type": "lifespan"}, receive, sent)
    assert sent.messages == [{"type": "lifespan.startup.complete"}]
    given, sent = marked(), Sent()
    given.guard.warm = broken  # type: ignore[method-assign]
    with pytest.raises(JudgeUnavailable, match="no weights"):
        await guarded(app, given)({"type": "lifespan"}, receive, sent)
    assert sent.messages == [{"type": "lifespan.startup.failed", "message": "no weights"}]


def test_one_s_own_tests_fail_at_a_policy_that_can_t_be_used() -> None:
    """Starlette's test client waits for the exception: without it, it hangs for ever."""
    app = Starlette()
    app.add_middleware(GuardMiddleware, guard=Path("none.yaml"), routes=["/chat"])
    with pytest.raises(InputError, match=r"none\.yaml"), TestClient(app):
        raise AssertionError


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"guard": Path("none.yaml")}, "none.yaml: can't be read"),
        ({"guard": None}, "policy: no policy is given"),
        ({"routes": []}, "routes: no path is guarded"),
        ({"routes": "/chat"}, "routes: no path is guarded"),
        ({"routes": ["chat"]}, "routes: 'chat' is no path"),
        ({"routes": ["/chat/<id>"]}, "routes: '/chat/<id>' is no path as Starlette writes it"),
        ({"routes": [None]}, "routes: None is no path"),
        ({"most_bytes": "10MB"}, "most_bytes: is no number of bytes"),
        ({"most_bytes": 0}, "most_bytes: is no number of bytes"),
    ],
)
async def test_an_application_does_not_start_with_a_guard_that_guards_nothing(
    given: dict[str, Any], problem: str
) -> None:
    """One line at its start; nor does it answer where a server starts it all the same."""
    app = Starlette()
    app.add_middleware(GuardMiddleware, **{"guard": marked().guard, "routes": ["/chat"], **given})

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan.startup"}

    sent = Sent()
    with pytest.raises(InputError, match=re.escape(problem)):
        await app({"type": "lifespan"}, receive, sent)
    (message,) = sent.messages
    assert message["type"] == "lifespan.startup.failed"
    assert problem in message["message"]
    assert "\n" not in message["message"]
    with pytest.raises(InputError, match=re.escape(problem)):
        await call(app, path="/other")


def test_a_path_into_json_that_is_none_is_refused() -> None:
    """Where it is written."""
    with pytest.raises(InputError, match="not a path into JSON"):
        Route("/chat", replies=["a..b"])


@pytest.mark.parametrize(
    "body",
    [
        {"message": "abuse"},
        {"messages": [{"role": "user", "content": "abuse"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "abuse"}]}]},
        {"q": ["好", "abuse"]},
    ],
)
async def test_a_single_word_of_the_prompt_is_a_text(body: Any) -> None:
    """Elsewhere it is an identifier, in which personal data alone is looked for: the heads know
    texts, and would find in `stop` or `msg` what is not there."""
    given = marked()
    given.scanner.kinds = lambda text: [("abuse", "x")] if "abuse" in text else []  # type: ignore[method-assign]
    app = guarded(Seen(), given, routes=[Route("/chat", prompts=["q"])])
    assert (await call(app, json.dumps(body).encode())).status == 400
    elsewhere = {"message": "好", "mode": "abuse", "abuse": {"n": ["abuse"]}}
    assert (await call(app, json.dumps(elsewhere).encode())).status == 200
