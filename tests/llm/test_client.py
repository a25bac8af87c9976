"""The client's promises on money, secrets, waiting and odd answers, through the real litellm."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any

import pytest
from tenacity import RetryCallState
from tenacity.wait import wait_incrementing

from judge.errors import BudgetReached, JudgeUnavailable
from judge.llm.client import CallFailed, ChatClient, Completion, Traffic
from judge.llm.config import ModelConfig
from judge.llm.library import close_clients
from judge.llm.limits import AdaptiveConcurrency, Spend
from judge.store import DiskStore
from judge.verdict import Failure, FailureKind, Outcome, Usage, Verdict
from tests.backends.test_llm import Setup, answer, failure_of, judged
from tests.cases import case
from tests.openai_server import FILTERS, OpenAIServer, Reply, ok, openai_error

ASKED = [{"role": "user", "content": "你好"}]


async def ask(server: OpenAIServer, traffic: Traffic | None = None, **config: Any) -> Completion:
    """One call."""
    given = {"model": "openai/m", "api_base": server.base_url, "retries": 0} | config
    try:
        return await ChatClient(ModelConfig(**given), traffic or Traffic()).complete(ASKED)
    finally:
        await close_clients()


async def one_by_one(calls: Iterable[Coroutine[Any, Any, Completion]]) -> None:
    for call in calls:
        await call


def without_usage(content: str) -> Reply:
    body = dict(ok(content).body)  # type: ignore[arg-type]
    del body["usage"]
    return Reply(body)


async def test_tokens_that_a_provider_does_not_tell_are_null_and_not_0() -> None:
    """litellm puts zeros there; neither they nor a price of nothing are made up."""
    with OpenAIServer(without_usage("好")) as server:
        given = await ask(server, price=(1.0, 1.0))
    assert (given.usage, given.cost_usd) == (Usage(), None)


async def test_a_budget_is_kept_where_a_provider_tells_no_tokens() -> None:
    """Such calls count as what they were expected to cost, so that the run does end."""
    traffic = Traffic(spend=Spend(budget_usd=0.001))
    with OpenAIServer(without_usage("好")) as server:
        calls = (ask(server, traffic, price=(1.0, 1.0)) for _ in range(20))
        with pytest.raises(BudgetReached):
            await one_by_one(calls)
        assert 1 <= len(server.requests) < 20


@pytest.mark.parametrize("half", ["\\ud83d", "\\ude00"])
def test_half_a_character_in_an_answer_costs_no_row(half: str) -> None:
    """Cut emoji come back as half a surrogate pair, which no file can hold: it is replaced."""
    content = answer(reason="指出违法X，不讲做法，建议沟通。")
    outcomes, server, _ = judged(Reply(json.dumps(ok(content).body).replace("X", half)))
    (outcome,) = outcomes
    assert isinstance(outcome, Verdict), outcome
    assert "\ufffd" in outcome.reason
    assert len(server.requests) == 1


async def test_whole_pairs_stay_as_they_are() -> None:
    """An emoji is no half of anything."""
    with OpenAIServer(ok("好😀")) as server:
        assert (await ask(server)).content == "好😀"


def test_waiting_calls_are_not_sent_once_the_breaker_is_open() -> None:
    """A hundred rows wait for a place; when twenty were filtered, only those in flight go on."""

    async def run(server: OpenAIServer) -> list[Outcome]:
        setup = Setup(server)
        setup.traffic.concurrency = AdaptiveConcurrency(4, 4)
        rows = (setup.judge.assess([case(n, prompt=f"问题{n}")]) for n in range(100))
        outcomes = [outcome for row in await asyncio.gather(*rows) for outcome in row]
        await close_clients()
        return outcomes

    with OpenAIServer(FILTERS["zhipu_input"]) as server:
        outcomes = asyncio.run(run(server))
        assert 20 <= len(server.requests) < 24
    assert sum(isinstance(o, Failure) and o.kind is FailureKind.UNAVAILABLE for o in outcomes) > 75


async def test_a_key_in_the_address_is_not_printed() -> None:
    """The server is named, without what opens it."""
    base = "http://127.0.0.1:9/v1?key=hunter2"
    with pytest.raises(JudgeUnavailable, match=r"127\.0\.0\.1:9") as raised:
        await ChatClient(ModelConfig(model="openai/m", api_base=base), Traffic()).complete(ASKED)
    await close_clients()
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("key", ["sk-abcdef0123456789", "abcdef0123456789"])
def test_a_key_given_in_place_of_its_variable_s_name_is_not_printed(key: str) -> None:
    """The mistake is explained; the key is not repeated."""
    with pytest.raises(JudgeUnavailable, match="name of the variable") as raised:
        ChatClient(ModelConfig(model="openai/m", api_key_env=key), Traffic())
    assert key not in str(raised.value)
    with pytest.raises(JudgeUnavailable, match="MY_KEY"):
        ChatClient(ModelConfig(model="openai/m", api_key_env="MY_KEY"), Traffic())


async def test_retry_after_is_waited_out_and_then_some(monkeypatch: pytest.MonkeyPatch) -> None:
    """All calls that were refused together get the same Retry-After: jitter comes on top of it."""
    waits: list[float] = []
    traffic = Traffic(backoff=wait_incrementing(0.01, 0.01))
    with OpenAIServer(openai_error(429, "slow down", retry_after="0.05")) as server:
        config = ModelConfig(model="openai/m", api_base=server.base_url, retries=3)
        client = ChatClient(config, traffic)
        wait = client._wait

        def noted(state: RetryCallState) -> float:
            waits.append(wait(state))
            return waits[-1]

        monkeypatch.setattr(client, "_wait", noted)
        with pytest.raises(CallFailed):
            await client.complete(ASKED)
        await close_clients()
    assert waits[:3] == pytest.approx([0.06, 0.07, 0.08])


def test_a_provider_that_grants_no_more_room_leaves_a_cut_answer_cut() -> None:
    """The row is truncated, which is settled, and not unavailable, which would be paid again."""

    def script(request: dict[str, Any], _: int) -> Reply:
        if request["max_tokens"] > 2048:
            return openai_error(400, "Range of max_tokens should be [1, 2048]")
        return ok('{"label": 3', "length")

    outcomes, server, _ = judged(script)
    assert failure_of(outcomes).kind is FailureKind.TRUNCATED
    assert len(server.requests) == 2


async def test_a_server_without_logprobs_is_paid_once_and_not_once_a_run(tmp_path: Path) -> None:
    """What the server takes is found out in each run; the cache's keys don't depend on it."""

    def script(request: dict[str, Any], _: int) -> Reply:
        if "logprobs" in request:
            return openai_error(400, "'logprobs' is not supported by this model")
        return ok(answer())

    cases = [case(n, prompt=f"问题{n}") for n in range(3)]
    with OpenAIServer(script) as server:
        store = DiskStore(tmp_path)
        for one in cases:
            await Setup(server, store=store).judge.assess([one])
        asked = len(server.requests)
        outcomes = await Setup(server, store=store).judge.assess(cases)
        store.close()
        await close_clients()
        assert len(server.requests) == asked
    assert all(outcome.cached for outcome in outcomes)


async def test_samples_that_were_paid_for_are_kept_when_the_budget_stops_the_row(
    tmp_path: Path,
) -> None:
    """Three of four samples fit in the budget: a larger one pays for the fourth alone."""
    script = ok(answer(), usage={"prompt_tokens": 1_000_000, "completion_tokens": 0})
    with OpenAIServer(script) as server:
        store = DiskStore(tmp_path)
        given = {"samples": 4, "price": (1.0, 0.0), "store": store, "temperature": 0.7}
        setup = Setup(server, budget=3.5, **given)
        setup.traffic.concurrency = AdaptiveConcurrency(1, 1)
        with pytest.raises(BudgetReached):
            await setup.judge.assess([case()])
        paid = len(server.requests)
        (outcome,) = await Setup(server, budget=9.0, **given).judge.assess([case()])
        store.close()
        await close_clients()
        assert (paid, len(server.requests)) == (3, 4)
    assert outcome.cost_usd == pytest.approx(1.0)


def test_an_odd_answer_s_text_is_not_in_a_warning_on_the_terminal() -> None:
    """pydantic would quote it; litellm's cancelled calls would be named."""
    code = (
        "import warnings; from judge.llm.library import load_litellm; load_litellm()\n"
        "from litellm import ModelResponse\n"
        "answer = ModelResponse(); answer.choices = {'秘密': '文本'}; answer.model_dump()\n"
        "async def acompletion(): pass\n"
        "acompletion(); print('done')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "done"
    assert done.stderr == ""
