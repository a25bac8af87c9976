"""Requests that are no good HTTP, or come too slowly: each is refused, and nobody else suffers."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from guard.server.settings import Limits
from tests.guard.server.serving import Served, says, standing
from tests.guard.server.test_gate import BODY, CHAT, raw, request, status
from tests.guard.upstream import Call, chunk, frame

HEAD = b"GET /v1/models HTTP/1.1\r\nhost: 127.0.0.1\r\n"
POST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
)
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
MALFORMED = {
    "another_protocol": b"\x16\x03\x01\x02\x00\x01\x00\x01",
    "bare_lines": b"GET /healthz HTTP/1.1\nhost: 127.0.0.1\n\n",
    "another_version": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a_nul": b"GET /v1/\x00models HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
    "not_ascii": "GET /v1/模型 HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode(),
    "a_split_header": HEAD + b"x-a: b\r\n c\n\r: d\r\n\r\n",
    "two_lengths": POST + b"content-length: 5\r\ncontent-length: 2\r\n\r\n{}",
    "length_and_chunks": POST + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "a_negative_length": POST + b"content-length: -5\r\n\r\n{}",
    "an_endless_length": POST + b"content-length: " + b"9" * 400 + b"\r\n\r\n{}",
    "no_chunk": CHUNKED + b"zz\r\n{}",
    "no_chunk_later": CHUNKED + b"2\r\n{}\r\nzz\r\n",
}


def code(answer: bytes) -> str:
    """The code of a refusal."""
    return str(json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"])


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
async def test_what_is_no_http_is_refused_like_anything_else(
    data: bytes, logged: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """400 in the form of all refusals, once; the connection ends, and the log stays empty."""
    async with standing(says("好。"), limits=Limits(body_s=2.0)) as stand:
        answer = await raw(stand.served, data, until_closed=True)
        assert not stand.upstream.calls
        assert (await stand.served.chat()).status == 200
    assert answer.count(b"HTTP/1.1 ") == 1
    assert (status(answer), code(answer)) == (400, "invalid_http")
    assert b"connection: close" in answer
    assert logged.text + capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("target", "found"),
    [
        (b"/healthz?" + b"a" * 30_000, 200),
        (b"/healthz?" + b"a" * 64_000, 200),
        (b"/healthz?" + b"a" * 70_000, 431),
        (b"/healthz?" + b"a" * 5_000_000, 431),
        (b"/" + b"a" * 70_000, 431),
        (b"/" + b"a/" * 15_000, 404),
        (b"/v1/runs/" + b"%ff%00" * 1000, 404),
        (b"/v1/runs?" + b"dimension=x&" * 5000, 404),
    ],
)
async def test_an_endless_address_is_refused(
    target: bytes, found: int, logged: pytest.LogCaptureFixture
) -> None:
    """Up to the 64 KiB of a head it is read; what it asks beyond that nobody knows."""
    data = b"GET " + target + b" HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n"
    async with standing(says("好。")) as stand:
        answer = await raw(stand.served, data, until_closed=True)
    assert status(answer) == found
    if found == 431:
        assert code(answer) == "headers_too_large"
    assert logged.text == ""


@pytest.mark.parametrize(
    "more",
    [b"x-a: " + b"a" * 70_000 + b"\r\n", b"x-a: b\r\n" * 9000, b"cookie: " + b"a=b; " * 20_000,
     b"connection: upgrade\r\nupgrade: h2c\r\nx-a: " + b"a" * 70_000 + b"\r\n"],
    ids=["one", "many", "unfinished", "offering"],
)  # fmt: skip
async def test_headers_beyond_all_bounds_are_refused(more: bytes) -> None:
    """As one or as many, ended or not."""
    async with standing(says("好。")) as stand:
        answer = await raw(stand.served, HEAD + more + b"\r\n", until_closed=True)
    assert (status(answer), code(answer)) == (431, "headers_too_large")


@pytest.mark.parametrize("hosts", [b"", b"host: localhost\r\nhost: localhost\r\n"])
async def test_a_request_names_one_host(hosts: bytes) -> None:
    """HTTP/1.1 wants it, of a caller with a key too; HTTP/1.0 knows none."""
    async with standing(says("好。"), hosts=None) as stand:
        data = b"GET /healthz HTTP/1.1\r\n" + hosts + b"connection: close\r\n\r\n"
        answer = await raw(stand.served, data, until_closed=True)
        old = await raw(stand.served, b"GET /healthz HTTP/1.0\r\n\r\n", until_closed=True)
    assert (status(answer), code(answer)) == (400, "invalid_host")
    assert status(old) == 200


@pytest.mark.parametrize("length", [b"0" * 5000 + b"2", b"9" * 19, b"00000000000000000002"])
async def test_a_length_with_endless_digits_is_too_large(
    length: bytes, logged: pytest.LogCaptureFixture
) -> None:
    """And no error of ours."""
    data = POST + b"content-length: " + length + b"\r\n\r\n{}"
    async with standing(says("好。")) as stand:
        answer = await raw(stand.served, data)
    assert status(answer) == 413
    assert logged.text == ""


async def test_an_answer_is_not_mixed_with_a_refusal() -> None:
    """What follows a request may be garbage: its answer then ends, and nothing is put into it."""
    asked = asyncio.Event()

    async def script(call: Call) -> None:
        await call.begin()
        await call.piece(frame(chunk({"content": "今天天气很好，适合散步。" * 20})))
        asked.set()
        await call.gone()

    async with standing(script) as stand:
        host, port = stand.served.base.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        body = json.dumps({**BODY, "stream": True}).encode()
        writer.write(request(body=body, connection="keep-alive"))
        await asyncio.wait_for(asked.wait(), 10)
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01")
        rest = await asyncio.wait_for(reader.read(), 10)
        writer.close()
    assert status(head) == 200
    assert b"HTTP/1.1" not in rest


async def test_pipelined_requests_are_answered_in_their_order() -> None:
    """Each with its own answer, streamed or not."""
    bodies = [{**BODY, "stream": number % 2 == 0} for number in range(6)]
    posts = [request(body=json.dumps(body).encode(), connection="keep-alive") for body in bodies]
    async with standing(says("好。")) as stand:
        data = b"".join(posts) + HEALTH.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
        answer = await raw(stand.served, data, until_closed=True)
        assert len(stand.upstream.calls) == 6
    heads = [part for part in answer.split(b"HTTP/1.1 ") if part]
    assert [head[:3] for head in heads] == [b"200"] * 7
    kinds = [b"text/event-stream" in head for head in heads]
    assert kinds == [True, False, True, False, True, False, False]
    assert heads[-1].endswith(b'{"status":"ok"}')


async def dribble(served: Served, head: bytes, body: bytes, pause_s: float) -> tuple[bytes, float]:
    """Send a body byte by byte until there is an answer; gives it, and after how many seconds.

    Then nothing more is sent, and the connection must be closed.
    """
    host, port = served.base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    start = time.monotonic()
    writer.write(head)
    answer = asyncio.ensure_future(reader.readuntil(b"}"))
    for at in range(len(body)):
        writer.write(body[at : at + 1])
        if (await asyncio.wait([answer], timeout=pause_s))[0]:
            break
    found, seconds = await asyncio.wait_for(answer, 10), time.monotonic() - start
    found += await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return found, seconds


async def test_a_body_that_comes_in_drops_is_given_up_and_others_are_served() -> None:
    """Fifty such callers get 408 within their time and lose the connection; a quick one waits for
    none of them."""
    limits = Limits(body_s=1.0)
    async with standing(says("好。"), limits=limits) as stand:
        head = request(content_length="100000")
        slow = [
            asyncio.ensure_future(dribble(stand.served, head, b" " * 100, 0.05)) for _ in range(50)
        ]
        quick = [await stand.served.chat() for _ in range(20)]
        assert not any(one.done() for one in slow)
        answers = await asyncio.gather(*slow)
        assert len(stand.upstream.calls) == 20
    assert [answer.status for answer in quick] == [200] * 20
    for answer, seconds in answers:
        assert (status(answer), code(answer)) == (408, "request_timeout")
        assert b"connection: close" in answer
        assert 0.9 < seconds < 5


@pytest.mark.parametrize(
    "headers", [{}, {"connection": "keep-alive"}, {"connection": "upgrade", "upgrade": "h2c"}]
)
async def test_a_caller_who_goes_on_sending_can_read_the_refusal(headers: dict[str, str]) -> None:
    """Closed at once, the connection would be reset, and the answer lost on the way."""
    async with standing(says("好。")) as stand:
        host, port = stand.served.base.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        wrong = {"content_type": "text/plain", "content_length": "100000000", **headers}
        writer.write(request(**wrong))
        for _ in range(20):
            writer.write(b" " * 1000)
            await asyncio.sleep(0.01)
        answer = await asyncio.wait_for(reader.readuntil(b"}}"), 10)
        writer.close()
    assert (status(answer), code(answer)) == (415, "unsupported_media_type")


async def test_a_body_that_is_only_slow_is_waited_for() -> None:
    """Whoever is done in time is answered."""
    body = json.dumps(BODY).encode()
    async with standing(says("好。"), limits=Limits(body_s=20.0)) as stand:
        head = request(content_length=str(len(body)))
        answer, _ = await dribble(stand.served, head, body, 0.001)
    assert status(answer) == 200
    assert stand.upstream.calls[0].path == CHAT
