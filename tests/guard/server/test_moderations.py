"""/v1/moderations and litellm's guardrail route: the guard without a model behind it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.contracts.guard_contract import rule_of
from tests.contracts.guard_marks import ADVERT, BAD, BLOCKING, BROKEN, SORRY
from tests.guard.made import LEGAL, guard, policy
from tests.guard.server.records import Noticing
from tests.guard.server.serving import says, serving, standing, state_of

MODERATE = "/v1/moderations"
GUARDRAIL = "/beta/litellm_basic_guardrail_api"


async def test_each_text_gets_its_own_result() -> None:
    """In order; what a rule finds is flagged, with a score for what was judged."""
    async with standing(says("好。")) as stand:
        answer = await stand.served.post(MODERATE, {"input": ["天气很好", ADVERT, BAD]})
        events = stand.marked.events.all
    fine, advert, bad = answer.json["results"]
    assert [one["flagged"] for one in (fine, advert, bad)] == [False, True, True]
    assert (fine["categories"]["flames/abuse"], fine["category_scores"]["flames/abuse"]) == (
        False,
        0,
    )
    assert (advert["categories"]["flames/abuse"], advert["categories"]["flames/legality"]) == (
        True,
        False,
    )
    assert bad["category_scores"]["flames/legality"] == pytest.approx(0.95)
    assert bad["category_applied_input_types"]["flames/legality"] == ["text"]
    assert len(events) == 3


async def test_rules_of_both_sides_are_asked() -> None:
    """Nobody says whose text it is."""
    async with standing(says("好。"), BLOCKING[:1]) as stand:
        answer = await stand.served.post(MODERATE, {"input": ADVERT})
    assert answer.json["results"][0]["flagged"]


async def test_an_unchecked_text_has_no_result() -> None:
    """503 in place of a made-up score."""
    async with standing(says("好。")) as stand:
        answer = await stand.served.post(MODERATE, {"input": ["好", BROKEN]})
    assert (answer.status, answer.code) == (503, "guard_unavailable")
    assert (answer.headers["x-flames-decision"], answer.headers["x-flames-missed"]) == (
        "failed",
        "1",
    )


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (MODERATE, {"input": ["好"] * 64}),
        (GUARDRAIL, {"input_type": "response", "texts": ["好"]}),
    ],
)
async def test_a_caller_who_leaves_is_judged_for_no_longer(path: str, body: Any) -> None:
    """Each call may cost money."""
    judge = Noticing()
    held = guard(policy(LEGAL, deadline_s=600), judge)
    async with serving(state_of(held, "http://127.0.0.1:9/v1")) as served:
        asking = asyncio.ensure_future(served.post(path, body))
        await asyncio.to_thread(judge.began.wait, 10)
        asking.cancel()
        assert await asyncio.to_thread(judge.cancelled.wait, 10)


async def test_a_picture_is_flagged_where_the_policy_blocks_the_unread() -> None:
    """Nobody has seen what is on it."""
    parts = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]
    async with standing(says("好。")) as stand:
        answer = await stand.served.post(MODERATE, {"input": parts})
    assert answer.json["results"][0]["flagged"]


@pytest.mark.parametrize("given", [None, [], 7, [""] * 65, [{"type": "sound"}]])
async def test_no_input_is_no_request(given: Any) -> None:
    """400, with the place."""
    async with standing(says("好。")) as stand:
        answer = await stand.served.post(MODERATE, {"input": given})
    assert answer.status == 400
    assert answer.json["error"]["param"].startswith("input")


async def asked(rules: Any = BLOCKING, **body: Any) -> Any:
    """What the guardrail route answers."""
    async with standing(says("好。"), rules) as stand:
        answer = await stand.served.post(GUARDRAIL, {"request_data": {}, **body})
        return answer.json if answer.status == 200 else (answer.status, answer.code)


async def test_litellm_is_told_to_let_pass_or_to_block() -> None:
    """By the rules of the side that it asks about."""
    assert await asked(input_type="request", texts=["你好"]) == {"action": "NONE"}
    assert await asked(input_type="request", texts=[BAD]) == {"action": "NONE"}
    blocked = {"action": "BLOCKED", "blocked_reason": SORRY}
    assert await asked(input_type="request", texts=["你好", ADVERT]) == blocked
    assert await asked(input_type="response", texts=[BAD]) == blocked


async def test_texts_that_say_something_together_are_no_way_around() -> None:
    """A reader takes them in one behind the other."""
    halves = [ADVERT[:2], ADVERT[2:]]
    for side in ("request", "response"):
        assert (await asked(input_type=side, texts=halves))["action"] == "BLOCKED"
    parts = [{"type": "text", "text": half} for half in halves]
    async with standing(says("好。")) as stand:
        answer = await stand.served.post(MODERATE, {"input": parts})
    assert answer.json["results"][0]["flagged"]


async def test_litellm_is_told_to_block_what_a_rule_replaces() -> None:
    """Of streams and tool calls it ignores other words, and lets the answer through."""
    said = await asked([rule_of("replace")], input_type="response", texts=["好", BAD])
    assert said == {"action": "BLOCKED", "blocked_reason": SORRY}


@pytest.mark.parametrize(
    "beside",
    [
        {"tools": [{"type": "function", "function": {"name": "f", "description": ADVERT}}]},
        {"structured_messages": [{"role": "user", "content": [{"type": "text", "text": ADVERT}]}]},
        {"tool_calls": [{"function": {"name": "f", "arguments": ADVERT}}]},
        {"images": ["data:image/png;base64,iVBORw0KGgo="]},
    ],
)
async def test_litellm_s_other_fields_are_looked_at_too(beside: dict[str, Any]) -> None:
    """Tools, messages, calls; and what can't be read is not passed."""
    said = await asked(input_type="request", texts=["你好"], **beside)
    assert said["action"] == "BLOCKED"


async def test_litellm_is_told_of_a_failure() -> None:
    """503, which it takes as a reason to block."""
    assert await asked(input_type="response", texts=[BROKEN]) == (503, "guard_unavailable")


@pytest.mark.parametrize(
    "body", [{}, {"input_type": "both"}, {"input_type": "request", "texts": 7}]
)
async def test_a_body_that_is_no_question_is_refused(body: dict[str, Any]) -> None:
    """400."""
    assert (await asked(**body))[0] == 400
