"""A provider's filter: texts that it stops again and again take the judge from nobody."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from guard.decision import Decision, Part
from guard.engine import Asked, Guard
from guard.server.keys.file import add_key
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


def filtering_and_harmful(request: dict[str, Any], number: int) -> Reply:
    """The same, of whose judge one word is harmful."""
    if STOPPED in json.dumps(request["messages"], ensure_ascii=False):
        return FILTERS["zhipu_input"]
    return oracle(lambda text: 1 if BAD in text else 3)(request, number)


async def answer(one: Guard, text: str, *said: str) -> Decision:
    """The decision about an answer to the last of what a user has said."""
    *before, prompt = said
    history = tuple(Turn(role="user", content=text) for text in before)
    return await one.look("output", [Part("text", text)], Asked(prompt=prompt, history=history))


async def test_one_user_s_texts_do_not_take_the_judge_from_the_others() -> None:
    """In however many conversations, with whichever first words: each text is asked about."""
    with OpenAIServer(filtering) as server:
        async with llm_guard(server) as one:
            for number in range(50):
                said = ("你好", f"再来{number}") if number % 2 else (f"我是{number}",)
                decision = await answer(one, STOPPED, *said)
                assert [missed.kind for missed in decision.missed] == ["provider_filter_input"]
                assert decision.failed
            assert len(server.requests) == 50
            assert not one.breaker_open
            for said in (("你好", "换一句"), ("我是乙",)):
                assert (await answer(one, "好", *said)).status == "allowed"


async def test_texts_that_are_stopped_leave_none_unchecked_where_failures_let_pass() -> None:
    """They pass themselves, told as such; what is harmful is stopped behind them as before."""
    with OpenAIServer(filtering_and_harmful) as server:
        async with llm_guard(server, on_failure="allow") as one:
            for number in range(25):
                assert (await answer(one, STOPPED, "我是甲", str(number))).status == "failed_open"
            assert (await answer(one, BAD, "我是甲", "现在")).status == "blocked"
            assert (await answer(one, BAD, "我是乙")).status == "blocked"


class Noting(ScriptedJudge):
    """Notes whom each call is about."""

    def __init__(self) -> None:
        super().__init__(lambda _: 0.9)
        self.about: list[str | None] = []

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        self.about += [current_about()] * len(cases)
        return await super().assess(cases)


async def test_nobody_is_known_to_have_chosen_the_texts_of_a_guard_s_calls(tmp_path: Path) -> None:
    """Also of those whose answers go to people."""
    judge, people = Noting(), Noting()
    waiting = queue(tmp_path, 0.0, people)
    one = guard(policy({**ABUSE, "action": "human"}, LEGAL), judge, people=waiting)
    for prompt in ("甲", "乙"):
        await one.check("output", [Part("text", BAD)], Asked(prompt=prompt))
    await waiting.aclose()
    assert judge.about == people.about == [None, None]


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
