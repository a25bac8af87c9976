"""Many conversations at once under an LLM judge: none waits for another, and none is mixed up."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from guard.decision import Decision, Part
from guard.engine import Asked, Guard
from tests.guard.llm_made import llm_guard, until
from tests.guard.made import BAD
from tests.openai_server import OpenAIServer, Reply, rate_limited
from tests.oracle import oracle

MANY, SLOW = 50, "慢"
PATIENCE = 40  # seconds, on a machine that has other work


async def ask(one: Guard, text: str, number: int) -> Decision:
    return await one.look("output", [Part("text", text)], Asked(prompt=f"第{number}问"))


async def test_fifty_conversations_are_asked_about_at_once() -> None:
    """What waits for a place misses its deadline, and goes unchecked."""
    with OpenAIServer(Reply(hang=True)) as server:
        async with llm_guard(server, deadline_s=60.0, llm={"timeout_s": 60.0}) as one:
            asking = [asyncio.ensure_future(ask(one, "好", number)) for number in range(MANY)]
            await until(lambda: server.most_at_once == MANY, PATIENCE)
            for task in asking:
                task.cancel()
            await asyncio.wait(asking)


async def test_slow_texts_of_others_hold_up_nobody_and_verdicts_keep_to_their_own() -> None:
    """Twenty calls never come back; each other one gets its own answer."""

    def script(request: dict[str, Any], number: int) -> Reply:
        if SLOW in json.dumps(request["messages"], ensure_ascii=False):
            return Reply(hang=True)
        return oracle(lambda text: 1 if BAD in text else 3)(request, number)

    with OpenAIServer(script) as server:
        async with llm_guard(server, deadline_s=60.0, llm={"timeout_s": 60.0}) as one:
            slow = [asyncio.ensure_future(ask(one, SLOW, number)) for number in range(20)]
            await until(lambda: len(server.requests) == 20, PATIENCE)
            texts = [f"第{number}句{BAD if number % 2 else '好'}" for number in range(MANY)]
            found = await asyncio.gather(*(ask(one, text, n) for n, text in enumerate(texts)))
            assert [one.status for one in found] == ["allowed", "blocked"] * (MANY // 2)
            assert not any(task.done() for task in slow)
            for task in slow:
                task.cancel()
            await asyncio.wait(slow)


async def test_a_provider_that_finds_them_too_many_gets_fewer() -> None:
    """As `score` does: each round of refusals halves what is sent at once."""
    with OpenAIServer(rate_limited("60")) as server:
        async with llm_guard(server, deadline_s=5.0) as one:
            found = await asyncio.gather(*(ask(one, "好", number) for number in range(9)))
            assert {missed.kind for each in found for missed in each.missed} == {"rate_limited"}
            assert one.judge._client._traffic.concurrency.width < 128  # type: ignore[attr-defined]
