"""A whole answer in OpenAI's form on its way through the guard: each choice is judged by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from guard.chat import look_at_request, parts_of
from guard.decision import Decision, Part, merged
from guard.engine import Asked, Guard
from guard.json_replies import Texts, texts_of
from guard.openai_api import ChatRequest, Completion, blocked
from guard.policy import Policy, Side


@dataclass(frozen=True)
class Looked:
    """What was decided about an answer.

    Args:
        decision: about all of it, for the record.
        by_choice: about each choice, by its number.
        parts: the texts that it is about.
    """

    decision: Decision
    by_choice: Mapping[int, Decision]
    parts: tuple[Part, ...]


async def look_at_answer(guard: Guard, completion: Completion, asked: Asked) -> Looked:
    """The decisions about an answer, not yet recorded."""
    parts = [parts_of(choice.parts) for choice in completion.choices]
    looks = [guard.look("output", own, asked) for own in parts or [[]]]
    decisions = await asyncio.gather(*looks)
    numbers = [choice.index for choice in completion.choices]
    return Looked(
        decision=reduce(merged, decisions),
        by_choice=dict(zip(numbers, decisions, strict=False)),
        parts=tuple(part for own in parts for part in own),
    )


async def look_at_texts(guard: Guard, side: Side, texts: Texts, asked: Asked) -> Decision:
    """The decision about a JSON value's texts, not yet recorded.

    The judge reads sentences; single words and numbers, as in identifiers, are scanned.
    """
    decision = await guard.look(side, texts.said, asked)
    if not texts.words:
        return decision
    return merged(decision, await guard.look(side, texts.words, asked, judged=False))


async def look_at_body(
    guard: Guard, request: ChatRequest | None, body: dict[str, Any], asked: Asked
) -> tuple[Decision, list[Part]]:
    """The decision about a request that goes on as it is, not yet recorded, and what it is about.

    Args:
        guard: decides.
        request: the body in OpenAI's form, where it has it.
        body: every string of it is judged, under keys that `request` knows and others.
        asked: what it stands in.
    """
    parts: list[Part] = []
    decision: Decision | None = None
    if request is not None:
        decision, parts = await look_at_request(guard, request, asked)
    seen = {part.text for part in parts}
    texts = texts_of(body)
    left = [part for part in (*texts.said, *texts.words) if part.text not in seen]
    more = await guard.look("input", left, asked)
    return (more if decision is None else merged(decision, more)), [*parts, *left]


def body_of(completion: Completion, looked: Looked, policy: Policy, prompt: str) -> dict[str, Any]:
    """The answer's body as its user may see it: what is withheld is the policy's message."""
    stopped = {index: one for index, one in looked.by_choice.items() if one.stops}
    messages = {index: one.message(policy, prompt) for index, one in stopped.items()}
    quiet = {index: messages[index] for index, one in stopped.items() if one.action == "replace"}
    loud = {index: text for index, text in messages.items() if index not in quiet}
    said = replace(completion, forward=blocked(completion, quiet, finish="stop"))
    return blocked(said, loud)
