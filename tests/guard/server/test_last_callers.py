"""Who is connected when a server is told to end: each is answered, and told to leave."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import uvloop

from tests.guard.server.serving import says, standing
from tests.guard.server.test_connections import STREAMED, WHOLE
from tests.guard.server.test_gate import CHAT, request, status
from tests.guard.server.test_serve_command import POLICY, Running, running, workers_of
from tests.guard.upstream import DONE, Call, Upstream, chunk, frame

ASKED = request(CHAT, WHOLE, connection="keep-alive")


@asynccontextmanager
async def connected(base: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection of a caller's own."""
    host, port = base.removeprefix("http://").removesuffix("/v1").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()


@asynccontextmanager
async def halted(processes: Sequence[int]) -> AsyncIterator[None]:
    """They stand still for as long as the `async with` lasts."""
    try:
        for one in processes:
            os.kill(one, signal.SIGSTOP)
            while "State:\tT" not in await told(one):
                pass
        yield
    finally:
        for one in processes:
            os.kill(one, signal.SIGCONT)


async def told_to_end(server: Running, processes: Sequence[int]) -> None:
    """End a server, and wait until its halted processes are to be told so."""
    server.process.send_signal(signal.SIGTERM)
    pending = 1 << (signal.SIGTERM - 1)
    for one in processes:
        while not int((await told(one)).split("ShdPnd:")[1].split()[0], 16) & pending:
            pass


async def told(process: int) -> str:
    """What the system tells of a process."""
    return await asyncio.to_thread(Path(f"/proc/{process}/status").read_text)


def test_who_waits_to_be_accepted_is_answered() -> None:
    """The system has taken forty connections and their requests; the server has seen none."""

    async def ended() -> list[int]:
        async with standing(says("好。")) as stand:
            host, port = stand.served.base.removeprefix("http://").split(":")
            callers = [socket.create_connection((host, int(port))) for _ in range(40)]
            for caller in callers:
                caller.sendall(ASKED)
            ending = asyncio.ensure_future(stand.served.server.shutdown())
            answers = [await _answer(caller) for caller in callers]
            await ending
        return [status(answer) for answer in answers]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # the server's own loop
        assert runner.run(ended()) == [200] * 40


async def _answer(caller: socket.socket) -> bytes:
    reader, writer = await asyncio.open_connection(sock=caller)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert b"connection: close" in answer.lower()
    return answer


async def test_who_waits_for_a_worker_is_answered(tmp_path: Path) -> None:
    """The parent lets go first, so that the worker that closes last has taken all."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY, encoding="utf-8")
    async with (
        Upstream(says("好。")) as upstream,
        running(upstream.url, policy, "--workers", "2") as server,
        AsyncExitStack() as stack,
    ):
        assert (await server.chat())[0] == 200
        processes = workers_of(server)
        async with halted(processes):
            callers = [await stack.enter_async_context(connected(server.base)) for _ in range(40)]
            for _, writer in callers:
                writer.write(ASKED)
                await writer.drain()
            await told_to_end(server, processes)
        answers = [await asyncio.wait_for(reader.read(), 30) for reader, _ in callers]
        assert await server.ended() == 0
    assert [status(answer) for answer in answers] == [200] * 40


async def test_a_kept_connection_of_a_stream_takes_one_more_request() -> None:
    """Its head could not yet say that it would be closed, so its caller may well use it again."""
    go_on = asyncio.Event()

    async def script(call: Call) -> None:
        if not call.json.get("stream"):
            await says("再见。")(call)
            return
        await call.begin()
        await call.piece(frame(chunk({"content": "今天。" * 100})))
        await go_on.wait()
        await call.piece(frame(chunk({}, finish="stop")) + DONE)
        await call.end()

    async with standing(script) as stand, connected(stand.served.base) as (reader, writer):
        writer.write(request(CHAT, STREAMED, connection="keep-alive"))
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        stand.served.server.should_exit = True
        with suppress(ConnectionError):
            while True:
                async with connected(stand.served.base):
                    pass
        go_on.set()
        await asyncio.wait_for(reader.readuntil(b"[DONE]\n\n\r\n0\r\n\r\n"), 10)
        writer.write(ASKED)
        answer = await asyncio.wait_for(reader.read(), 10)
    assert b"connection: close" not in head.lower()
    assert status(answer) == 200
    assert b"connection: close" in answer.lower()
    assert "再见。" in answer.decode()
