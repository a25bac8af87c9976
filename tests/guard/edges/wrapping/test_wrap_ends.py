"""How a guarded stream ends when nobody reads it to its end: recorded, and nothing waits."""

from __future__ import annotations

import asyncio
import gc
import subprocess
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import openai
import pytest

from guard import wrap
from guard.bridge import run
from guard.wrapping.pieces import LiveStrings
from tests.contracts.guard_marks import marked, story
from tests.guard.upstream import Call, Upstream
from tests.warm import python

HELD = """
from guard import wrap
from tests.contracts.guard_marks import marked, story
class Told(list):
    def append(self, event):
        print(event.side, flush=True)
given = marked()
given.events.all = Told()
def chat(prompt):
    yield from story(2000)
held = wrap(chat, given.guard)("你好")
next(held)
"""


def test_a_program_ends_while_it_holds_a_stream() -> None:
    """As at the end of a notebook: what was said is recorded, and nothing hangs."""
    path = "import sys; sys.path.insert(0, '.')\n"
    ran = python(path + HELD)
    done = subprocess.run(ran, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["input", "output"]


class Unclosable:
    """A stream that can't be closed."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return story(50)

    def close(self) -> None:
        raise ConnectionError

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        return story(50)

    async def aclose(self) -> None:
        raise ConnectionError


async def test_a_stream_that_can_t_be_closed_is_recorded() -> None:
    """In either kind of code: the error goes on."""
    given = marked()
    held = wrap(lambda prompt: iter(Unclosable()), given.guard)("问")
    next(held)
    with pytest.raises(ConnectionError):
        held.close()  # type: ignore[attr-defined]
    assert len(given.events.of("output")) == 1

    async def chat(prompt: str) -> Any:
        return aiter(Unclosable())

    given = marked()
    stream = await wrap(chat, given.guard)("问")
    await anext(stream)
    with pytest.raises(ConnectionError):
        await stream.close()
    assert len(given.events.of("output")) == 1


def test_a_stream_that_python_cleans_up_is_recorded() -> None:
    """It may do so anywhere, also in the thread that the guard itself runs in."""
    given = marked()

    class Holder:
        def __init__(self) -> None:
            self.itself = self
            self.stream = wrap(lambda prompt: iter(story(2000)), given.guard)("问")
            next(self.stream)

    async def clean() -> None:
        gc.collect()

    Holder()
    run(clean())
    assert given.events.came["output"].wait(5)


async def test_a_stream_of_synchronous_code_is_closed_in_asynchronous_code_too() -> None:
    """The model's side is told at once, not when Python cleans up."""
    closed: list[int] = []

    class Source:
        def __iter__(self) -> Iterator[str]:
            return self

        def __next__(self) -> str:
            return story(50)

        def close(self) -> None:
            closed.append(1)

    held = Source()

    async def chat(prompt: str) -> Iterator[str]:
        return iter(held)

    stream: Any = await wrap(chat, marked().guard)("问")
    await anext(stream)
    await stream.close()
    assert closed == [1]


class Waiting:
    """A stream that says something and then nothing more; its end takes its time."""

    def __init__(self) -> None:
        self._pieces = [story(200)]

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        if not self._pieces:
            await asyncio.Event().wait()
        return self._pieces.pop()

    async def aclose(self) -> None:
        await asyncio.sleep(0)


@pytest.mark.parametrize("mode", ["window", "async", "retract"])
async def test_a_stream_whose_request_is_cancelled_is_recorded(mode: str) -> None:
    """Starlette ends a request so when its user leaves: whatever is awaited then is cancelled."""
    given = marked(stream={"mode": mode})

    async def chat(prompt: str) -> Any:
        return aiter(Waiting())

    async def request() -> None:
        with anyio.CancelScope() as scope:
            async for _ in await wrap(chat, given.guard)("问"):
                asyncio.get_running_loop().call_soon(scope.cancel)

    await request()
    await asyncio.to_thread(given.events.came["output"].wait, 5)
    assert len(given.events.of("output")) == 1


TURNS = [{"role": "user", "content": "问"}]
ASK: dict[str, Any] = {"model": "m", "messages": TURNS, "stream": True}


@asynccontextmanager
async def endless() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """The address of a server that never ends its answer, and whether its caller is gone."""
    gone = asyncio.Event()

    async def script(call: Call) -> None:
        await call.begin()
        await call.gone()
        gone.set()

    async with Upstream(script) as upstream:
        yield upstream.url, gone


@pytest.mark.parametrize("later", [False, True])
async def test_a_stream_that_is_closed_before_it_is_read_lets_its_server_go(later: bool) -> None:
    """Else the model writes on for nobody, and the connection is never free again."""
    async with endless() as (url, gone):
        kind: Any = openai.AsyncOpenAI if later else openai.OpenAI
        client: Any = kind(base_url=url, api_key="k", max_retries=0)
        create = wrap(client, marked().guard).chat.completions.create
        if later:
            async with await create(**ASK):
                pass
        else:
            stream = await asyncio.to_thread(create, **ASK)
            await asyncio.to_thread(stream.close)
        await asyncio.wait_for(gone.wait(), 5)
        await client.close() if later else client.close()


@pytest.mark.parametrize("later", [False, True])
async def test_a_stream_that_is_only_about_to_be_read_is_closed_too(later: bool) -> None:
    """As by `map`, or a framework's response: they ask for an iterator before they need a piece."""
    async with endless() as (url, gone):
        kind: Any = openai.AsyncOpenAI if later else openai.OpenAI
        client: Any = kind(base_url=url, api_key="k", max_retries=0)
        create = wrap(client, marked().guard).chat.completions.create
        if later:
            stream = await create(**ASK)
            reader: Any = (piece async for piece in stream)
            await stream.close()
        else:
            stream = await asyncio.to_thread(create, **ASK)
            reader = map(str, stream)
            await asyncio.to_thread(stream.close)
        await asyncio.wait_for(gone.wait(), 5)
        del reader
        await client.close() if later else client.close()


async def test_a_stream_can_be_closed_while_another_task_reads_it() -> None:
    """As the client's own: so a user stops an answer that is still being written."""
    async with endless() as (url, gone), openai.AsyncOpenAI(base_url=url, api_key="k") as client:
        stream: Any = await wrap(client, marked().guard).chat.completions.create(**ASK)
        reading = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)  # it waits for the first piece
        await stream.close()
        await asyncio.wait([reading], timeout=5)
        assert reading.exception() is not None  # the client's own
        await asyncio.wait_for(gone.wait(), 5)


def test_a_stream_of_pieces_keeps_no_copy_of_what_has_gone_out() -> None:
    """Put together anew for each piece, a long answer would take the square of its time."""
    kept: list[int] = []

    def talk(prompt: str) -> Iterator[str]:
        yield from story(2000)
        [live] = [one for one in gc.get_objects() if isinstance(one, LiveStrings)]
        kept.extend(len(one) for one in vars(live).values() if isinstance(one, bytearray | deque))

    assert "".join(wrap(talk, marked().guard)("问")) == story(2000)
    assert max(kept) < 100
