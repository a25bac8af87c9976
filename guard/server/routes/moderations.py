"""POST /v1/moderations: any text held against both sides of the policy, as OpenAI's clients ask."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from guard.answers import look_at_texts
from guard.chat import parts_of
from guard.decision import Decision, merged
from guard.engine import Asked, Guard
from guard.openai_api import (
    ApiError,
    Category,
    ModerationInput,
    ModerationResult,
    guard_unavailable,
    moderation_body,
    read_moderation,
)
from guard.server.http.body import read_object
from guard.server.http.exchange import exchange_of
from guard.server.http.responses import json_response
from guard.server.http.wanted import while_wanted
from guard.server.state import State

MOST_INPUTS = 64
NAME = "flames-judge"


async def moderate(state: State, request: Request) -> Response:
    """One result for each input; nothing is withheld, so that shadow mode changes nothing.

    Raises:
        ApiError: 400 the body is no such request; 503 a text could not be checked.
    """
    exchange, guard = exchange_of(request.scope), state.guard
    body = await read_object(request.scope, request.receive, state.limits)
    inputs = read_moderation(body)
    if len(inputs) > MOST_INPUTS:
        raise ApiError(f"there are more than {MOST_INPUTS} inputs", param="input")
    results = []
    async with while_wanted(request.receive, exchange):
        for one in inputs:
            decision = await _decided(guard, one, exchange.request_id)
            exchange.decided(decision)
            if decision.failed:
                raise guard_unavailable()
            results.append(_result(guard, decision))
    name = f"modr-{exchange.request_id}"
    return json_response(moderation_body(name, NAME, results))


async def _decided(guard: Guard, given: ModerationInput, request_id: str) -> Decision:
    """The rules of both sides together, since nobody says whose text it is; recorded once."""
    parts, asked = parts_of(given.parts), Asked(request_id=request_id)
    decision = await look_at_texts(guard, parts, asked, "output")
    decision = merged(decision, await look_at_texts(guard, parts, asked, "input"))
    if given.unread:
        unread = guard.unread("input", [part.path for part in given.unread])
        decision = merged(decision, unread)
    await guard.record(decision, parts, asked)
    return decision


def _result(guard: Guard, decision: Decision) -> ModerationResult:
    """Flagged is what a rule acts on. A dimension without a verdict of the judge is left out."""
    hits = {hit.rule.rule.evidence or hit.rule.dimension for hit in decision.hits}
    categories: dict[str, Category] = {}
    for rule in guard.rules:
        kind, dimension = rule.rule.evidence, rule.dimension
        if kind is not None:
            found = kind in hits
            categories[_name(kind)] = Category(flagged=found, score=float(found))
        elif dimension is not None and dimension in decision.least:
            score = 1 - decision.least[dimension]
            categories[_name(dimension)] = Category(flagged=dimension in hits, score=score)
    return ModerationResult(flagged=decision.action != "allow", categories=categories)


def _name(what: str) -> str:
    """`Data protection` -> `flames/data_protection`, `pii:id` -> `flames/pii/id`."""
    return "flames/" + what.lower().replace(" ", "_").replace(":", "/")
