"""Connections of callers and balancers: how long they are kept, and what knows no chunks gets."""

from __future__ import annotations

import asyncio

import pytest

from guard.server.run import uvicorn_config
from guard.server.settings import Limits
from tests.contracts.guard_marks import story
from tests.guard.server.serving import Served, says, standing
from tests.guard.server.test_gate import CHAT, raw, request, status

ASK = b'{"model": "m", "messages": [{"role": "user", "content": "\xe4\xbd\xa0\xe5\xa5\xbd"}]%s}'
STREAMED, WHOLE = ASK % b', "stream": true', ASK % b""


def old(data: bytes, version: str = "1.0") -> bytes:
    """A request as HTTP/1.0 has it, or another."""
    return data.replace(b" HTTP/1.1\r\n", f" HTTP/{version}\r\n".encode(), 1)


async def asked(served: Served, data: bytes) -> tuple[bytes, bytes]:
    """Head and body of a response that is read until its connection is closed."""
    head, _, body = (await raw(served, data, until_closed=True)).partition(b"\r\n\r\n")
    assert status(head) == 200
    return head.lower(), body


@pytest.mark.parametrize("workers", [1, 2])
def test_an_idle_connection_outlives_those_that_balancers_keep(workers: int) -> None:
    """nginx and AWS's balancers keep one for 60 s: a request of theirs never meets our close."""
    assert uvicorn_config("app", Limits(), workers).timeout_keep_alive > 60


async def test_an_idle_connection_takes_another_request_and_ends_with_the_server() -> None:
    """It is open as long as the server is, and doesn't hold up its end."""
    async with standing(says("好。")) as stand:
        host, port = stand.served.base.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        for _ in range(2):
            writer.write(request("/v1/chat/completions", WHOLE, connection="keep-alive"))
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            assert "好。" in (await reader.readexactly(length)).decode()
        assert not reader.at_eof()
        stand.served.server.should_exit = True
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()


@pytest.mark.parametrize("size", [1, 300])
async def test_a_stream_to_http_1_0_ends_with_its_connection(size: int) -> None:
    """No chunks, which it doesn't know: the same bytes as to others, and then the close."""
    text = story(260)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    async with standing(says(*pieces)) as stand:
        new = await stand.served.chat("你好", stream=True)
        head, body = await asked(stand.served, old(request(CHAT, STREAMED)))
        kept = await asked(stand.served, old(request(CHAT, STREAMED, connection="keep-alive")))
    for one in (head, kept[0]):
        assert b"transfer-encoding" not in one
        assert b"content-length" not in one
        assert b"connection: close" in one
    assert body.startswith(b"data: {")
    assert body.endswith(b"data: [DONE]\n\n")
    assert new.body.count(b"data: ") == body.count(b"data: ") == kept[1].count(b"data: ")


@pytest.mark.parametrize("version", ["0.9", "2.0"])
async def test_a_stream_to_no_known_version_ends_with_its_connection(version: str) -> None:
    """Chunks are HTTP/1.1's alone."""
    async with standing(says("好。")) as stand:
        for connection in ("close", "keep-alive"):
            ask = old(request(CHAT, STREAMED, connection=connection), version)
            head, body = await asked(stand.served, ask)
            assert b"transfer-encoding" not in head
            assert body.endswith(b"data: [DONE]\n\n")


async def test_a_whole_answer_to_http_1_0_has_its_length() -> None:
    """As to others; and an error too."""
    async with standing(says("好。")) as stand:
        head, body = await asked(stand.served, old(request(CHAT, WHOLE)))
        refused = await raw(stand.served, old(request(CHAT, b"{")), until_closed=True)
    assert b"content-length: %d\r\n" % len(body) in head
    assert b"transfer-encoding" not in head
    assert status(refused) == 400
    assert b"transfer-encoding" not in refused.lower()


async def test_a_stream_to_http_1_1_is_still_chunked() -> None:
    """Its connection may be used again."""
    async with standing(says("好。")) as stand:
        head, body = await asked(stand.served, request(CHAT, STREAMED))
    assert b"transfer-encoding: chunked" in head
    assert body.endswith(b"0\r\n\r\n")
