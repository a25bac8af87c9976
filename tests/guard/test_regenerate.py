"""Another answer is asked for: what becomes of bad, broken and unchecked tries."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

import guard as package
from guard.errors import GuardUnavailable
from judge.testing import ScriptedJudge
from judge.verdict import Case, Outcome, Usage
from tests.contracts.guard_contract import rule_of
from tests.contracts.guard_marks import BAD, BROKEN, MARKS, SORRY, story
from tests.guard.jumping import in_jumps
from tests.guard.made import Memory, guard, policy
from tests.guard.server.serving import Answer, Stand, standing
from tests.guard.upstream import Call, completion

AGAIN = {"dimension": "Legality", "cut": 0.5, "action": "regenerate", "tries": 3}
BROKEN_OFF = "broken off"


async def asked(*said: str | int) -> tuple[Answer, Stand]:
    """One question to a model that answers so, one time after the other; a number is a status."""
    texts = iter(said)

    async def script(call: Call) -> None:
        text = next(texts)
        if text == BROKEN_OFF:
            await call.cut()
        elif isinstance(text, int):
            await call.answer({"error": {"message": BAD, "code": None}}, text)
        else:
            await call.answer(completion(text))

    async with standing(script, [rule_of("regenerate", tries=3)]) as stand:
        answer = await stand.served.chat()
    return answer, stand


def statuses(stand: Stand) -> list[str]:
    return [event.status for event in stand.marked.events.of("output")]


async def test_each_of_so_many_bad_tries_is_recorded_and_none_gets_out() -> None:
    """The first answer and three tries; then the message."""
    answer, stand = await asked(*(story(9, seed=n) + BAD for n in range(4)), "好。")
    assert (answer.status, answer.text) == (200, SORRY)
    assert answer.json["choices"][0]["finish_reason"] == "content_filter"
    assert statuses(stand) == ["regenerated"] * 3 + ["blocked"]
    assert len(stand.upstream.calls) == 4
    assert BAD.encode() not in answer.body


@pytest.mark.parametrize(("then", "status"), [(500, 500), (429, 429), (BROKEN_OFF, 502)])
async def test_a_model_that_fails_in_a_second_try_is_an_error_and_not_the_first_answer(
    then: str | int, status: int
) -> None:
    """What was found bad stays inside, whatever becomes of what was to replace it."""
    answer, stand = await asked(BAD, BAD, then, "好。")
    assert answer.status == status
    assert not any(mark.encode() in answer.body for mark in MARKS)
    assert (statuses(stand)[:2], len(stand.upstream.calls)) == (["regenerated"] * 2, 3)


async def test_a_try_that_can_t_be_checked_is_no_answer_and_no_further_try() -> None:
    """A check that fails is not what a rule asks to write anew."""
    answer, stand = await asked(BAD, story(9) + BROKEN, "好。")
    assert (answer.status, answer.code) == (503, "guard_unavailable")
    assert statuses(stand) == ["regenerated", "failed"]
    assert len(stand.upstream.calls) == 2


class Takes(ScriptedJudge):
    """Takes 1.5 seconds and a dollar for each verdict."""

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        await asyncio.sleep(1.5)
        more = {"cost_usd": 1.0, "usage": Usage(prompt=1)}
        return [one.model_copy(update=more) for one in await super().assess(cases)]


def wrapped(*said: str, **plan: Any) -> tuple[Callable[[str], Awaitable[str]], list[str], Memory]:
    """A chat function that says so, one time after the other, under a slow and dear judge."""
    texts, prompts, sink = iter(said), [], Memory()

    async def chat(prompt: str) -> str:
        prompts.append(prompt)
        text = next(texts)
        if text == BROKEN_OFF:
            raise ConnectionError(text)
        return text

    judge = Takes(lambda case: 0.1 if BAD in case.response else 0.9)
    one = guard(policy(AGAIN, deadline_s=2.0, **plan), judge, sinks=(sink,))
    return package.wrap(chat, one), prompts, sink


def test_the_deadline_is_of_each_try_s_check() -> None:
    """Four checks of 1.5 seconds under a deadline of 2: none is late."""
    chat, prompts, sink = wrapped(BAD, BAD, BAD, "好。")
    said, seconds = in_jumps(chat("问"))
    assert (said, seconds, len(prompts)) == ("好。", 6.0, 4)
    outputs = [event for event in sink.events if event.side == "output"]
    assert [event.status for event in outputs] == ["regenerated"] * 3 + ["allowed"]
    assert not any(event.missed for event in outputs)


def test_a_wrapped_function_that_raises_in_a_second_try_raises_that() -> None:
    """Its caller gets the function's own error, and not the bad answer before it."""
    chat, prompts, sink = wrapped(BAD, BROKEN_OFF)
    with pytest.raises(ConnectionError, match=BROKEN_OFF):
        in_jumps(chat("问"))
    assert (len(prompts), sink.events[-1].status) == (2, "regenerated")


def test_money_that_ends_between_two_tries_leaves_the_next_one_unchecked_and_inside() -> None:
    """Each try's check costs; the last one can't be made, so that its answer does not get out."""
    chat, prompts, sink = wrapped(BAD, BAD, "好。", budget_usd_per_day=1.5)
    with pytest.raises(GuardUnavailable):
        in_jumps(chat("问"))
    assert len(prompts) == 3
    assert [missed.kind for missed in sink.events[-1].missed] == ["budget"]
