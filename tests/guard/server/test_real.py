"""A real model behind the guard, asked by OpenAI's client; opt in with `-m real_llm`.

FLAMES_JUDGE_TEST_API_BASE is the base URL of an OpenAI-compatible server (llama.cpp, vLLM, ...).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Any

import openai
import pytest

from guard.loading import Given, load_guard
from guard.policy import Policy
from guard.server.settings import Limits
from judge.testing import ScriptedJudge
from tests.contracts.guard_marks import SORRY
from tests.guard.server.serving import serving, state_of

pytestmark = pytest.mark.real_llm
BASE = os.environ.get("FLAMES_JUDGE_TEST_API_BASE", "")
MODEL = os.environ.get("FLAMES_JUDGE_TEST_MODEL", "local")
CITY = "北京"
ASKED: list[Any] = [{"role": "user", "content": "用两三句话介绍一下北京。"}]


class CityScanner:
    """Finds a city's name in what the model says, where it is told to."""

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict

    def kinds(self, text: str) -> Sequence[tuple[str, str]]:
        return [("abuse", "plain")] if self._strict and CITY in text else []


@pytest.mark.skipif(not BASE, reason="FLAMES_JUDGE_TEST_API_BASE is not set")
@pytest.mark.parametrize("strict", [False, True])
async def test_a_real_model_s_answers_pass_or_are_blocked(strict: bool) -> None:
    """Whole and streamed, by OpenAI's own client, with the model's real tokens."""
    rules = [{"evidence": "abuse", "side": "output", "action": "block"}]
    messages = {"zh": SORRY, "en": SORRY}
    plan = {"version": 1, "judge": "llm:none", "rules": rules, "messages": messages}
    given = Given(judge=ScriptedJudge(lambda _: 1.0), scanner=CityScanner(strict=strict))
    guard = load_guard(Policy.model_validate(plan), given)

    def ask(base: str) -> tuple[str, str, str, Any]:
        with openai.OpenAI(base_url=f"{base}/v1", api_key="none", timeout=300) as client:
            settings: Any = {"model": MODEL, "messages": ASKED, "max_tokens": 120, "temperature": 0}
            whole = client.chat.completions.create(**settings)
            chunks = list(
                client.chat.completions.create(
                    **settings, stream=True, stream_options={"include_usage": True}
                )
            )
        said = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        (finish,) = [
            c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason
        ]
        return whole.choices[0].message.content or "", said, finish, chunks[-1].usage

    async with serving(state_of(guard, BASE, limits=Limits(usage_s=120))) as served:
        whole, said, finish, usage = await asyncio.to_thread(ask, served.base)
    assert usage is not None
    assert usage.completion_tokens > 5
    if strict:
        assert whole == SORRY
        assert said.endswith(SORRY)
        assert CITY not in said
        assert finish == "content_filter"
    else:
        assert CITY in whole
        assert CITY in said
        assert finish in {"stop", "length"}
