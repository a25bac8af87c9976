"""Many callers at once, and slow ones: each gets an answer of their own, and memory is bounded."""

from __future__ import annotations

import asyncio
import json
import random
import signal
from pathlib import Path

import aiohttp
import pytest

from guard.server import run
from guard.server.settings import Limits
from tests.benchmarks.guard_load import rss_mib
from tests.contracts.guard_marks import story
from tests.guard.server.records import until
from tests.guard.server.serving import says, standing
from tests.guard.server.test_serve_command import POLICY, running
from tests.guard.upstream import Call, Upstream, chunk, completion, cut, frame, streamed

CHAT = "/v1/chat/completions"


async def test_a_reader_who_reads_nothing_is_let_go() -> None:
    """The model is not kept waiting for ever, and what is buffered is bounded."""
    left, sent = asyncio.Event(), 0
    piece = frame(chunk({"content": "好" * 20_000}))

    async def script(call: Call) -> None:
        nonlocal sent
        await call.begin()
        try:
            while True:
                await call.piece(piece)
                sent += len(piece)
        except ConnectionError:
            left.set()
            raise

    limits = Limits(stall_s=0.3, answer_bytes=2**30)
    stream = {"window": 20_000, "overlap": 0}
    async with standing(script, limits=limits, policy={"stream": stream}) as stand:
        host, port = stand.served.base.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port), limit=1)
        body = {"model": "m", "messages": [{"role": "user", "content": "你好"}], "stream": True}
        data = json.dumps(body).encode()
        head = f"POST {CHAT} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        writer.write(head.encode() + b"content-length: %d\r\n\r\n" % len(data) + data)
        await asyncio.wait_for(left.wait(), 20)
        writer.close()
        (event,) = stand.marked.events.of("output")
    assert event.status == "allowed"
    assert sent < 60 * 2**20


async def test_callers_with_different_fates_do_not_touch_one_another() -> None:
    """Some leave, some are blocked, some break off: the rest get all of theirs."""
    texts = {f"问{n}": story(300, seed=n) for n in range(40)}

    async def script(call: Call) -> None:
        number = int(call.prompt.removeprefix("问"))
        data = streamed(*texts[call.prompt], usage=True)
        if number % 4 == 1:
            await call.begin()
            await call.piece(data[: len(data) // 2])
            await call.cut()
        else:
            await call.events(cut(data, 200))

    async with standing(script) as stand:
        url = stand.served.base + CHAT

        async def one(number: int) -> str:
            body = {"model": "m", "messages": [{"role": "user", "content": f"问{number}"}]}
            async with stand.served.client.post(url, json={**body, "stream": True}) as response:
                if number % 4 == 2:
                    await response.content.readany()
                    response.close()
                    return ""
                lines = [line async for line in response.content if line.startswith(b"data: {")]
            frames = [json.loads(line[6:]) for line in lines]
            deltas = [c["delta"] for f in frames for c in f.get("choices", ())]
            return "".join(delta.get("content", "") for delta in deltas)

        said = await asyncio.gather(*map(one, range(40)))
    for number, text in enumerate(said):
        if number % 4 in {0, 3}:
            assert text == texts[f"问{number}"]
        elif number % 4 == 1:
            assert texts[f"问{number}"].startswith(text)


def handles(pid: int) -> int:
    """Files and connections that a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@pytest.mark.slow
async def test_a_thousand_slow_callers_fit_into_memory(tmp_path: Path) -> None:
    """Half send their questions byte by byte, half read their answers so; others are served on."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY, encoding="utf-8")
    text = story(6_000)

    async def script(call: Call) -> None:
        if call.json.get("stream"):
            await call.events(cut(streamed(*cut_text(text, 200)), 4000))
        else:
            await call.answer(completion("好。"))

    async with Upstream(script) as upstream, running(upstream.url, policy) as server:
        await server.chat()
        before = rss_mib(server.pid)
        host, port = server.base.removeprefix("http://").removesuffix("/v1").split(":")
        run.allow_files()
        callers = [await asyncio.open_connection(host, int(port), limit=1) for _ in range(1000)]
        body = {"model": "m", "messages": [{"role": "user", "content": "你好"}], "stream": True}
        data = json.dumps(body).encode()
        for number, (_, writer) in enumerate(callers):
            size = len(data) if number % 2 else 10_000_000
            head = f"POST {CHAT} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
            writer.write(head.encode() + b"content-length: %d\r\n\r\n" % size)
            writer.write(data if number % 2 else b" " * 1000)
        async with asyncio.timeout(120):
            await until(lambda: handles(server.pid) > 1000)
            statuses = [(await server.chat())[0] for _ in range(20)]
        grown = rss_mib(server.pid) - before
        for _, writer in callers:
            writer.transport.abort()
    assert statuses == [200] * 20
    assert grown < 400


def cut_text(text: str, size: int) -> list[str]:
    """A text in pieces."""
    return [text[at : at + size] for at in range(0, len(text), size)]


@pytest.mark.slow
async def test_every_request_is_answered_while_the_server_ends_under_load(tmp_path: Path) -> None:
    """Thirty callers in a loop: none of those who were connected is left without an answer."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY, encoding="utf-8")
    rng, outcomes = random.Random(7), []

    async def script(call: Call) -> None:
        await asyncio.sleep(rng.random() / 20)
        await says("今天晴。" * 30)(call)

    async with Upstream(script) as upstream, running(upstream.url, policy) as server:
        started = asyncio.Semaphore(0)

        async def caller() -> None:
            while True:
                started.release()
                try:
                    outcomes.append((await server.chat(stream=rng.random() < 0.5))[0])
                except aiohttp.ClientConnectorError:
                    return  # nobody listens any more
                except aiohttp.ServerDisconnectedError:
                    outcomes.append(0)  # a kept connection that was closed while it idled
                    return

        callers = [asyncio.ensure_future(caller()) for _ in range(30)]
        for _ in range(200):
            await started.acquire()
        server.process.send_signal(signal.SIGTERM)
        await asyncio.gather(*callers)
        assert await server.ended() == 0
    assert outcomes.count(200) >= 150
    assert set(outcomes) <= {200, 0}
