"""CPU milliseconds a row: our judge beside bare litellm + instructor, in turn, on one server.

    python -m tests.benchmarks.llm_overhead [ROWS] [ROUNDS]

The server runs in a process of its own, so that its time is not counted. Printed are the medians
over the rounds, and the median of the ratios pair by pair.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import sys
import time
from multiprocessing.connection import Connection

from judge.answer import schema_for
from judge.backends import JudgeContext, load_judge
from judge.llm.config import ModelConfig
from judge.llm.library import close_clients, load_litellm
from judge.prompt import build_messages
from judge.verdict import Case, Verdict
from tests.cases import case, rubric
from tests.openai_server import OpenAIServer, ok
from tests.oracle import sound_answer

AT_ONCE = 16


def serve(pipe: Connection) -> None:
    """A server that gives one sound answer until it is told to end."""
    with OpenAIServer(ok(sound_answer(rubric(), 3))) as server:
        pipe.send(server.base_url)
        pipe.recv()


async def ours(cases: list[Case], base: str) -> None:
    """Judge the cases as `score` does, without a cache."""
    context = JudgeContext(model=lambda name: ModelConfig(model=name, api_base=base))
    judge = load_judge("llm:openai/judge", context)
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(judged: Case) -> None:
        async with gate:
            (outcome,) = await judge.assess([judged])
            assert isinstance(outcome, Verdict)

    await asyncio.gather(*map(one, cases))


async def bare(cases: list[Case], base: str) -> None:
    """The same prompts through instructor around litellm, as its documentation has it."""
    import instructor

    client = instructor.from_litellm(load_litellm().acompletion, mode=instructor.Mode.JSON_SCHEMA)
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(judged: Case) -> None:
        async with gate:
            await client.chat.completions.create(
                model="openai/judge",
                api_base=base,
                api_key="none",
                temperature=0,
                response_model=schema_for(judged.rubric),
                messages=build_messages(judged, judged.response),
                max_retries=1,
            )

    await asyncio.gather(*map(one, cases))


def cpu_ms(run: object, cases: list[Case], base: str) -> float:
    """CPU milliseconds a row of this process."""

    async def measured() -> float:
        started = time.process_time()
        await run(cases, base)  # type: ignore[operator]
        spent = time.process_time() - started
        await close_clients()
        return spent

    return 1000 * asyncio.run(measured()) / len(cases)


def main(rows: int = 200, rounds: int = 5) -> None:
    """Print the figures."""
    near, far = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(far,))
    process.start()
    base = near.recv()
    cases = [case(n, prompt=f"第{n}个问题") for n in range(rows)]
    cpu_ms(bare, cases[:16], base)
    cpu_ms(ours, cases[:16], base)
    pairs = [(cpu_ms(ours, cases, base), cpu_ms(bare, cases, base)) for _ in range(rounds)]
    near.send("end")
    process.join()
    mine, other = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    print(
        f"flames-judge {mine:.2f} ms a row, litellm + instructor {other:.2f} ms: ratio {ratio:.2f}"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
