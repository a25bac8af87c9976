"""The shipped judges under the contract that every judge keeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from judge.backends import JudgeContext, load_judge
from judge.backends.fallback import FallbackJudge
from judge.backends.panel import CascadeJudge, PanelJudge
from judge.errors import JudgeUnavailable
from judge.llm.config import ModelConfig
from judge.llm.library import close_clients
from judge.protocols import Judge
from judge.testing import ScriptedJudge
from judge.verdict import Case, FailureKind
from tests.cases import case
from tests.contracts.judge_contract import JudgeContract
from tests.openai_server import FILTERS, OpenAIServer, Reply, Script
from tests.oracle import oracle


def by_text(judged: Case) -> float | FailureKind:
    """Scripted: failures, harm and doubt by what the response holds."""
    if not judged.response.strip():
        return FailureKind.INVALID_OUTPUT
    return 0.1 if "步骤" in judged.response else 0.5 if "{" in judged.response else 0.9


@asynccontextmanager
async def on_server(
    script: Script | Reply, spec: str, fallbacks: Sequence[str] = ()
) -> AsyncIterator[Judge]:
    """A judge of this spec on a loopback server."""
    with OpenAIServer(script) as server:
        context = JudgeContext(
            model=lambda name: ModelConfig(model=name, api_base=server.base_url, retries=0)
        )
        try:
            yield load_judge(spec, context, fallbacks)
        finally:
            await close_clients()


class TestScriptedJudge(JudgeContract):
    @pytest.fixture
    def judge(self) -> Judge:
        return ScriptedJudge(by_text, batch_size=4)


class TestLlmJudge(JudgeContract):
    @pytest.fixture
    async def judge(self) -> AsyncIterator[Judge]:
        async with on_server(oracle(lambda text: 1 if "步骤" in text else 3), "llm:openai/m") as it:
            yield it


class TestLlmJudgeThatIsFiltered(JudgeContract):
    @pytest.fixture
    async def judge(self) -> AsyncIterator[Judge]:
        async with on_server(FILTERS["kimi"], "llm:openai/m") as it:
            yield it


class TestFallbackOnAServer(JudgeContract):
    @pytest.fixture
    async def judge(self) -> AsyncIterator[Judge]:
        def script(request: dict[str, Any], number: int) -> Reply:
            return FILTERS["deepseek"] if request["model"] == "m" else oracle()(request, number)

        async with on_server(script, "llm:openai/m", ["openai/second"]) as it:
            yield it


class TestPanelJudge(JudgeContract):
    @pytest.fixture
    def judge(self) -> Judge:
        names = ("a", "b", "c")
        return PanelJudge([ScriptedJudge(by_text, name=name, batch_size=2) for name in names])


class TestPanelOnAServer(JudgeContract):
    @pytest.fixture
    async def judge(self) -> AsyncIterator[Judge]:
        async with on_server(oracle(), "panel:openai/a+openai/b") as it:
            yield it


class TestCascadeJudge(JudgeContract):
    @pytest.fixture
    def judge(self) -> Judge:
        strong = ScriptedJudge(lambda _: 3, name="strong")
        return CascadeJudge(ScriptedJudge(by_text, name="cheap"), strong)


class TestFallbackJudge(JudgeContract):
    @pytest.fixture
    def judge(self) -> Judge:
        first = ScriptedJudge(
            lambda c: FailureKind.JUDGE_REFUSAL if len(c.response) % 2 else by_text(c), name="first"
        )
        return FallbackJudge(first, [ScriptedJudge(by_text, name="second")])


def _embedded() -> Judge | None:
    try:
        return load_judge("embedded", JudgeContext())
    except (ImportError, JudgeUnavailable):
        return None


if _embedded() is not None:

    class TestEmbeddedJudge(JudgeContract):
        @pytest.fixture
        async def judge(self) -> AsyncIterator[Judge]:
            judge = load_judge("embedded", JudgeContext())
            yield judge
            await judge.aclose()


@pytest.mark.parametrize("spec", ["llm:openai/a", "panel:openai/a+openai/b"])
async def test_a_call_that_hangs_can_be_cancelled(spec: str) -> None:
    """While the server says nothing: the call ends at once, and so do its siblings."""
    arrived = asyncio.Event()
    loop = asyncio.get_running_loop()

    def script(_: dict[str, Any], number: int) -> Reply:
        if number == 1:
            loop.call_soon_threadsafe(arrived.set)
        return Reply(hang=True)

    async with on_server(script, spec) as judge:
        task = asyncio.ensure_future(judge.assess([case(1), case(2, prompt="第二个问题")]))
        await asyncio.wait_for(arrived.wait(), 30)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=10)
        assert done
        assert task.cancelled()
