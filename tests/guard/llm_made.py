"""A guard whose judge is a model on the tests' loopback server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from guard.decision import Part
from guard.engine import Asked, Guard
from guard.loading import Given, load_guard
from guard.policy import Policy
from judge.llm.library import close_clients
from tests.guard.made import LEGAL, WordScanner
from tests.openai_server import OpenAIServer
from tests.oracle import oracle

PRICE = (100.0, 100.0)  # USD for a million tokens


@asynccontextmanager
async def llm_guard(
    server: OpenAIServer, given: Given | None = None, **more: Any
) -> AsyncIterator[Guard]:
    """A guard over the server's model; `llm` adds to how it is asked, the rest to the policy."""
    llm = {"api_base": server.base_url, "price": PRICE, "retries": 0, **more.pop("llm", {})}
    plan = {"version": 1, "judge": "llm:openai/m", "rules": [LEGAL], "deadline_s": 5.0, **more}
    one = load_guard(
        Policy.model_validate({**plan, "llm": llm}), given or Given(scanner=WordScanner())
    )
    try:
        yield one
    finally:
        await one.aclose()
        await close_clients()


def load_libraries() -> None:
    """Make a first call, for which libraries load more than a short deadline has time for."""

    async def call() -> None:
        async with llm_guard(server, deadline_s=60.0) as one:
            assert not (await one.look("output", [Part("text", "好")], Asked(prompt="问"))).missed

    with OpenAIServer(oracle()) as server:
        asyncio.run(call())


async def until(true: Callable[[], bool], seconds: float = 5) -> None:
    """Wait for what happens elsewhere, for so long at most."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - sockets and threads tell nobody here
            await asyncio.sleep(0)
