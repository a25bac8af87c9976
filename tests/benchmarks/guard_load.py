"""What `flames-judge serve` adds to a model's server, measured beside the direct way.

    python -m tests.benchmarks.guard_load [--requests N] [--rounds R] [--policy FILE]
        [--litellm PROGRAM] [--serve FLAGS...]

Model, guard and client share this machine. The model answers at once, so that all time is the
way's; questions and answers are ordinary Chinese, another text each time. In every round each way
takes its turn; the figures are medians over the rounds. Processor time is a way's own, and says
more than the rest where the machine is busy. `bare` is a proxy of the same libraries that looks at
nothing, and `serve-` a guard without the views by sound (`sounds: false`). `--requests` are sent
last, in one go, to see whether memory grows. `--litellm` measures litellm's proxy as well, where it
is installed: by itself, and (`litellm+`) with its own content filter on both sides.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import multiprocessing
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import aiohttp

from tests.benchmarks.ordinary import ordinary

CHARACTERS = 500
AT_ONCE = 32
PIECE = 10
NUMBERS = itertools.count()
GUARDED = ("serve", "serve-", "litellm+")
CODE = "import guard.cli; guard.cli.main()"
POLICY = """version: 1
rules:
  - {evidence: pii, side: input, action: block}
  - {evidence: abuse, side: output, action: block}
  - {evidence: gambling, side: output, action: block}
  - {evidence: porn, side: output, action: block}
  - {evidence: fraud, side: output, action: block}
  - {evidence: black_market_ad, side: output, action: block}
  - {evidence: pii, side: output, action: block}
"""
BAD = "首存送彩金，我的邮箱是 someone@example.com，电话是 13812345678"
TEXTS = 256  # no answer comes again before so many others
TOKENS = 1000  # a question's `max_tokens` less this is the number of the text that answers it


def asked(number: int) -> dict[str, Any]:
    """A question, and which text is to answer it."""
    question = ordinary(number * 31, 50)
    tokens = TOKENS + number % TEXTS
    return {"model": "m", "max_tokens": tokens, "messages": [{"role": "user", "content": question}]}


@cache
def text_of(number: int) -> str:
    """What the model answers."""
    return ordinary(number % TEXTS, CHARACTERS)


@cache
def answers(number: int) -> tuple[bytes, bytes]:
    """The model's answer, whole and as a stream, as it goes over the wire."""
    text = text_of(number)
    around = {"id": "chatcmpl-1", "created": 1, "model": "m"}
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 50, "completion_tokens": 300, "total_tokens": 350}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    whole = {**around, "object": "chat.completion", "choices": [choice], "usage": usage}
    body = json.dumps(whole, ensure_ascii=False).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    deltas: list[tuple[dict[str, str], str | None]] = [
        ({"content": text[at : at + PIECE]}, None) for at in range(0, len(text), PIECE)
    ]
    frames = b""
    for delta, finish in [*deltas, ({}, "stop")]:
        one = {"index": 0, "delta": delta, "finish_reason": finish}
        chunk = {**around, "object": "chat.completion.chunk", "choices": [one]}
        data = b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"
        frames += b"%x\r\n%s\r\n" % (len(data), data)
    done = b"data: [DONE]\n\n"
    stream = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    stream += b"transfer-encoding: chunked\r\n\r\n" + frames
    return head % len(body) + body, stream + b"%x\r\n%s\r\n0\r\n\r\n" % (len(done), done)


class Model(asyncio.Protocol):
    """A server that answers at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._data = b""

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, found, body = self._data.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        if not found or len(body) < (int(length[1]) if length else 0):
            return
        self._data = b""
        streams = b'"stream":true' in body or b'"stream": true' in body
        tokens = re.search(rb'"max_tokens": ?(\d+)', body)
        number = int(tokens[1]) - TOKENS if tokens else 0  # a proxy may ask by itself
        self._transport.write(answers(number)[streams])


def model(pipe: Connection) -> None:
    """Serve until told to end."""
    import uvloop

    for number in range(TEXTS):
        answers(number)

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Model, "127.0.0.1", 0)
        pipe.send(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
        await asyncio.to_thread(pipe.recv)

    uvloop.run(run())


@dataclass
class Way:
    """One way to the model, and its figures round by round: milliseconds and requests a second."""

    name: str
    url: str
    pid: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    alone: list[float] = field(default_factory=list)
    rounds: list[list[float]] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    stream_rate: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    stream_cpu: list[float] = field(default_factory=list)


@contextlib.contextmanager
def process_of(name: str, *command: str) -> Iterator[Way]:
    """A proxy in a process of its own, which prints its address first."""
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, f"{name} said {line!r}"
        yield Way(name, found[0], process.pid)
    finally:
        process.terminate()
        process.wait(30)


def guarded(
    name: str, base: str, policy: Path, *more: str
) -> contextlib.AbstractContextManager[Way]:
    """`flames-judge serve` in front of the model."""
    flags = ("--upstream", base, "--policy", str(policy), "--port", "0", *more)
    return process_of(name, "-c", CODE, "serve", *flags)


FILTER = """guardrails:
  - guardrail_name: filter
    litellm_params:
      guardrail: litellm_content_filter
      mode: [pre_call, post_call]
      default_on: true
      patterns:
        - {pattern_type: prebuilt, pattern_name: email, action: BLOCK}
        - {pattern_type: prebuilt, pattern_name: credit_card, action: BLOCK}
      blocked_words:
        - {keyword: 彩金, action: BLOCK}
        - {keyword: 首存, action: BLOCK}
"""


@contextlib.contextmanager
def litellm_proxy(program: str, base: str, folder: Path, more: str = "") -> Iterator[Way]:
    """litellm's proxy in front of the model; `more` is added to its configuration."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    key = "sk-" + os.urandom(24).hex()
    name = "litellm+" if more else "litellm"
    config = folder / f"{name}.yaml"
    config.write_text(
        "model_list:\n  - model_name: m\n    litellm_params:\n"
        f"      {{model: openai/m, api_base: {base}, api_key: none}}\n"
        f"general_settings: {{master_key: {key}}}\n{more}",
        encoding="utf-8",
    )
    command = [program, "--config", str(config)]
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    )
    try:
        for _ in range(1200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        url = f"http://127.0.0.1:{port}/v1"
        yield Way(name, url, process.pid, {"authorization": f"Bearer {key}"})
    finally:
        process.terminate()
        process.wait(30)


async def ask(session: aiohttp.ClientSession, way: Way) -> None:
    """One whole answer."""
    url, number = f"{way.url}/chat/completions", next(NUMBERS)
    async with session.post(url, json=asked(number), headers=way.headers) as response:
        body = await response.json()
        assert body["choices"][0]["message"]["content"] == text_of(number % TEXTS), body


async def ask_stream(session: aiohttp.ClientSession, way: Way) -> tuple[float, float]:
    """One streamed answer: seconds to its first text, and to its end."""
    url, first, said = f"{way.url}/chat/completions", 0.0, ""
    number = next(NUMBERS)
    body = {**asked(number), "stream": True}
    start = time.perf_counter()
    async with session.post(url, json=body, headers=way.headers) as response:
        async for line in response.content:
            if line.startswith(b"data: {"):
                choice = json.loads(line[6:])["choices"][0]
                said += choice["delta"].get("content") or ""
                first = first or (time.perf_counter() - start if said else 0.0)
    assert said == text_of(number % TEXTS)
    return first, time.perf_counter() - start


async def refuses(session: aiohttp.ClientSession, way: Way) -> bool:
    """Whether a question that is to be stopped is: what is measured is at work."""
    bad = {**asked(0), "messages": [{"role": "user", "content": BAD}]}
    url = f"{way.url}/chat/completions"
    async with session.post(url, json=bad, headers=way.headers) as response:
        return response.status >= 400


async def one_at_a_time(session: aiohttp.ClientSession, way: Way, n: int) -> list[float]:
    """Milliseconds of each of n answers."""
    taken = []
    for _ in range(n):
        start = time.perf_counter()
        await ask(session, way)
        taken.append(1000 * (time.perf_counter() - start))
    return taken


async def many(n: int, one: Any) -> float:
    """Requests a second, so many at once."""
    left = iter(range(n))

    async def worker() -> None:
        for _ in left:
            await one()

    start = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return n / (time.perf_counter() - start)


async def measure(ways: list[Way], rounds: int, n: int) -> None:
    """Every way takes its turn in every round."""
    async with session_of() as session:
        for way in ways:
            await one_at_a_time(session, way, 30)
            await ask_stream(session, way)
            assert await refuses(session, way) == (way.name in GUARDED), way.name
        for _ in range(rounds):
            for way in ways:
                share = n if not way.name.startswith("litellm") else max(n // 10, 20)
                way.rounds.append(await one_at_a_time(session, way, share))
                way.alone += way.rounds[-1]
                for _ in range(share // 4):
                    first, whole = await ask_stream(session, way)
                    way.first.append(1000 * first)
                    way.whole.append(1000 * whole)
                before = cpu_s(way.pid)
                way.rate.append(await many(share * 4, lambda way=way: ask(session, way)))
                between = cpu_s(way.pid)
                rate = await many(share, lambda way=way: ask_stream(session, way))
                way.stream_rate.append(rate)
                way.cpu.append(1000 * (between - before) / (share * 4))
                way.stream_cpu.append(1000 * (cpu_s(way.pid) - between) / share)


@contextlib.asynccontextmanager
async def session_of() -> AsyncIterator[aiohttp.ClientSession]:
    """A client without limits of its own."""
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=4)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


def rss_mib(pid: int) -> float:
    """Resident memory of a process and its children."""
    pages = 0
    for one in [pid, *children(pid)]:
        pages += int(Path(f"/proc/{one}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def cpu_s(pid: int | None) -> float:
    """Processor time that a process and its children have used."""
    ticks = 0
    for one in [] if pid is None else [pid, *children(pid)]:
        stat = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        ticks += int(stat[11]) + int(stat[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    file = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(one) for one in file.read_text().split()] if file.exists() else []


def quantile(values: list[float], q: float) -> float:
    """A quantile, q in (0, 1)."""
    return statistics.quantiles(values, n=1000)[int(q * 1000) - 1]


def show(ways: list[Way]) -> None:
    """The table."""
    print(
        f"{'':10}{'p50 ms':>9}{'p99 ms':>9}{f'req/s at {AT_ONCE}':>14}"
        f"{'first text ms':>15}{'stream ms':>11}{'streams/s':>11}"
        f"{'CPU ms':>8}{'a stream':>10}{'RSS MiB':>9}"
    )
    for way in ways:
        memory = "" if way.pid is None else f"{rss_mib(way.pid):.0f}"
        print(
            f"{way.name:10}{quantile(way.alone, 0.5):9.2f}{quantile(way.alone, 0.99):9.2f}"
            f"{statistics.median(way.rate):14.0f}{statistics.median(way.first):15.2f}"
            f"{statistics.median(way.whole):11.2f}{statistics.median(way.stream_rate):11.0f}"
            f"{statistics.median(way.cpu):8.2f}{statistics.median(way.stream_cpu):10.2f}"
            f"{memory:>9}"
        )
    direct, quiet = ways[0], quietest(ways[0])
    for way in ways[1:]:
        for which, told, base in (
            ("all rounds", way.alone, direct.alone),
            ("the quietest round", way.rounds[quiet], direct.rounds[quiet]),
        ):
            p50, p99 = (quantile(told, q) - quantile(base, q) for q in (0.5, 0.99))
            print(f"{way.name} adds p50 {p50:.2f} ms, p99 {p99:.2f} ms to an answer ({which})")


def quietest(direct: Way) -> int:
    """The round in which the machine was least disturbed, by the direct way alone."""
    return min(range(len(direct.rounds)), key=lambda at: quantile(direct.rounds[at], 0.5))


async def endure(way: Way, requests: int) -> None:
    """Send many, and print memory as they go."""
    assert way.pid is not None
    print(f"RSS after 0 of {requests} requests: {rss_mib(way.pid):.1f} MiB")
    async with session_of() as session:
        for part in range(1, 6):
            await many(requests // 10, lambda: ask(session, way))
            await many(requests // 10, lambda: ask_stream(session, way))
            print(f"RSS after {part * requests // 5}: {rss_mib(way.pid):.1f} MiB", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--per-round", type=int, default=200)
    parser.add_argument("--policy", type=Path)
    parser.add_argument("--litellm", metavar="PROGRAM", help="its command, such as litellm")
    parser.add_argument("--serve", nargs=argparse.REMAINDER, default=[], help="further flags")
    told = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=model, args=(theirs,), daemon=True
    )
    process.start()
    base = ours.recv()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        policy = told.policy or folder / "policy.yaml"
        if told.policy is None:
            policy.write_text(POLICY, encoding="utf-8")
        silent = folder / "without_sounds.yaml"
        silent.write_text(f"{policy.read_text(encoding='utf-8')}sounds: false\n", encoding="utf-8")
        serve = stack.enter_context(guarded("serve", base, policy, *told.serve))
        quick = stack.enter_context(guarded("serve-", base, silent, *told.serve))
        bare = stack.enter_context(process_of("bare", "-m", "tests.benchmarks.bare_proxy", base))
        ways = [Way("direct", base), bare, serve, quick]
        if told.litellm:
            for more in ("", FILTER):
                proxy = litellm_proxy(told.litellm, base, folder, more)
                ways.append(stack.enter_context(proxy))
        asyncio.run(measure(ways, told.rounds, told.per_round))
        show(ways)
        if told.requests:
            asyncio.run(endure(serve, told.requests))
    ours.send(None)
    process.join(10)


if __name__ == "__main__":
    main()
