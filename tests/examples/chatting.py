"""The chat page, `serve` and a model behind it, each on a loopback socket, and a browser before."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import uvicorn

from examples.chat_page import chat_app, server_for
from judge.listening import listen
from tests.contracts.guard_marks import Events, Marked
from tests.guard.server.serving import serving, state_of
from tests.guard.upstream import DONE, Call, Upstream, chunk, frame


class Model:
    """What the model says: the pieces of an answer by the question, given when a test lets it."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[Any] = []
        self.left = threading.Event()
        self._goes_on = threading.Semaphore(0)

    def go_on(self) -> None:
        """Let an answer go on that waits at an `...`."""
        self._goes_on.release()

    async def __call__(self, call: Call) -> None:
        """Answer one call."""
        self.asked.append(call.json)
        said = self.answers[call.prompt]
        if isinstance(said, int):
            await call.answer({"error": {"message": "no", "code": "down"}}, said)
            return
        pieces = [said] if isinstance(said, str) else said
        await call.begin()
        for piece in pieces:
            if piece is ...:
                await self._wait(call)
            elif piece is None:
                await call.cut()
                return
            else:
                delta = piece if isinstance(piece, dict) else {"content": piece}
                await call.piece(frame(chunk(delta)))
        await call.piece(frame(chunk({}, finish="stop")) + DONE)
        await call.end()

    async def _wait(self, call: Call) -> None:
        """Until the test goes on, or the other side hangs up."""
        gone = asyncio.ensure_future(call.gone())
        going = asyncio.ensure_future(asyncio.to_thread(self._goes_on.acquire))
        done, _ = await asyncio.wait([gone, going], return_when=asyncio.FIRST_COMPLETED)
        if gone in done:
            self.left.set()
            self._goes_on.release()
            await going
            raise ConnectionResetError
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)


@dataclass
class Chat:
    """The page's address, the model behind, and what the guard has recorded."""

    url: str
    model: Model
    events: Events


@dataclass
class Site:
    """All three servers, in a thread of their own for as long as the `with` lasts.

    `before`: what the page is put before; of the others, nothing is asked.
    """

    guarded: Marked
    answers: dict[str, Any]
    before: Literal["guard", "model", "nothing"] = "guard"
    _ready: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Chat:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        assert self._ready.wait(30)
        return self._chat

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    async def _run(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        model = Model(self.answers)
        async with (
            Upstream(model) as upstream,
            serving(state_of(self.guarded.guard, upstream.url)) as served,
            page(self._place(f"{served.base}/v1", upstream.url)) as url,
        ):
            self._chat = Chat(url, model, self.guarded.events)
            self._ready.set()
            await self._over.wait()

    def _place(self, guard: str, model: str) -> str:
        """What the page asks."""
        return {"guard": guard, "model": model, "nothing": "http://127.0.0.1:9/v1"}[self.before]


@asynccontextmanager
async def page(guard: str) -> AsyncIterator[str]:
    """Serve the page in the running loop; gives its address."""
    server = _without_signals(server_for(chat_app(guard, "m", key="the-key")))
    with listen("127.0.0.1", 0) as listening:
        running = asyncio.ensure_future(server.serve(sockets=[listening]))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        finally:
            server.should_exit = True
            await running


def _without_signals(server: uvicorn.Server) -> uvicorn.Server:
    @contextmanager
    def none() -> Iterator[None]:
        yield

    server.capture_signals = none  # type: ignore[method-assign]
    return server
