"""The real server around a guard, in the running loop, on a loopback socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import uvicorn

from guard.engine import Guard
from guard.engine.limits import DailyBudget, PocketPurse
from guard.metrics import Metrics
from guard.server.app import create_app
from guard.server.counters import Counters
from guard.server.http.drain import Drain
from guard.server.http.memory import Held
from guard.server.keys.ring import KeyRing
from guard.server.records.bench import Bench
from guard.server.run import Server, uvicorn_config
from guard.server.settings import Limits
from guard.server.state import State
from guard.server.upstream.connection import Upstream
from judge.listening import LOOPBACK, Hosts, listen
from judge.rubric import load_rubrics
from tests.contracts.guard_marks import BLOCKING, Marked, marked
from tests.guard.upstream import Call, Script, completion, streamed
from tests.guard.upstream import Upstream as Double

RUBRICS = load_rubrics()
QUICK = Limits(grace_s=1.0, usage_s=0.3)


class _Server(Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the test runner's."""
        yield


@dataclass
class Served:
    """A server that runs, and a client of it."""

    base: str
    state: State
    client: aiohttp.ClientSession
    server: uvicorn.Server

    async def post(self, path: str, body: Any, **headers: str) -> Answer:
        """Ask, and read the whole answer."""
        given = {"content-type": "application/json"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        async with self.client.post(self.base + path, data=data, headers=given) as response:
            return Answer(response.status, dict(response.headers), await response.read())

    async def get(self, path: str, **headers: str) -> Answer:
        """Ask, and read the whole answer."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.get(self.base + path, headers=given) as response:
            return Answer(response.status, dict(response.headers), await response.read())

    async def chat(self, prompt: str = "今天天气怎么样", **more: Any) -> Answer:
        """One chat completion."""
        messages = [{"role": "user", "content": prompt}]
        return await self.post("/v1/chat/completions", {"model": "m", "messages": messages, **more})


@dataclass
class Answer:
    """A response; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
    events: list[Any] = field(init=False)

    def __post_init__(self) -> None:
        self.headers = {name.lower(): value for name, value in self.headers.items()}
        self.events = [
            line.removeprefix("data: ")
            for line in self.body.decode().split("\n\n")
            if line.startswith("data: ")
        ]

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """An error's code."""
        return str(self.json["error"]["code"])

    @property
    def frames(self) -> list[Any]:
        """A stream's chunks."""
        return [json.loads(event) for event in self.events if event != "[DONE]"]

    @property
    def text(self) -> str:
        """What the first choice says, whole or streamed."""
        if not self.events:
            return str(self.json["choices"][0]["message"]["content"])
        deltas = [f["choices"][0]["delta"] for f in self.frames if f.get("choices")]
        return "".join(delta.get("content", "") for delta in deltas)


def state_of(
    guard: Guard, upstream: str, *, keys: Path | None = None, limits: Limits = QUICK, **more: Any
) -> State:
    """What a server around a guard shares."""
    state = State(
        guard=guard,
        bench=Bench(guard.judge, DailyBudget(None, PocketPurse(), lambda: datetime.now(UTC)), None),
        rubrics=RUBRICS,
        upstream=Upstream(upstream, more.pop("key", None), limits, lend=keys is None),
        keys=None if keys is None else KeyRing(keys),
        hosts=Hosts(LOOPBACK) if keys is None else None,
        counters=Counters(),
        metrics=Metrics(),
        limits=limits,
        drain=Drain(limits.grace_s),
        held=Held(limits.held_bytes),
    )
    return replace(state, **more)


@asynccontextmanager
async def serving(state: State, port: int = 0) -> AsyncIterator[Served]:
    """Run a server until the `async with` ends."""
    server = _Server(uvicorn_config(create_app(state), state.limits))
    async with AsyncExitStack() as stack:
        listening = stack.enter_context(listen("127.0.0.1", port))
        running = asyncio.ensure_future(server.serve(sockets=[listening]))
        while not server.started:
            await asyncio.sleep(0.001)
            if running.done():
                running.result()
        connector = aiohttp.TCPConnector(limit=0)
        client = await stack.enter_async_context(
            aiohttp.ClientSession(connector=connector, auto_decompress=False)
        )
        base = f"http://127.0.0.1:{listening.getsockname()[1]}"
        try:
            yield Served(base, state, client, server)
        finally:
            await client.close()
            server.should_exit = True
            await running


@dataclass
class Stand:
    """A model's server, a guard that goes by marks before it, and a client."""

    served: Served
    upstream: Double
    marked: Marked


@asynccontextmanager
async def standing(
    script: Script,
    rules: Sequence[dict[str, Any]] = BLOCKING,
    *,
    policy: dict[str, Any] | None = None,
    **state: Any,
) -> AsyncIterator[Stand]:
    """All three, for as long as the `async with` lasts; `state` goes to `state_of`."""
    guarded = marked(rules, **(policy or {}))
    async with Double(script) as upstream:
        made = state_of(guarded.guard, state.pop("base", upstream.url), **state)
        async with serving(made) as served:
            yield Stand(served, upstream, guarded)


def says(*texts: str, **how: Any) -> Script:
    """A model that says this, in these pieces where it streams."""

    async def script(call: Call) -> None:
        if call.method == "GET":
            await call.answer({"object": "list", "data": [{"id": "m", "object": "model"}]})
        elif call.json.get("stream"):
            await call.events([streamed(*texts, **how)])
        else:
            await call.answer(completion("".join(texts), **how))

    return script
