"""A provider's filter: whose texts it stops again and again doesn't take the judge from others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from guard.decision import Decision, Part
from guard.engine import Asked, Guard
from guard.server.keys import add_key
from judge.llm.about import current_about
from judge.records import Turn
from judge.testing import ScriptedJudge
from judge.verdict import Case, Outcome
from tests.guard.llm_made import llm_guard
from tests.guard.made import ABUSE, BAD, LEGAL, guard, policy
from tests.guard.server.records import ended, judging, lines, row, submitted
from tests.guard.test_labelling import queue
from tests.openai_server import FILTERS, OpenAIServer, Reply
from tests.oracle import oracle

STOPPED = "这句话总被拦下"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def filtering(request: dict[str, Any], number: int) -> Reply:
    """A provider whose filter stops one text."""
    if STOPPED in json.dumps(request["messages"], ensure_ascii=False):
        return FILTERS["zhipu_input"]
    return oracle()(request, number)


async def answer(one: Guard, text: str, *said: str) -> Decision:
    """The decision about an answer to the last of what a user has said."""
    *before, prompt = said
    history = tuple(Turn(role="user", content=text) for text in before)
    return await one.look("output", [Part("text", text)], Asked(prompt=prompt, history=history))


async def test_one_user_s_texts_do_not_take_the_judge_from_the_others() -> None:
    """Thirty answers of one conversation are stopped: it alone rests, and the others are judged."""
    with OpenAIServer(filtering) as server:
        async with llm_guard(server) as one:
            for number in range(30):
                assert (await answer(one, STOPPED, "我是甲", f"再来{number}")).failed
            assert len(server.requests) == 20
            assert (await answer(one, "好", "我是乙")).status == "allowed"
            assert (await answer(one, "好", "我是甲", "换一句")).failed
            assert len(server.requests) == 21


async def test_many_users_texts_pause_the_provider() -> None:
    """A provider that stops everybody's would lock the account: then nobody's are sent."""
    with OpenAIServer(filtering) as server:
        async with llm_guard(server) as one:
            for number in range(30):
                assert (await answer(one, STOPPED, f"我是{number}")).failed
            assert (await answer(one, "好", "我是乙")).failed
            assert len(server.requests) == 20


class Noting(ScriptedJudge):
    """Notes whom each call is about."""

    def __init__(self) -> None:
        super().__init__(lambda _: 0.9)
        self.about: list[str | None] = []

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        self.about += [current_about()] * len(cases)
        return await super().assess(cases)


async def test_each_call_of_a_guard_is_about_its_conversation(tmp_path: Path) -> None:
    """Also those whose answers go to people."""
    judge, people = Noting(), Noting()
    one = guard(
        policy({**ABUSE, "action": "human"}, LEGAL), judge, people=queue(tmp_path, 0.0, people)
    )
    asked = [Asked(prompt="甲"), Asked(prompt="再说", history=(Turn(role="user", content="甲"),))]
    for each in [*asked, Asked(prompt="乙")]:
        await one.check("output", [Part("text", BAD)], each)
    assert one._around.people is not None
    await one._around.people.aclose()  # type: ignore[attr-defined]
    for noted in (judge.about, people.about):
        assert noted[0] == noted[1] == asked[0].conversation
        assert noted[2] == Asked(prompt="乙").conversation


async def test_each_call_about_records_is_about_their_caller(tmp_path: Path) -> None:
    """However they are sent; without keys all callers are one."""
    file = tmp_path / "keys.json"
    ann = f"Bearer {add_key(file, 'ann', None, NOW)}"
    for keys, told, name in ((file, {"authorization": ann}, "ann"), (None, {}, "anyone")):
        judge = Noting()
        async with judging(judge, tmp_path / name, keys=keys) as served:
            assert (await served.post("/v1/judge", row(1), **told)).status == 200
            run = await submitted(served, lines([row(2), row(3)]), **told)
            await ended(served, run, **told)
        assert judge.about == [name] * 3
