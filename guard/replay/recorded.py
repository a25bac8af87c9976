"""Recorded exchanges, and what a guard decides about them: the question, and then the answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from guard.answers import look_at_texts
from guard.chat import look_at_request
from guard.decision import Part
from guard.engine import Asked, Guard
from guard.event import GuardEvent
from guard.openai_api import read_request
from guard.replay.tally import Replayed
from judge.records import Record, Turn


async def replayed(guard: Guard, record: Record) -> Replayed:
    """What the guard decides about a record; nothing is recorded, and nothing sent."""
    asked = Asked(
        prompt=record.prompt, history=record.history, request_id=record.id, model=record.model
    )
    turns = [*record.history, Turn(role="user", content=record.prompt)]
    request = read_request({"messages": [turn.model_dump() for turn in turns]})
    question, _ = await look_at_request(guard, request, asked)
    if not question.passes or record.response is None:
        return Replayed(question, None)
    return Replayed(
        question, await look_at_texts(guard, [Part("response", record.response)], asked)
    )


def exchanges(events: Iterable[GuardEvent]) -> Iterator[Record]:
    """The exchanges that decisions were made about, as far as their texts were recorded.

    Each answer is one; so is a question that got none. Earlier turns are not recorded.

    Args:
        events: in any order: where a clock was put back, an answer is older than its question.
    """
    unanswered: dict[int, Record] = {}
    answered = set[int]()  # by hash: there may be millions
    for event in events:
        if event.text is None:
            continue
        answer = event.text if event.side == "output" else None
        record = Record(id=event.request_id or "-", prompt=event.prompt or "", response=answer)
        question = hash((record.id, record.prompt))
        if answer is not None:
            unanswered.pop(question, None)
            answered.add(question)
            yield record
        elif question not in answered:
            unanswered[question] = record
    yield from unanswered.values()
