"""Wrapped functions and clients under the contract that every edge keeps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from guard import Blocked, GuardUnavailable, wrap
from guard.engine import Guard
from guard.errors import OnBlock
from tests.contracts.guard_contract import (
    AheadContract,
    Ask,
    ChoicesContract,
    DisconnectContract,
    EdgeContract,
    RegenerateContract,
    StreamContract,
    ToolsContract,
)
from tests.contracts.guard_marks import Bot, Got, Question
from tests.guard.edges.bots import (
    Bots,
    characters,
    chunks,
    completion,
    refused_unasked,
    take_chunk,
    take_whole,
)

SECOND = 0.01


class TestAsyncChunks(
    EdgeContract,
    StreamContract,
    AheadContract,
    ChoicesContract,
    ToolsContract,
    RegenerateContract,
    DisconnectContract,
):
    """An asynchronous function over messages that answers in OpenAI's form, whole or streamed."""

    @pytest.fixture
    def edge(self) -> Any:
        return AsyncChunks()


class AsyncChunks:
    @asynccontextmanager
    async def open(self, guard: Guard) -> AsyncIterator[Ask]:
        bots = Bots()

        async def answer(messages: list[dict[str, Any]], n: int = 1) -> dict[str, Any]:
            return completion(bots.of(messages[-1]["content"]))

        async def stream(
            messages: list[dict[str, Any]], n: int = 1
        ) -> AsyncIterator[dict[str, Any]]:
            bot = bots.of(messages[-1]["content"])
            try:
                for one in chunks(bot):
                    yield one
                if bot.end == "hang":
                    await asyncio.Event().wait()
            finally:
                bot.let_go.set()

        whole, live = wrap(answer, guard), wrap(stream, guard)

        async def ask(bot: Bot, asked: Question) -> Got:
            bots.add(bot, asked)
            got, messages = Got(), [{"role": "user", "content": asked.prompt}]
            try:
                if not asked.stream:
                    take_whole(got, await whole(messages, n=asked.n))
                else:
                    await self._read(got, live(messages, n=asked.n), asked)
            except GuardUnavailable:
                got.error = "guard_unavailable"
            except Exception as error:  # noqa: BLE001 - whatever the user gets is no answer
                got.error = type(error).__name__
            return refused_unasked(got, bot)

        yield ask

    async def _read(self, got: Got, source: Any, asked: Question) -> None:
        async for one in source:
            take_chunk(got, one)
            if asked.leave_after is not None and characters(got) >= asked.leave_after:
                await source.aclose()
                return
        got.ended = True


class SyncText:
    """A synchronous function and a generator over text, run in threads as such code is."""

    def __init__(self, on_block: OnBlock) -> None:
        self._on_block: OnBlock = on_block

    @asynccontextmanager
    async def open(self, guard: Guard) -> AsyncIterator[Ask]:
        bots = Bots()

        def answer(prompt: str) -> str:
            return bots.of(prompt).whole()[0, "content"]

        def stream(prompt: str) -> Iterator[str]:
            bot = bots.of(prompt)
            try:
                for delta in bot.deltas:
                    yield delta.text
                if bot.end == "cut":
                    raise ConnectionResetError
                while bot.end == "hang" and not bot.let_go.is_set():
                    time.sleep(SECOND)
            finally:
                bot.let_go.set()

        whole = wrap(answer, guard, on_block=self._on_block)
        live = wrap(stream, guard, on_block=self._on_block)

        def ask(bot: Bot, asked: Question) -> Got:
            bots.add(bot, asked)
            got = Got()
            source = live(asked.prompt) if asked.stream else iter([])
            try:
                if not asked.stream:
                    got.texts[0, "content"] = whole(asked.prompt)
                for text in source:
                    got.texts[0, "content"] = got.said() + text
                    if asked.leave_after is not None and len(got.said()) >= asked.leave_after:
                        source.close()  # type: ignore[attr-defined]
                        return got
                got.finishes, got.ended = {0: bot.finish}, True
            except GuardUnavailable:
                got.error = "guard_unavailable"
            except Blocked as blocked:
                if blocked.side == "input":
                    got.error, got.message = "content_filter", blocked.message
                else:
                    got.texts[0, "content"] = got.said() + blocked.message
                    got.finishes = {0: "content_filter"}
            except ConnectionResetError:
                got.error = "reset"
            return got

        async def in_thread(bot: Bot, asked: Question) -> Got:
            return await asyncio.to_thread(ask, bot, asked)

        yield in_thread


class TestSyncText(EdgeContract, StreamContract, RegenerateContract, DisconnectContract):
    """With `on_block="raise"`, which tells a refusal from an answer."""

    @pytest.fixture
    def edge(self) -> Any:
        return SyncText("raise")
