"""Requests that offer another protocol, as Java's client and `curl --http2` do: HTTP/1 to us."""

from __future__ import annotations

import asyncio

import pytest

from guard.server.settings import Limits
from tests.guard.server.serving import Served, says, standing
from tests.guard.server.test_connections import STREAMED, WHOLE, asked, old
from tests.guard.server.test_faulty_requests import HEALTH, code, dribble
from tests.guard.server.test_gate import raw, request, status

LAST = HEALTH.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
OFFERS = {
    "java": {
        "connection": "Upgrade, HTTP2-Settings",
        "upgrade": "h2c",
        "http2_settings": "AAEAAEAA",
    },
    "websocket": {"connection": "keep-alive, Upgrade", "upgrade": "websocket"},
    "anything": {"connection": "upgrade", "upgrade": "TLS/1.3, x"},
}
H2C = OFFERS["java"]
ENDING = {"connection": "close, upgrade", "upgrade": "h2c"}
CHUNKS = b"5\r\n%s\r\n%x\r\n%s\r\n0\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n" % (
    WHOLE[:5], len(WHOLE) - 5, WHOLE[5:],
)  # fmt: skip


def in_chunks(**headers: str) -> bytes:
    """The head of a request whose body has no length."""
    return request(body=b"", transfer_encoding="chunked", **headers).replace(
        b"content-length: 0\r\n", b""
    )


def statuses(answer: bytes) -> list[int]:
    """Those of all responses on a connection."""
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


async def later(served: Served, head: bytes, rest: bytes) -> bytes:
    """Send the rest when the server has read the head, and asks for the body."""
    host, port = served.base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(head.replace(b"\r\n\r\n", b"\r\nexpect: 100-continue\r\n\r\n"))
    told = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    assert status(told) == 100
    writer.write(rest)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
async def test_a_request_that_offers_another_protocol_is_answered_in_this_one(
    offer: dict[str, str], logged: pytest.LogCaptureFixture
) -> None:
    """Its body counts, whenever it comes; what follows it is another request."""
    head = request(body=b"", **offer, content_length=str(len(WHOLE)))
    async with standing(says("好。")) as stand:
        at_once = await raw(stand.served, head + WHOLE + LAST, until_closed=True)
        afterwards = await later(stand.served, head, WHOLE + LAST)
        assert [call.prompt for call in stand.upstream.calls] == ["你好"] * 2
    for answer in (at_once, afterwards):
        assert statuses(answer) == [200, 200]
        assert "好。" in answer.decode()
        assert answer.endswith(b'{"status":"ok"}')
    assert logged.text == ""


async def test_a_body_in_chunks_may_follow_an_offer() -> None:
    """An offer behind the chunks changes nothing either."""
    head = in_chunks(**H2C)
    async with standing(says("好。")) as stand:
        at_once = await raw(stand.served, head + CHUNKS + LAST, until_closed=True)
        afterwards = await later(stand.served, head, CHUNKS + LAST)
        assert [call.prompt for call in stand.upstream.calls] == ["你好"] * 2
    assert statuses(at_once) == statuses(afterwards) == [200, 200]


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_request_in_the_body_of_another_is_no_request(chunked: bool) -> None:
    """A proxy that passes offers on has let through one, from one caller: it is a body that is no
    JSON, and nobody else's answer."""
    inner = request(body=WHOLE)
    if chunked:
        head, body = in_chunks(**H2C), b"%x\r\n%s\r\n0\r\n\r\n" % (len(inner), inner)
    else:
        head, body = request(body=b"", **H2C, content_length=str(len(inner))), inner
    async with standing(says("好。")) as stand:
        at_once = await raw(stand.served, head + body + LAST, until_closed=True)
        afterwards = await later(stand.served, head, body + LAST)
        assert not stand.upstream.calls
    for answer in (at_once, afterwards):
        assert statuses(answer) == [400, 200]
        assert b'"code":"invalid_json"' in answer
        assert answer.endswith(b'{"status":"ok"}')


async def test_every_request_of_a_connection_may_offer() -> None:
    """With or without a body, each is answered in its order."""
    get = HEALTH.replace(b"\r\n\r\n", b"\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n")
    posts = [request(body=body, **H2C) for body in (WHOLE, STREAMED)]
    async with standing(says("好。")) as stand:
        answer = await raw(stand.served, (get + b"".join(posts)) * 3 + LAST, until_closed=True)
        assert len(stand.upstream.calls) == 6
    assert statuses(answer) == [200] * 10
    kinds = [b"text/event-stream" in part for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert kinds == [False, False, True] * 3 + [False]


async def test_nothing_follows_the_last_request_though_it_offers() -> None:
    """Its caller has said that it is the last; HTTP/1.0 has no other."""
    async with standing(says("好。")) as stand:
        answer = await raw(stand.served, request(body=WHOLE, **ENDING) + HEALTH, until_closed=True)
        head, body = await asked(stand.served, old(request(body=STREAMED, **H2C)) + HEALTH)
    assert statuses(answer) == [200]
    assert "好。" in answer.decode()
    assert b"transfer-encoding" not in head
    assert body.endswith(b"data: [DONE]\n\n")


async def test_a_body_behind_an_offer_may_come_in_drops_but_not_for_ever() -> None:
    """It has the time that any has."""
    head = request(body=b"", **ENDING, content_length=str(len(WHOLE)))
    async with standing(says("好。"), limits=Limits(body_s=20.0)) as stand:
        answer, _ = await dribble(stand.served, head, WHOLE, 0.001)
    endless = request(body=b"", **H2C, content_length="100000")
    async with standing(says("好。"), limits=Limits(body_s=0.5)) as stand:
        refused, _ = await dribble(stand.served, endless, b" " * 100, 0.05)
    assert status(answer) == 200
    assert (status(refused), code(refused)) == (408, "request_timeout")


async def test_whoever_begins_another_request_behind_an_offer_has_to_end_it() -> None:
    """The time for a head holds for that one, too."""
    async with standing(says("好。"), limits=Limits(header_s=0.5)) as stand:
        data = request(body=WHOLE, **H2C) + HEALTH[:20]
        answer = await raw(stand.served, data, until_closed=True)
    assert statuses(answer) == [200]
    assert "好。" in answer.decode()


@pytest.mark.parametrize("target", [b"/healthz", b"http://127.0.0.1/healthz", b"127.0.0.1:80"])
async def test_a_tunnel_is_refused_with_all_that_was_meant_for_it(target: bytes) -> None:
    """Else it would be answered as if it had come by itself."""
    tunnel = b"CONNECT " + target + b" HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
    async with standing(says("好。")) as stand:
        answer = await raw(stand.served, tunnel + request(body=WHOLE), until_closed=True)
        assert not stand.upstream.calls
    assert statuses(answer) == [400]
    assert code(answer) == "invalid_http"
