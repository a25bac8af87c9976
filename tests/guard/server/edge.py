"""The server as an edge of the guard's contract."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from guard.engine import Guard
from tests.contracts.guard_contract import Ask
from tests.contracts.guard_marks import Bot, Got, Question
from tests.guard.server.serving import Served, serving, state_of
from tests.guard.upstream import DONE, Call, Upstream, chunk, frame, usage_chunk

TOOL = "写信"


class ServeEdge:
    """`flames-judge serve` between a chatbot's server and an HTTP client."""

    @asynccontextmanager
    async def open(self, guard: Guard) -> AsyncIterator[Ask]:
        """Both servers on loopback."""
        bots: dict[str, Bot] = {}

        async def answered(call: Call) -> None:
            bot = bots[call.prompt]
            try:
                await _as_told(call, bot.answering())
            finally:
                bot.let_go.set()

        async with (
            Upstream(answered) as upstream,
            serving(state_of(guard, upstream.url)) as served,
        ):

            async def ask(bot: Bot, question: Question) -> Got:
                bots[question.prompt] = bot
                return await _asked(served, question)

            yield ask


async def _as_told(call: Call, bot: Bot) -> None:
    """Answer as the bot does."""
    if not call.json.get("stream"):
        if bot.end == "hang":
            await call.gone()
        await call.answer(_completion(bot))
        return
    await call.begin()
    started: set[int] = set()
    for delta in bot.deltas:
        inner: dict[str, Any] = {delta.kind: delta.text}
        if delta.kind == "tool_arguments":
            function: dict[str, Any] = {"arguments": delta.text}
            tool: dict[str, Any] = {"index": 0, "function": function}
            if delta.choice not in started:
                started.add(delta.choice)
                tool |= {"id": "call_1", "type": "function"}
                function["name"] = TOOL
            inner = {"tool_calls": [tool]}
        await call.piece(frame(chunk(inner, delta.choice)))
    if bot.end == "hang":
        await call.gone()
    elif bot.end == "cut":
        await call.cut()
    else:
        for choice in bot.choices:
            await call.piece(frame(chunk({}, choice, bot.finish)))
        await call.piece(frame(usage_chunk()) + DONE)
        await call.end()


def _completion(bot: Bot) -> dict[str, Any]:
    choices = []
    for index in bot.choices:
        message: dict[str, Any] = {"role": "assistant", "content": None}
        for (choice, kind), text in bot.whole().items():
            if choice == index and kind == "tool_arguments":
                function = {"name": TOOL, "arguments": text}
                message["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
            elif choice == index:
                message[kind] = text
        choices.append({"index": index, "message": message, "finish_reason": bot.finish})
    around = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m"}
    return {**around, "choices": choices, "usage": usage_chunk()["usage"]}


async def _asked(served: Served, question: Question) -> Got:
    messages = [{"role": "user", "content": question.prompt}]
    body: dict[str, Any] = {"model": "m", "messages": messages, "n": question.n}
    if question.stream:
        body["stream"] = True
    if question.include_usage:
        body["stream_options"] = {"include_usage": True}
    if question.stream:
        return await _streamed(served, body, question.leave_after)
    answer = await served.post("/v1/chat/completions", body)
    got = Got(ended=True)
    _whole(got, answer.json)
    return got


def _whole(got: Got, body: dict[str, Any]) -> None:
    if "error" in body:
        got.error, got.message = body["error"]["code"], body["error"]["message"]
        return
    got.usage = body.get("usage")
    for choice in body["choices"]:
        got.finishes[choice["index"]] = choice["finish_reason"]
        _add(got, choice["index"], choice["message"])


def _add(got: Got, choice: int, said: dict[str, Any]) -> None:
    """What a message or a delta says."""
    texts = {kind: said.get(kind) for kind in ("content", "reasoning_content")}
    for call in said.get("tool_calls") or ():
        texts["tool_arguments"] = call["function"].get("arguments")
    for kind, text in texts.items():
        if text:
            got.texts[choice, kind] = got.texts.get((choice, kind), "") + text


async def _streamed(served: Served, body: dict[str, Any], leave_after: int | None) -> Got:
    got = Got()
    url = f"{served.base}/v1/chat/completions"
    async with served.client.post(url, json=body) as response:
        if response.status != 200:
            _whole(got, await response.json())
            return got
        async for line in response.content:
            if not line.startswith(b"data: "):
                continue
            if line.strip() == b"data: [DONE]":
                got.ended = got.error is None
                continue
            _frame(got, json.loads(line.removeprefix(b"data: ")))
            if leave_after is not None and len(got.said()) >= leave_after:
                response.close()
                break
    return got


def _frame(got: Got, value: dict[str, Any]) -> None:
    if "error" in value:
        got.error, got.message = value["error"]["code"], value["error"]["message"]
    if "flames_guard" in value:
        got.retracted.add(value["flames_guard"]["choice"])
    if value.get("usage"):
        got.usage = value["usage"]
    for choice in value.get("choices") or ():
        index = choice["index"]
        assert index not in got.finishes or "flames_guard" in value
        _add(got, index, choice["delta"])
        if choice["finish_reason"]:
            got.finishes[index] = choice["finish_reason"]
