"""Who may ask, what may be asked for, and how large or slow it may be."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from guard.server.keys.file import add_key, revoke_key
from guard.server.settings import Limits
from tests.contracts.guard_marks import ADVERT
from tests.guard.server.serving import Served, says, standing
from tests.guard.upstream import Call

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BODY = {"model": "m", "messages": [{"role": "user", "content": "你好"}]}
CHAT = "/v1/chat/completions"


async def raw(served: Served, data: bytes, *, until_closed: bool = False) -> bytes:
    """Send bytes on a connection of their own; gives what comes back."""
    host, port = served.base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    await writer.drain()
    if until_closed:
        answer = await asyncio.wait_for(reader.read(), 10)
    else:
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    writer.close()
    return answer


def request(path: str = CHAT, body: bytes = b"", **headers: str) -> bytes:
    """An HTTP request as bytes."""
    given = {
        "host": "127.0.0.1",
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = [f"POST {path} HTTP/1.1", *(f"{k}: {v}" for k, v in given.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def status(answer: bytes) -> int:
    """The status of a raw response."""
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize(
    "path",
    ["/", "/v1/completions", "/v1/responses", "/v1/embeddings", "/v1/chat/completions/",
     "/V1/chat/completions", "//v1/chat/completions", "/v1/chat", "/chat/completions",
     "/v1/models/m", "/v1/../v1/chat/completions", "/docs"],
)  # fmt: skip
async def test_what_is_not_served_is_not_found(path: str) -> None:
    """Everything else that an upstream may have is out of reach."""
    async with standing(says("好。")) as stand:
        body = json.dumps(BODY).encode()
        answer = await raw(stand.served, request(path, body), until_closed=True)
        assert not stand.upstream.calls
    assert status(answer) == 404
    assert b'"code":"not_found"' in answer
    assert b"GET /openapi.json lists the routes" in answer


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", CHAT), ("PUT", CHAT), ("POST", "/v1/models"), ("OPTIONS", CHAT), ("POST", "/healthz")],
)
async def test_another_method_is_not_allowed(method: str, path: str) -> None:
    """405, with the methods that there are."""
    async with (
        standing(says("好。")) as stand,
        stand.served.client.request(method, stand.served.base + path) as response,
    ):
        assert response.status == 405
        assert response.headers["allow"] in {"POST", "GET, HEAD"}
        assert (await response.json())["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "evil.example:8000", "[::1"]
)
async def test_a_rebound_name_is_refused(host: str) -> None:
    """A web page elsewhere can't reach the server by a name that it made point here."""
    async with standing(says("好。")) as stand:
        answer = await raw(stand.served, request(body=b"{}", host=host), until_closed=True)
        assert not stand.upstream.calls
    assert status(answer) == 421


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost", "LOCALHOST:8000", "[::1]:8000"])
async def test_loopback_names_are_served(host: str) -> None:
    """With any port, since tunnels have their own."""
    async with standing(says("好。")) as stand:
        body = json.dumps(BODY).encode()
        answer = await raw(stand.served, request(body=body, host=host), until_closed=True)
    assert status(answer) == 200


async def test_two_hosts_are_none() -> None:
    """Whoever sends two wants two readers to differ."""
    data = request(body=b"{}").replace(b"host: ", b"host: localhost\r\nhost: ", 1)
    async with standing(says("好。")) as stand:
        assert status(await raw(stand.served, data, until_closed=True)) in {400, 421}


async def test_the_route_is_the_path_s_alone() -> None:
    """Neither an absolute target, nor a query, nor headers name another one."""
    body = json.dumps({**BODY, "messages": [{"role": "user", "content": ADVERT}]}).encode()
    async with standing(says("好。")) as stand:
        for path in (f"http://127.0.0.1{CHAT}", f"{CHAT}?path=/healthz", "/v1/chat%2Fcompletions"):
            answer = await raw(
                stand.served,
                request(path, body, x_original_url="/healthz", x_forwarded_prefix="/healthz"),
                until_closed=True,
            )
            assert status(answer) in {400, 404}
        assert not stand.upstream.calls


@pytest.mark.parametrize(
    ("headers", "body", "told"),
    [
        ({"content_encoding": "gzip"}, b"{}", (415, "unsupported_content_encoding")),
        ({"content_encoding": "identity, br"}, b"{}", (415, "unsupported_content_encoding")),
        ({"content_type": "text/plain"}, b"{}", (415, "unsupported_media_type")),
        ({"content_type": "application/json; charset=gbk"}, b"{}", (415, "unsupported_media_type")),
        ({}, b'{"messages": [], "messages": []}', (400, "invalid_json")),
        ({}, b"{} {}", (400, "invalid_json")),
        ({}, b"\xff", (400, "invalid_json")),
        ({}, b"", (400, "invalid_json")),
        ({}, b"[]", (400, "invalid_json")),
        ({}, b"{}", (400, "invalid_request")),
    ],
)
async def test_a_body_that_two_readers_could_read_differently_is_refused(
    headers: dict[str, str], body: bytes, told: tuple[int, str]
) -> None:
    """What is judged is what the model sees."""
    async with standing(says("好。")) as stand:
        answer = await stand.served.post(CHAT, body, **headers)
        assert not stand.upstream.calls
    assert (answer.status, answer.code) == told


async def test_a_large_body_is_refused_before_it_is_read() -> None:
    """By its own word; and when it comes in chunks, once it is too large."""
    limits = Limits(body_bytes=1000)
    async with standing(says("好。"), limits=limits) as stand:
        told = await raw(stand.served, request(content_length="1001"))
        chunks = b"".join(b"3e8\r\n%s\r\n" % (b" " * 1000) for _ in range(3))
        head = request().replace(b"content-length: 0", b"transfer-encoding: chunked")
        counted = await raw(stand.served, head + chunks)
        fits = await stand.served.post(CHAT, json.dumps(BODY).encode().ljust(1000))
    assert (status(told), status(counted), fits.status) == (413, 413, 200)


async def test_bodies_share_the_memory_that_there_is() -> None:
    """While others fill it a further one is turned away, and told when to come again."""
    held = asyncio.Event()

    async def script(call: Call) -> None:
        held.set()
        await call.gone()

    limits = Limits(body_bytes=1000, held_bytes=1500)
    async with standing(script, limits=limits) as stand:
        body = json.dumps(BODY).encode().ljust(1000)
        first = asyncio.ensure_future(stand.served.post(CHAT, body))
        await asyncio.wait_for(held.wait(), 5)
        second = await stand.served.post(CHAT, body)
        first.cancel()
    assert (second.status, second.code, second.headers["retry-after"]) == (503, "overloaded", "1")


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    """408 in time, and the connection is closed."""
    async with standing(says("好。"), limits=Limits(body_s=0.1)) as stand:
        answer = await raw(stand.served, request(content_length="100"), until_closed=True)
    assert status(answer) == 408
    assert b"connection: close" in answer


@pytest.mark.parametrize(
    "start", [b"", b"POST /v1/ch", b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx-a: ", b"\r\n"]
)
async def test_headers_that_do_not_come_are_not_waited_for(start: bytes) -> None:
    """A connection that asks nothing is closed."""
    async with standing(says("好。"), limits=Limits(header_s=0.1)) as stand:
        assert await raw(stand.served, start, until_closed=True) == b""


async def test_a_second_request_is_held_to_the_same_time() -> None:
    """A kept connection gets no more patience than a new one."""
    first = b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
    async with standing(says("好。"), limits=Limits(header_s=0.2)) as stand:
        answer = await raw(stand.served, first + b"GET /heal", until_closed=True)
    assert answer.count(b"HTTP/1.1") == 1
    assert status(answer) == 200


async def test_headers_without_end_are_cut_off() -> None:
    """431, before they fill the memory."""
    head = b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n"
    more = b"".join(b"x-%d: %s\r\n" % (n, b"a" * 1000) for n in range(400))
    async with standing(says("好。")) as stand:
        assert status(await raw(stand.served, head + more, until_closed=True)) == 431


async def test_a_body_is_not_read_on_for_ever_after_the_answer() -> None:
    """A caller who has been refused can't go on sending."""
    async with standing(says("好。"), limits=Limits(header_s=0.2, body_bytes=10)) as stand:
        answer = await raw(stand.served, request(content_length="999999") + b" ", until_closed=True)
    assert status(answer) == 413


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Where the keys are."""
    return tmp_path / "keys.json"


async def test_with_keys_only_their_holders_are_served(keys: Path) -> None:
    """As a bearer's, or as litellm sends it; and the key goes no further."""
    key = add_key(keys, "ann", None, NOW)
    async with standing(says("好。"), keys=keys) as stand:
        for headers, code in (
            ({}, 401),
            ({"authorization": "Bearer fj-wrong"}, 401),
            ({"authorization": f"Basic {key}"}, 401),
            ({"authorization": f"Bearer {key}x"}, 401),
            ({"authorization": f"Bearer {key}"}, 200),
            ({"x_api_key": key}, 200),
        ):
            answer = await stand.served.post(CHAT, BODY, **headers)
            assert answer.status == code, headers
            if code == 401:
                assert answer.code == "invalid_api_key"
                assert answer.headers["www-authenticate"] == "Bearer"
        for path in ("/v1/models", "/metrics", "/nowhere"):
            assert (await stand.served.get(path)).status == 401
        for path in ("/healthz", "/readyz"):
            assert (await stand.served.get(path)).status == 200
        assert not any("authorization" in call.headers for call in stand.upstream.calls)
        assert not any(key in str(call.headers) for call in stand.upstream.calls)


async def test_who_signs_twice_is_refused_wherever_it_is_read(keys: Path) -> None:
    """One reader would take the first of two headers and another the last."""
    key = add_key(keys, "ann", None, NOW)
    for given in (keys, None):
        async with standing(says("好。"), keys=given) as stand:
            for path in (CHAT, "/v1/models"):
                signed = [("Authorization", "Bearer fj-wrong"), ("Authorization", f"Bearer {key}")]
                method = "POST" if path == CHAT else "GET"
                url, client = stand.served.base + path, stand.served.client
                body = BODY if path == CHAT else None
                async with client.request(method, url, json=body, headers=signed) as response:
                    assert response.status == 400
                    assert (await response.json())["error"]["code"] == "invalid_authorization"
            assert not stand.upstream.calls


async def test_a_key_that_is_taken_back_is_refused_at_once(keys: Path) -> None:
    """The server need not be started again; and so with a new one."""
    first = add_key(keys, "ann", None, NOW)
    async with standing(says("好。"), keys=keys) as stand:

        async def asks(key: str) -> int:
            return (await stand.served.post(CHAT, BODY, authorization=f"Bearer {key}")).status

        assert await asks(first) == 200
        second = add_key(keys, "bob", None, NOW)
        assert (await asks(first), await asks(second)) == (200, 200)
        revoke_key(keys, "ann")
        assert (await asks(first), await asks(second)) == (401, 200)
        await asyncio.to_thread(keys.write_text, "{")
        assert await asks(second) == 401
        await asyncio.to_thread(keys.unlink)
        assert await asks(second) == 401


async def test_a_key_has_its_requests_a_minute(keys: Path) -> None:
    """429 with the time to wait; other callers are not touched."""
    ann, bob = add_key(keys, "ann", 3, NOW), add_key(keys, "bob", None, NOW)
    async with standing(says("好。"), keys=keys) as stand:
        asked = [
            await stand.served.post(CHAT, BODY, authorization=f"Bearer {ann}") for _ in range(5)
        ]
        other = await stand.served.post(CHAT, BODY, authorization=f"Bearer {bob}")
    assert [answer.status for answer in asked] == [200, 200, 200, 429, 429]
    assert asked[-1].code == "rate_limit_exceeded"
    assert 1 <= int(asked[-1].headers["retry-after"]) <= 121
    assert other.status == 200


async def test_health_says_what_is_ready() -> None:
    """The upstream's state is told, and does not make the server unready."""
    async with standing(says("好。")) as stand:
        alive, ready = await stand.served.get("/healthz"), await stand.served.get("/readyz")
    assert (alive.status, alive.json) == (200, {"status": "ok"})
    assert ready.status == 200
    assert ready.json == {"status": "ready", "upstream": "reachable", "judge": "ready"}
    async with standing(says("好。"), base="http://127.0.0.1:1/v1") as stand:
        assert (await stand.served.get("/readyz")).json["upstream"] == "unreachable"


async def test_metrics_count_requests_by_route_and_never_by_what_callers_write() -> None:
    """A caller can't make labels."""
    async with standing(says("好。")) as stand:
        await stand.served.chat()
        await stand.served.chat(ADVERT)
        await stand.served.get("/no/such/secret")
        page = (await stand.served.get("/metrics")).body.decode()
    assert 'flames_http_requests_total{route="/v1/chat/completions",status="200"} 1.0' in page
    assert 'flames_http_requests_total{route="/v1/chat/completions",status="400"} 1.0' in page
    assert 'flames_http_requests_total{route="other",status="404"} 1.0' in page
    assert "secret" not in page


async def test_the_list_of_models_is_written_anew() -> None:
    """Names pass, sentences and personal data don't."""

    async def script(call: Call) -> None:
        models = [
            {"id": "gpt-x", "object": "model", "created": 5, "owned_by": "me", "secret": ADVERT},
            {"id": "@cf/meta/llama", "owned_by": None},
            {"id": "a sentence of text"},
            {"id": "tel:13800138000"},
            {"id": "a", "created": 13800138000, "owned_by": "me@mail.zhaoyun.cn"},
            {"name": "no id"},
        ]
        await call.answer({"object": "list", "data": models, "more": ADVERT})

    async with standing(script) as stand:
        answer = await stand.served.get("/v1/models")
    assert answer.json == {
        "object": "list",
        "data": [
            {"id": "gpt-x", "object": "model", "created": 5, "owned_by": "me"},
            {"id": "@cf/meta/llama", "object": "model", "created": 0, "owned_by": ""},
            {"id": "a", "object": "model", "created": 0, "owned_by": ""},
        ],
    }


async def test_a_server_without_a_model_has_an_empty_list() -> None:
    """Ollama writes null for it; what has no list at all can't be read."""
    for said, status in (({"object": "list", "data": None}, 200), ({"object": "list"}, 502)):

        async def script(call: Call, said: object = said) -> None:
            await call.answer(said)

        async with standing(script) as stand:
            answer = await stand.served.get("/v1/models")
        assert answer.status == status
        if status == 200:
            assert answer.json == {"object": "list", "data": []}
