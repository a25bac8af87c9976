"""A whole answer in OpenAI's form on its way through the guard: each choice is judged by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Final

from guard.chat import envelope_of, left_over, look_at_request, parts_of
from guard.decision import Decision, Part, merged
from guard.engine import Asked, Guard
from guard.openai_api import ChatRequest, Completion, CompletionChoice, Envelope, blocked
from guard.policy import Policy, Side
from guard.texts.foreign_media import unread_in
from guard.texts.framed import alike
from guard.texts.json_replies import Paths, texts_of
from guard.texts.seams import seams, seams_of_answer

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
        around: what stands around it where the model's server says nothing that may pass.
    """

    decision: Decision
    by_choice: Mapping[int, Decision]
    parts: tuple[Part, ...]
    around: Envelope


async def look_at_answer(guard: Guard, completion: Completion, asked: Asked) -> Looked:
    """The decisions about an answer, not yet recorded."""
    parts = [parts_of(choice.parts) for choice in completion.choices]
    looks = [_look(guard, one, asked) for one in completion.choices]
    looks = looks or [guard.look("output", [], asked)]
    # one alone needs no task of its own
    decisions = [await looks[0]] if len(looks) == 1 else await asyncio.gather(*looks)
    numbers = [choice.index for choice in completion.choices]
    return Looked(
        decision=reduce(merged, decisions),
        by_choice=dict(zip(numbers, decisions, strict=False)),
        parts=tuple(part for own in parts for part in own),
        around=envelope_of(asked),
    )


async def look_at_texts(
    guard: Guard, parts: Sequence[Part], asked: Asked, side: Side = "output"
) -> Decision:
    """The decision about texts in a form of their own, not yet recorded.

    Where they are several, also what they say together.
    """
    decision = await guard.look(side, parts, asked)
    texts = [part for part in parts if not part.word]
    decision = await _also(guard, decision, seams(part.text for part in texts), asked)
    lists: dict[str, list[str]] = {}
    for part in texts:
        lists.setdefault(alike(part.where), []).append(part.text)
    if 1 < len(lists) < len(texts):  # what a list says, without what stands between its items
        items = seams(one for own in lists.values() for one in own)
        decision = await _also(guard, decision, items, asked)
    return decision


async def _look(guard: Guard, choice: CompletionChoice, asked: Asked) -> Decision:
    decision = await guard.look("output", parts_of(choice.parts), asked)
    return await _also(guard, decision, await seams_of_answer(choice.said), asked)


async def _also(guard: Guard, first: Decision, joined: Sequence[Part], asked: Asked) -> Decision:
    if not joined:
        return first
    return merged(first, await guard.look(first.side, joined, asked, judged=False, once=True))


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
    left = left_over(request, texts_of(body, _SPOKEN))
    more = await guard.look("input", left, asked)
    if (request is None or not request.unread) and (media := unread_in(body)):
        more = merged(more, guard.unread("input", media))
    return (more if decision is None else merged(decision, more)), [*parts, *left]


def body_of(completion: Completion, looked: Looked, policy: Policy, prompt: str) -> dict[str, Any]:
    """The answer's body as its user may see it: what is withheld is the policy's message."""
    stopped = {index: one for index, one in looked.by_choice.items() if one.stops}
    messages = {index: one.message(policy, prompt) for index, one in stopped.items()}
    quiet = {index: messages[index] for index, one in stopped.items() if one.finish == "stop"}
    loud = {index: text for index, text in messages.items() if index not in quiet}
    said = replace(completion, forward=blocked(completion, quiet, finish="stop"))
    ours = {"id": looked.around.id, "model": looked.around.model, "created": looked.around.created}
    body = blocked(said, loud)
    return {key: value or ours.get(key, value) for key, value in body.items()}
