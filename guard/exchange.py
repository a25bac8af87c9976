"""One recorded exchange through a guard: the question, and then the answer."""

from __future__ import annotations

from guard.decision import Part
from guard.engine import Asked, Guard
from guard.replay import Replayed
from judge.records import Record


async def replayed(guard: Guard, record: Record) -> Replayed:
    """What the guard decides about a record; nothing is recorded, and nothing sent."""
    asked = Asked(
        prompt=record.prompt, history=record.history, request_id=record.id, model=record.model
    )
    question = await guard.look("input", [Part("prompt", record.prompt)], asked)
    if question.action not in {"allow", "flag"} or record.response is None:
        return Replayed(question, None)
    answer = await guard.look("output", [Part("response", record.response)], asked)
    return Replayed(question, answer)
