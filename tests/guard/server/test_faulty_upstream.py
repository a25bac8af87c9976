"""A model's server that dies, hangs or sends nonsense: an error for its caller, and no more."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp.base_protocol import BaseProtocol

from guard.openai_api import ApiError
from guard.server.settings import Limits
from guard.server.upstream.connection import pieces, read_out
from tests.contracts.guard_marks import BAD, story
from tests.guard.server.records import until
from tests.guard.server.serving import Answer, says, standing
from tests.guard.upstream import JSON, SSE, Call, chunk, completion, frame, streamed

HELD = story(60) + BAD  # the end of it is never to be seen
OK = b"HTTP/1.1 200 OK\r\n"
PLAIN = json.dumps(completion(HELD), ensure_ascii=False).encode()
FAST = Limits(grace_s=1.0, usage_s=0.3, upstream_s=0.4, answer_bytes=2 * 2**20)
Fault = Callable[[Call], Awaitable[None]]


def raw(data: bytes) -> Fault:
    """Writes bytes as they are, and hangs up."""

    async def fault(call: Call) -> None:
        await call.raw(data)
        await call.cut()

    return fault


async def _reset(call: Call) -> None:
    """The connection is torn down, as by a process that is killed."""
    now = struct.pack("ii", 1, 0)
    call.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
    await call.cut()


async def _hangs(call: Call) -> None:
    await call.gone()


async def _hangs_after_its_head(call: Call) -> None:
    await call.begin(SSE if call.json.get("stream") else JSON)
    await call.gone()


async def _sends_drops_for_ever(call: Call) -> None:
    """A head that never ends, though something comes all the time."""
    await call.raw(OK)
    while True:
        await call.raw(b"x-a: b\r\n")
        await asyncio.sleep(0.01)


async def _redirects(call: Call) -> None:
    await call.answer(b"", 307, {"location": "/v1/elsewhere"})


async def _compresses(call: Call) -> None:
    await call.answer(gzip.compress(PLAIN), 200, {"content-encoding": "gzip"})


UNREACHABLE, UNREADABLE = "upstream_unreachable", "upstream_unreadable"
INTERRUPTED, LATE = "upstream_interrupted", "upstream_timeout"
BEFORE: dict[str, tuple[Fault, set[str]]] = {
    "hangs_up": (raw(b""), {UNREACHABLE, INTERRUPTED}),
    "resets": (_reset, {UNREACHABLE, INTERRUPTED}),
    "no_http": (raw(b"\x16\x03\x01\x02\x00\x01\x00\x01" * 40), {UNREADABLE}),
    "half_a_head": (raw(OK + b"content-type: text/ev"), {UNREACHABLE, INTERRUPTED, UNREADABLE}),
    "a_giant_head": (raw(OK + b"x-a: " + b"a" * 100_000 + b"\r\n\r\n"), {UNREADABLE}),
    "a_bad_length": (raw(OK + b"content-length: many\r\n\r\n"), {UNREADABLE}),
    "hangs": (_hangs, {LATE}),
    "hangs_after_its_head": (_hangs_after_its_head, {LATE}),
    "drops": (_sends_drops_for_ever, {LATE, UNREADABLE}),
    "redirects": (_redirects, {UNREADABLE}),
    "compresses": (_compresses, {UNREADABLE}),
    "switches": (raw(b"HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n"), {UNREADABLE, UNREACHABLE}),
    "no_content": (raw(b"HTTP/1.1 204 No\r\n\r\n"), {UNREADABLE}),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", BEFORE)
async def test_a_fault_before_an_answer_is_told_as_an_error(fault: str, *, stream: bool) -> None:
    """502 or 504, nothing of what was sent, and the next caller is served."""
    faulty = True

    async def script(call: Call) -> None:
        await (BEFORE[fault][0] if faulty else says("好。"))(call)

    async with standing(script, limits=FAST) as stand:
        answer = await asyncio.wait_for(stand.served.chat(stream=stream), 10)
        faulty = False
        assert (await stand.served.chat(stream=stream)).text == "好。"
        questions = stand.marked.events.of("input")
    assert error_of(answer) in BEFORE[fault][1]
    begun = stream and fault in {"compresses", "hangs_after_its_head"}  # its head shows nothing
    assert answer.status == (200 if begun else 504 if error_of(answer) == LATE else 502)
    assert BAD.encode() not in answer.body
    assert len(questions) == 2


async def _endless_line(call: Call) -> None:
    """Ten megabytes without a line's end."""
    for _ in range(160):
        await call.piece(b"data: " + b"a" * 65_536)
    await call.end()


async def _endless_event(call: Call) -> None:
    """Ten megabytes of one event in lines."""
    for _ in range(10_000):
        await call.piece(b"data: " + b"a" * 1000 + b"\n")
    await call.end()


async def _endless_text(call: Call) -> None:
    """Ten megabytes in one event that is JSON as it should be."""
    await call.piece(frame(chunk({"content": "好" * 3_500_000})))
    await call.end()


async def _endless_stream(call: Call) -> None:
    """Small events without end."""
    while True:
        await call.piece(frame(chunk({"role": "assistant"})) * 1000)


def sends(data: bytes) -> Fault:
    """Goes on with bytes, and ends."""

    async def fault(call: Call) -> None:
        await call.piece(data)
        await call.end()

    return fault


def breaks(data: bytes) -> Fault:
    """Goes on with bytes outside of the protocol, and hangs up."""

    async def fault(call: Call) -> None:
        await call.raw(data)
        await call.cut()

    return fault


MIDWAY: dict[str, tuple[Fault, set[str]]] = {
    "dies": (Call.cut, {INTERRUPTED}),
    "resets": (_reset, {INTERRUPTED}),
    "hangs": (_hangs, {LATE}),
    "ends_without_a_finish": (Call.end, {INTERRUPTED}),
    "dies_in_a_piece": (breaks(b"ffff\r\ndata: {"), {INTERRUPTED}),
    "no_chunk_s_size": (breaks(b"zz\r\n"), {INTERRUPTED, UNREADABLE}),
    "another_answer": (breaks(OK + b"content-length: 2\r\n\r\n{}"), {INTERRUPTED, UNREADABLE}),
    "html": (sends(b"data: <html>502 Bad Gateway</html>\n\n"), {UNREADABLE}),
    "not_utf8": (sends(b"data: \xff\xfe\n\n"), {UNREADABLE}),
    "a_list": (sends(b"data: []\n\n"), {UNREADABLE}),
    "an_endless_line": (_endless_line, {UNREADABLE}),
    "an_endless_event": (_endless_event, {UNREADABLE}),
    "an_endless_text": (_endless_text, {UNREADABLE}),
    "an_endless_stream": (_endless_stream, {UNREADABLE}),
}


@pytest.mark.parametrize("mode", ["window", "async"])
@pytest.mark.parametrize("fault", MIDWAY)
async def test_a_fault_in_a_stream_is_an_error_in_it(fault: str, mode: str) -> None:
    """The stream says so and ends; what was held stays inside; what was decided is recorded."""
    faulty, text = True, story(300)

    async def script(call: Call) -> None:
        if not faulty:
            await says("好。")(call)
            return
        await call.begin()
        await call.piece(frame(chunk({"content": text})))
        await until(lambda: any(text[:9] in seen for seen in stand.marked.scanner.seen))
        await MIDWAY[fault][0](call)

    stream = {"mode": mode, "window": 80, "overlap": 40}
    async with standing(script, limits=FAST, policy={"stream": stream}) as stand:
        answer = await asyncio.wait_for(stand.served.chat(stream=True), 20)
        faulty = False
        assert (await stand.served.chat(stream=True)).text == "好。"
        first, _ = stand.marked.events.of("output")
    assert answer.status == 200
    assert error_of(answer) in MIDWAY[fault][1]
    assert answer.events[-1] == "[DONE]"
    assert text.startswith(answer.text)
    assert (len(answer.text) < len(text)) == (mode == "window")
    assert not any(c["finish_reason"] for f in answer.frames for c in f.get("choices", ()))
    assert (first.streamed, first.status) == (True, "allowed")


def error_of(answer: Answer) -> str:
    """The code of an error, in a frame or in the body."""
    found = answer.frames[-1] if answer.events else answer.json
    return str(found["error"]["code"])


async def test_pieces_of_a_stream_that_is_given_up_are_not_kept_in_memory() -> None:
    """An upstream that goes on after its stream was refused is hung up on."""
    sent, gone = 0, asyncio.Event()

    async def script(call: Call) -> None:
        nonlocal sent
        await call.begin(SSE)
        try:
            while True:
                await call.piece(b"data: " + b"a" * 65_536)
                sent += 65_536
        except ConnectionError:
            gone.set()
            raise

    async with standing(script, limits=FAST) as stand:
        answer = await stand.served.chat(stream=True)
        await asyncio.wait_for(gone.wait(), 10)
    assert error_of(answer) == UNREADABLE
    assert sent < 12 * 2**20


async def test_a_stream_that_is_whole_passes_beside_all_these() -> None:
    """The measure of the others: the same limits and the same text."""
    text = story(300)

    async def script(call: Call) -> None:
        await call.events([streamed(*text)])

    async with standing(script, limits=FAST) as stand:
        assert (await stand.served.chat(stream=True)).text == text


async def test_a_connection_that_goes_while_nobody_waits_has_broken_off() -> None:
    """As where the guard was still looking at what came before; aiohttp has no error for it."""
    loop = asyncio.get_running_loop()
    reader = aiohttp.StreamReader(BaseProtocol(loop), 2**16, loop=loop)
    response: Any = SimpleNamespace(headers={}, content=reader, connection=None)
    with pytest.raises(ApiError) as broken:
        await anext(pieces(response, 100))
    assert broken.value.code == INTERRUPTED
    await read_out(response)
