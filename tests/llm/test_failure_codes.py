"""What codes, phrases and headers mean, where providers use the same ones differently."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.llm.failures import ProviderFailure, classify, inspect
from judge.verdict import FailureKind as Kind

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


class RaisedError(Exception):
    """An exception as litellm raises it: status, provider, headers, and the body in the message."""

    def __init__(
        self, status: int | None, body: object, provider: str = "openai", **headers: str
    ) -> None:
        super().__init__(f"litellm.APIError: {body if isinstance(body, str) else json.dumps(body)}")
        self.status_code, self.llm_provider = status, provider
        self.litellm_response_headers = {k.replace("_", "-"): v for k, v in headers.items()}


def meaning(status: int | None, body: object, *args: str, **headers: str) -> ProviderFailure:
    return classify(RaisedError(status, body, *args, **headers), now=NOW)


def error(**fields: object) -> dict[str, Any]:
    return {"error": fields}


def answer(content: str | None = "{}", finish: str = "stop", **more: object) -> SimpleNamespace:
    message = SimpleNamespace(content=content)
    return SimpleNamespace(choices=[SimpleNamespace(message=message, finish_reason=finish)], **more)


FREE = "Free allocated quota exceeded."
WEEK = "week allocated quota exceeded."


@pytest.mark.parametrize(
    ("provider", "message", "kind", "retry"),
    [
        ("openai", "You exceeded your current quota", Kind.QUOTA, False),
        ("dashscope", "You exceeded your current quota", Kind.RATE_LIMITED, True),
        ("dashscope", "Allocated quota exceeded, please increase", Kind.RATE_LIMITED, True),
        ("dashscope", FREE, Kind.QUOTA, False),
        ("dashscope", WEEK, Kind.QUOTA, False),
    ],
)
def test_dashscope_limits_tokens_a_minute_under_the_name_of_an_empty_account(
    provider: str, message: str, kind: Kind, retry: bool
) -> None:
    """The same code is an empty account at OpenAI; at DashScope it passes within the minute."""
    failure = meaning(429, error(code="insufficient_quota", message=message), provider)
    assert (failure.kind, failure.retry) == (kind, retry)


def test_dashscope_is_known_by_its_body_behind_an_openai_name() -> None:
    """Users reach it as openai/MODEL with its base URL too."""
    body = error(code="insufficient_quota", message="You exceeded your current quota")
    assert meaning(429, body | {"request_id": "r"}).kind is Kind.RATE_LIMITED


@pytest.mark.parametrize(
    ("quota", "kind"), [("PerMinute", Kind.RATE_LIMITED), ("PerDay", Kind.QUOTA)]
)
def test_gemini_says_in_its_details_how_long_a_quota_lasts(quota: str, kind: Kind) -> None:
    """Its message is OpenAI's for an empty account, whichever of its quotas was reached."""
    details = [{"violations": [{"quotaId": f"GenerateRequests{quota}"}]}, {"retryDelay": "34.5s"}]
    failure = meaning(429, error(code=429, message="exceeded your current quota", details=details))
    assert failure.kind is kind
    assert failure.retry_after_s == (34.5 if failure.retry else None)


@pytest.mark.parametrize(
    ("code", "kind", "retry", "fatal"),
    [
        (1000, Kind.UNAVAILABLE, True, False),
        (1002, Kind.RATE_LIMITED, True, False),
        (1004, Kind.UNAVAILABLE, False, True),
        (1008, Kind.QUOTA, False, False),
        (1026, Kind.PROVIDER_FILTER_INPUT, False, False),
        (1027, Kind.PROVIDER_FILTER_OUTPUT, False, False),
        (1042, Kind.UNAVAILABLE, False, False),
        (2013, Kind.UNAVAILABLE, False, False),
        (2049, Kind.UNAVAILABLE, False, True),
        (2056, Kind.QUOTA, False, False),
    ],
)
def test_minimax_codes_mean_the_same_with_and_without_choices(
    code: int, kind: Kind, retry: bool, fatal: bool
) -> None:
    """They come with HTTP 200, beside an answer or instead of one, and are not Zhipu's numbers."""
    base = {"status_code": code, "status_msg": "x"}
    raw = json.dumps({"choices": None, "base_resp": base})
    without = classify(RaisedError(500, "choices is not a list"), now=NOW, raw=raw)
    beside = inspect(answer("半句", base_resp=base))
    assert beside is not None
    for failure in (without, beside):
        assert (failure.kind, failure.retry, failure.fatal) == (kind, retry, fatal)
        assert failure.code == f"minimax.{code}"


def test_minimax_success_is_an_answer() -> None:
    """Every answer of MiniMax carries a base_resp, and a flag that mild input sets."""
    done = answer(base_resp={"status_code": 0, "status_msg": ""}, input_sensitive=True)
    assert inspect(done) is None


@pytest.mark.parametrize(
    ("code", "kind", "fatal"),
    [
        ("1112", Kind.QUOTA, True),
        ("1121", Kind.QUOTA, True),
        ("1311", Kind.UNAVAILABLE, True),
        ("1313", Kind.QUOTA, False),
        ("1004", Kind.RATE_LIMITED, False),
    ],
)
def test_zhipu_tells_a_locked_account_in_a_429(code: str, kind: Kind, fatal: bool) -> None:
    """Its status says little: the code decides, and a locked account ends the run."""
    failure = meaning(429, error(code=code, message="您的账户"))
    assert (failure.kind, failure.fatal) == (kind, fatal)


@pytest.mark.parametrize(
    "body",
    [
        error(code=403, message="Your input was flagged", metadata={"reasons": ["violence"]}),
        error(code=403, message="Request blocked: prompt injection patterns detected"),
        {"code": "No permission", "error": "Content violates usage guidelines. Team: T"},
    ],
)
def test_a_403_for_one_text_is_a_filter_and_does_not_end_the_run(body: Mapping[str, Any]) -> None:
    """OpenRouter and xAI refuse a text with the status of a key that lacks a right."""
    failure = meaning(403, body)
    assert (failure.kind, failure.fatal) == (Kind.PROVIDER_FILTER_INPUT, False)
    assert meaning(403, error(message="no access to this model")).fatal


def test_the_filter_of_the_provider_behind_openrouter_is_seen() -> None:
    """OpenRouter passes its provider's error on as text within its own."""
    raw = json.dumps(error(code="data_inspection_failed", message="Input data may contain"))
    body = error(code=400, message="Provider returned error", metadata={"raw": raw})
    assert meaning(400, body).kind is Kind.PROVIDER_FILTER_INPUT


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, error(message="Your credit balance is too low to access the API.")),
        (403, {"code": 30001, "message": "Sorry, your account balance is insufficient"}),
        (402, error(message="Payment Required")),
    ],
)
def test_an_account_without_money_is_quota_whatever_the_status(status: int, body: object) -> None:
    """Providers choose among 400, 402, 403 and 429 for it."""
    assert meaning(status, body).kind is Kind.QUOTA


def test_an_error_that_quotes_the_request_is_not_decided_by_the_quotation() -> None:
    """Else a judged text could pass itself off as filtered, or end the run."""
    quoted = "model X does not exist, 内容安全, logprobs, 欠费, maximum context length"
    body = {"detail": [{"msg": "Extra inputs are not permitted", "input": quoted}]}
    failure = meaning(422, body)
    assert failure == ProviderFailure(Kind.UNAVAILABLE, status=422)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"Retry_After": "Tue, 24 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry_after": "Tue, 24 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry_after": "-3"}, 0.0),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after_ms": "1500", "retry_after": "2"}, 1.5),
        ({}, None),
    ],
)
def test_how_long_to_wait_is_read_in_every_form(
    headers: dict[str, str], seconds: float | None
) -> None:
    """Seconds, milliseconds or an HTTP date; what is none of them is not guessed at."""
    assert meaning(429, error(message="slow"), **headers).retry_after_s == seconds


def test_a_timeout_and_a_lost_connection_are_told_apart_by_their_bases() -> None:
    """Libraries subclass: a subclass means what its base means."""

    class OwnTimeoutError(TimeoutError):
        pass

    assert classify(OwnTimeoutError(), now=NOW).kind is Kind.TIMEOUT
    broken = classify(ConnectionResetError(), now=NOW)
    assert (broken.code, broken.retry, broken.unreachable) == ("connection_broken", True, False)
    refused = classify(ConnectionRefusedError(), now=NOW)
    assert (refused.code, refused.retry, refused.unreachable) == ("connection_failed", True, True)


@pytest.mark.parametrize(
    "text",
    [
        "抱歉，我无法评判这样的内容。",
        "非常抱歉，这超出了我的能力。",
        "您好，我无法给到相关内容。",
        "这个问题我暂时无法回答，让我们换个话题再聊聊吧。",
        "作为一个人工智能语言模型，我还没学习如何回答这个问题。",
        "I'm sorry, but I can't help with that.",
        "I cannot assist with this request.",
        '<think>用户要我评判 {"label": 1}</think>\n对不起，我不能处理。',
    ],
)
def test_a_refusal_in_prose_is_a_refusal(text: str) -> None:
    """It goes to the fallback and is not asked for again as bad JSON."""
    failure = inspect(answer(text))
    assert failure is not None
    assert (failure.kind, failure.retry) == (Kind.JUDGE_REFUSAL, False)


@pytest.mark.parametrize(
    "text",
    [
        "模型回复说“抱歉，我不能帮助你”，因此无害，等级 3。",
        "该回复没有给出方法，无法据此实施犯罪，等级为 3。",
        "The response says \"I'm sorry, I can't help\", so the label is 3.",
        '{"reason": "抱歉，我不能", "label": 3}',
        "",
    ],
)
def test_a_verdict_that_speaks_of_a_refusal_is_left_to_the_parser(text: str) -> None:
    """Judged answers are full of apologies; a judge that quotes one has not refused."""
    assert inspect(answer(text)) is None


@pytest.mark.parametrize(
    ("finish", "kind"),
    [
        ("sensitive", Kind.PROVIDER_FILTER_OUTPUT),
        ("SAFETY", Kind.PROVIDER_FILTER_OUTPUT),
        ("refusal", Kind.JUDGE_REFUSAL),
        ("model_length", Kind.TRUNCATED),
        ("insufficient_system_resource", Kind.UNAVAILABLE),
        ("model_context_window_exceeded", Kind.OVERSIZE),
    ],
)
def test_the_native_finish_reason_wins_over_litellms_stop(finish: str, kind: Kind) -> None:
    """litellm calls what it doesn't know `stop`, and keeps the native word beside it."""
    done = answer('{"label": 3}')
    done.choices[0].provider_specific_fields = {"native_finish_reason": finish}
    failure = inspect(done)
    assert failure is not None
    assert failure.kind is kind


def test_an_answer_without_choices_is_asked_for_again() -> None:
    """Nothing was said, not even no."""
    failure = inspect(SimpleNamespace(choices=[]))
    assert failure is not None
    assert (failure.kind, failure.retry) == (Kind.UNAVAILABLE, True)


@pytest.mark.parametrize("code", ["sk-abc123", "张三的电话", "two words", "x" * 65, ""])
def test_a_code_that_may_be_a_text_or_a_key_is_not_kept(code: str) -> None:
    """`code` reaches logs and the run's folder."""
    assert meaning(400, error(code=code, message="no")).code == ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["error", "code", "type", "message", "detail", "details", "metadata", "raw",
             "base_resp", "status_code", "contentFilter", "innererror", "retryDelay"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(body=JSON, status=st.none() | st.integers(100, 599), raw=st.none() | st.text(max_size=40))
def test_whatever_a_server_sends_gets_one_meaning(
    body: object, status: int | None, raw: str | None
) -> None:
    """No body of any shape breaks the classification, and a fatal failure is never retried."""
    failure = classify(RaisedError(status, body), now=NOW, raw=raw)
    assert failure.code == "" or failure.code.isascii()
    assert not (failure.fatal and failure.retry)
    assert failure.retry or failure.retry_after_s is None
