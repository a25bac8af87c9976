"""An answer that comes whole: every choice is checked before any of it goes out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from guard.answers import body_of, look_at_answer
from guard.chat import asked_again, parts_of, tries_of
from guard.decision import Decision
from guard.engine import Facts
from guard.openai_api import (
    MOST_CHOICES,
    Completion,
    added_usage,
    guard_unavailable,
    read_completion,
    serialised,
    unread_keys,
)
from guard.server.chat.question import Question
from guard.server.state import State
from guard.server.upstream.connection import parsed, upstream_faults, whole
from guard.server.upstream.errors import check_status


class WholeAnswer:
    """The answer to one question.

    Args:
        state: what all requests share.
        question: that passed its check.
    """

    def __init__(self, state: State, question: Question) -> None:
        self._state, self._guard, self._question = state, state.guard, question

    async def body(self) -> bytes:
        """The response's body.

        Raises:
            ApiError: the upstream failed, or 503: a choice could not be checked.
        """
        question, tries = self._question, 0
        completion = await self._completion(question.request.forward)
        looked = await look_at_answer(self._guard, completion, question.asked)
        decisions = dict(looked.by_choice)
        while bad := [index for index, one in decisions.items() if tries < tries_of(one)]:
            tries += 1
            await self._record(completion, {index: decisions[index] for index in bad})
            completion, others = await self._again(completion, bad, decisions[bad[0]])
            decisions |= (await look_at_answer(self._guard, others, question.asked)).by_choice
        await self._record(completion, {i: one.withheld() for i, one in decisions.items()})
        for one in decisions.values():
            renewed = tries > 0 and not one.stops
            question.exchange.decided(one.withheld(), "regenerated" if renewed else None)
        if any(one.stops and one.failed for one in decisions.values()):
            raise guard_unavailable()
        final = replace(looked, by_choice=decisions)
        policy = self._guard.policy
        return serialised(body_of(completion, final, policy, question.request.prompt))

    async def _completion(self, forward: dict[str, Any]) -> Completion:
        """Ask the upstream."""
        state, limits = self._state, self._state.limits
        with upstream_faults():
            async with asyncio.timeout(limits.upstream_s):
                response = await state.upstream.complete(serialised(forward), self._question.caller)
                try:
                    await check_status(response, self._guard, self._question.asked.request_id)
                    body = await whole(response, limits.answer_bytes)
                finally:
                    response.close()  # one that was read to its end is back in the pool already
        value = parsed(body, limits.answer_bytes)
        asked = max(1, min(int(forward.get("n") or 1), MOST_CHOICES))
        return read_completion(value, self._guard.policy.unknown_keys, asked)

    async def _record(self, completion: Completion, decisions: Mapping[int, Decision]) -> None:
        facts = Facts(dropped=unread_keys(completion.dropped))
        for choice in completion.choices:
            if choice.index in decisions:
                parts, asked = parts_of(choice.parts), self._question.asked
                await self._guard.record(decisions[choice.index], parts, asked, facts)
                facts = Facts()  # the keys are the body's, and counted once

    async def _again(
        self, completion: Completion, bad: Sequence[int], decision: Decision
    ) -> tuple[Completion, Completion]:
        """The answer with others in place of the bad ones, and those others alone.

        The tokens of all calls are counted.
        """
        request = self._question.request
        forward = asked_again(request.forward, decision, request.prompt)
        if request.n > 1:
            forward["n"] = len(bad)
        more = await self._completion(forward)
        news = {
            index: (replace(choice, index=index), {**body, "index": index})
            for index, choice, body in zip(bad, more.choices, more.forward["choices"], strict=False)
        }
        bodies = [
            news[body["index"]][1] if body["index"] in news else body
            for body in completion.forward["choices"]
        ]
        choices = tuple(
            news[one.index][0] if one.index in news else one for one in completion.choices
        )
        forward = {**completion.forward, "choices": bodies}
        usage = added_usage(completion.forward.get("usage"), more.forward.get("usage"))
        forward = {key: value for key, value in forward.items() if key != "usage"}
        if usage is not None:
            forward["usage"] = usage
        renewed = replace(more, choices=tuple(choice for choice, _ in news.values()))
        # the keys that were left out of the first one are counted by now
        found = replace(completion, forward=forward, choices=choices, dropped=more.dropped)
        return found, renewed
