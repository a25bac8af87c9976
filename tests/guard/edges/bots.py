"""Chatbots in OpenAI's form that say what a test's bot says, and what a user reads of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.contracts.guard_marks import Bot, Got, Question


class Bots:
    """The bots of one edge, each found by the prompt that it is asked."""

    def __init__(self) -> None:
        self._bots: dict[str, Bot] = {}

    def add(self, bot: Bot, asked: Question) -> None:
        """This bot will answer this question."""
        self._bots[asked.prompt] = bot

    def of(self, prompt: str) -> Bot:
        """The bot that is asked, and what it does this time."""
        bot = next(bot for key, bot in self._bots.items() if key in prompt)
        said = bot.answering()
        said.let_go = bot.let_go
        return said


def chunk(choice: int, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choices = [{"index": choice, "delta": delta, "finish_reason": finish}]
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": choices}  # fmt: skip


def chunks(bot: Bot) -> Iterator[dict[str, Any]]:
    """What a server streams for a bot."""
    for n, delta in enumerate(bot.deltas):
        if delta.kind == "tool_arguments":
            start = {"id": "call_1", "type": "function"} if n == 0 else {}
            named = {"name": "send"} if n == 0 else {}
            call = {"index": 0, **start, "function": {**named, "arguments": delta.text}}
            yield chunk(delta.choice, {"tool_calls": [call]})
        else:
            yield chunk(delta.choice, {delta.kind: delta.text})
    if bot.end == "done":
        for choice in bot.choices:
            yield chunk(choice, {}, bot.finish)


def completion(bot: Bot) -> dict[str, Any]:
    """What a server answers for a bot."""
    said = bot.whole()

    def message(choice: int) -> dict[str, Any]:
        kinds = {kind: text for (at, kind), text in said.items() if at == choice}
        arguments = kinds.pop("tool_arguments", None)
        function = {"name": "send", "arguments": arguments}
        call = {"id": "call_1", "type": "function", "function": function}
        calls = {} if arguments is None else {"tool_calls": [call]}
        return {"role": "assistant", "content": None, **kinds, **calls}

    choices = [
        {"index": at, "message": message(at), "finish_reason": bot.finish} for at in bot.choices
    ]
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": choices}


def take_whole(got: Got, body: dict[str, Any]) -> None:
    """Note what a completion says."""
    for choice in body["choices"]:
        at, message = choice["index"], choice["message"]
        for kind in ("content", "reasoning_content"):
            if message.get(kind):
                got.texts[at, kind] = message[kind]
        for call in message.get("tool_calls") or ():
            got.texts[at, "tool_arguments"] = call["function"]["arguments"]
        got.finishes[at] = choice["finish_reason"]
    got.ended = True


def take_chunk(got: Got, body: dict[str, Any]) -> None:
    """Note what a chunk says."""
    retract = body.get("flames_guard")
    if retract:
        got.retracted.add(retract["choice"])
    for choice in body["choices"]:
        at, delta = choice["index"], choice["delta"]
        said = {kind: delta.get(kind) for kind in ("content", "reasoning_content")}
        for call in delta.get("tool_calls") or ():
            said["tool_arguments"] = call["function"].get("arguments")
        for kind, text in said.items():
            got.texts[at, kind] = got.texts.get((at, kind), "") + (text or "")
        if choice.get("finish_reason"):
            got.finishes[at] = choice["finish_reason"]
    got.texts = {key: text for key, text in got.texts.items() if text}


def characters(got: Got) -> int:
    return sum(map(len, got.texts.values()))


def refused_unasked(got: Got, bot: Bot) -> Got:
    """A refusal in place of an answer is how these edges refuse a question."""
    if not bot.times and "content_filter" in got.finishes.values():
        got.error, got.message = "content_filter", got.said()
        got.texts, got.finishes = {}, {}
    return got
