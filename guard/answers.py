"""A whole answer in OpenAI's form on its way through the guard: each choice is judged by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Final

from guard.chat import look_at_request, parts_of
from guard.decision import Decision, Part, merged
from guard.engine import Asked, Guard
from guard.json_replies import Paths, texts_of
from guard.openai_api import ChatRequest, Completion, blocked
from guard.policy import Policy

_SPOKEN: Final = Paths.parse(
    [
        "prompt",
        "input",
        "input[*].content",
        "input[*].content[*].text",
        "messages[*].content",
        "messages[*].content[*].text",
    ]
)


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
    # one alone needs no task of its own
    decisions = [await looks[0]] if len(looks) == 1 else await asyncio.gather(*looks)
    numbers = [choice.index for choice in completion.choices]
    return Looked(
        decision=reduce(merged, decisions),
        by_choice=dict(zip(numbers, decisions, strict=False)),
        parts=tuple(part for own in parts for part in own),
    )


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
    left = [part for part in texts_of(body, _SPOKEN) if part.text not in seen]
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
