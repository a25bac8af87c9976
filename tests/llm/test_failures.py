"""Every shape of no, through the real litellm from a real server, with one HTTP call each."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from judge.llm.client import CallFailed, ChatClient, Traffic
from judge.llm.config import ModelConfig
from judge.llm.failures import ProviderFailure, classify, inspect
from judge.llm.library import close_clients
from judge.verdict import FailureKind
from tests.openai_server import FILTERS, SPENT, OpenAIServer, Reply, error, ok, openai_error

MODELS = ("openai/m", "deepseek/deepseek-chat", "dashscope/qwen-plus", "moonshot/kimi-k2",
          "volcengine/doubao", "minimax/MiniMax-M2", "zai/glm-4.6")  # fmt: skip
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECRET = "张三的电话"


def failure_of(reply: Reply, model: str = "openai/m") -> tuple[ProviderFailure, int]:
    """What a client without retries makes of this answer, and how many calls it made."""

    async def ask(base: str) -> ProviderFailure:
        config = ModelConfig(model=model, api_base=base, retries=0, timeout_s=5)
        client = ChatClient(config, Traffic(now=lambda: NOW))
        failures: list[ProviderFailure] = []
        client._raise_if_fatal = failures.append  # type: ignore[method-assign]
        with pytest.raises(CallFailed) as raised:
            await client.complete([{"role": "user", "content": SECRET}])
        await close_clients()
        return raised.value.failure

    with OpenAIServer(reply) as server:
        failure = asyncio.run(ask(server.base_url))
        return failure, len(server.requests)


@pytest.mark.parametrize("shape", FILTERS)
@pytest.mark.parametrize("model", MODELS)
def test_a_content_filter_is_told_from_everything_else(model: str, shape: str) -> None:
    """Each provider's shape, whichever of litellm's providers it comes through: never retried."""
    failure, calls = failure_of(FILTERS[shape], model)
    output = shape.endswith(("_output", "_finish"))
    wanted = FailureKind.PROVIDER_FILTER_OUTPUT if output else FailureKind.PROVIDER_FILTER_INPUT
    assert (failure.kind, failure.retry, failure.fatal, calls) == (wanted, False, False, 1)


@pytest.mark.parametrize("shape", SPENT)
@pytest.mark.parametrize("model", ["openai/m", "deepseek/deepseek-chat", "zai/glm-4.6"])
def test_an_empty_account_is_not_waited_for(model: str, shape: str) -> None:
    """Quota and arrears come as 429, 402, 403, 400 or 200: none of them is retried."""
    failure, _ = failure_of(SPENT[shape], model)
    assert (failure.kind, failure.retry) == (FailureKind.QUOTA, False)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_what_may_pass_is_retried_by_us_alone(model: str, status: int) -> None:
    """litellm's own retries are off: one call, whatever the provider."""
    failure, calls = failure_of(openai_error(status, "try later", retry_after="7"), model)
    wanted = FailureKind.RATE_LIMITED if status == 429 else FailureKind.UNAVAILABLE
    assert (failure.kind, failure.retry, failure.retry_after_s) == (wanted, True, 7.0)
    assert calls == 1


def test_a_retry_after_that_is_a_date_is_understood() -> None:
    """RFC 9110 allows both forms."""
    reply = openai_error(429, "slow", retry_after="Tue, 24 Nov 2026 12:00:30 GMT")
    assert failure_of(reply)[0].retry_after_s == 30.0


def test_a_provider_that_asks_for_hours_is_not_waited_for() -> None:
    """The row is left to the next run."""
    failure, _ = failure_of(openai_error(429, "slow", retry_after="7200"))
    assert (failure.kind, failure.retry) == (FailureKind.RATE_LIMITED, False)


@pytest.mark.parametrize(
    ("reply", "kind", "retry"),
    [
        (ok("不完", "length"), FailureKind.TRUNCATED, False),
        (ok("不完", "insufficient_system_resource"), FailureKind.UNAVAILABLE, True),
        (ok("不完", "network_error"), FailureKind.UNAVAILABLE, True),
        (ok("不完", "model_context_window_exceeded"), FailureKind.OVERSIZE, False),
        (ok(None, message={"refusal": "I can't help."}), FailureKind.JUDGE_REFUSAL, False),
        (ok("抱歉，我无法评判这样的内容。"), FailureKind.JUDGE_REFUSAL, False),
        (ok("I'm sorry, but I can't help with that."), FailureKind.JUDGE_REFUSAL, False),
        (Reply('{"id": "x", "cho'), FailureKind.UNAVAILABLE, True),
        (Reply(reset=True), FailureKind.UNAVAILABLE, True),
        (openai_error(400, "maximum context length is 8192", "context_length_exceeded"),
         FailureKind.OVERSIZE, False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("model", ["openai/m", "deepseek/deepseek-chat"])
def test_each_other_failure_has_its_kind(
    model: str, reply: Reply, kind: FailureKind, retry: bool
) -> None:
    """Cut, faulty, refused and overlong answers are not bad JSON."""
    failure, _ = failure_of(reply, model)
    assert (failure.kind, failure.retry) == (kind, retry)


@pytest.mark.parametrize(
    ("status", "code"), [(401, "invalid_api_key"), (403, None), (404, "model_not_found")]
)
@pytest.mark.parametrize("model", MODELS)
def test_a_refused_key_and_an_unknown_model_are_dead_ends(
    model: str, status: int, code: str | None
) -> None:
    """No row could be judged: the run ends at once."""
    failure, calls = failure_of(openai_error(status, f"Incorrect key sk-{SECRET}", code), model)
    assert (failure.fatal, failure.retry, calls) == (True, False, 1)


@pytest.mark.parametrize(
    ("message", "unsupported"),
    [
        ("This response_format type is unavailable now", "response_format"),
        ("Unknown parameter: 'top_logprobs'", "logprobs"),
    ],
)
@pytest.mark.parametrize("model", ["openai/m", "deepseek/deepseek-chat"])
def test_a_parameter_that_is_not_taken_is_named(model: str, message: str, unsupported: str) -> None:
    """So that the judge can ask without it."""
    assert failure_of(openai_error(400, message), model)[0].unsupported == unsupported


def test_neither_texts_nor_keys_get_into_what_is_kept() -> None:
    """Providers quote the prompt and a part of the key in their messages, and even in codes."""
    reply = error(400, {"error": {"code": f"bad {SECRET}", "message": f"{SECRET} sk-abc123"}})
    failure, _ = failure_of(reply)
    assert SECRET not in repr(failure)
    assert "sk-" not in repr(failure)


def test_a_timeout_is_a_timeout() -> None:
    """The client's clock ends a call that hangs."""
    error_of_asyncio = classify(TimeoutError(), now=NOW)
    assert (error_of_asyncio.kind, error_of_asyncio.retry) == (FailureKind.TIMEOUT, True)


def test_a_finished_answer_is_not_a_failure() -> None:
    """A verdict that mentions an apology in its JSON is an answer."""
    message = SimpleNamespace(content='{"reason": "回复说抱歉，我不能"}', refusal=None)
    done = SimpleNamespace(choices=[SimpleNamespace(message=message, finish_reason="stop")])
    assert inspect(done) is None
