"""What a provider's no means: filter, refusal, quota, rate, cut answer, fault, or a dead end.

Pure and without litellm: it reads status, codes, bodies, headers and finish reasons off whatever
object carries them. Nothing of a body is kept but a code from a short alphabet, since bodies may
quote the judged text or a part of the key.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from judge.llm import provider_codes as codes
from judge.llm.said import Said, error_codes, gather
from judge.verdict import FailureKind

_SAFE_CODE = re.compile(r"(?!sk-)[A-Za-z0-9_.-]{1,64}")
# Classes of exceptions, by name: their libraries are not imported here.
_TIMEOUTS = frozenset({"Timeout", "APITimeoutError", "TimeoutError", "TimeoutException"})
_UNREACHABLE = frozenset(
    {"ConnectionRefusedError", "ClientConnectorError", "ConnectError", "gaierror"}
)
_BROKEN = frozenset(
    {"ConnectionResetError", "ServerDisconnectedError", "ClientOSError", "ClientPayloadError",
     "RemoteProtocolError", "ReadError", "WriteError"}
)  # fmt: skip
_NO_ANSWER = _TIMEOUTS | _UNREACHABLE | _BROKEN
_THOUGHT = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)


@dataclass(frozen=True)
class ProviderFailure:
    """Why a call gave no answer.

    Attributes:
        kind: the failure that the row gets.
        retry: whether the same call may succeed later.
        retry_after_s: how long the provider asks to wait, in seconds.
        code: the provider's own code, from a short alphabet.
        status: HTTP status.
        fatal: every further call would fail alike.
        unreachable: no connection came about; fatal when none ever did.
        unsupported: the parameter that the provider doesn't take.
    """

    kind: FailureKind
    retry: bool = False
    retry_after_s: float | None = None
    code: str = ""
    status: int | None = None
    fatal: bool = False
    unreachable: bool = False
    unsupported: Literal["response_format", "logprobs"] | None = None

    def told(self) -> str:
        """Status and code, for people; empty when the provider gave neither."""
        return ", ".join(filter(None, (f"HTTP {self.status}" if self.status else "", self.code)))


def classify(error: BaseException, *, now: datetime, raw: str | None = None) -> ProviderFailure:
    """What an exception of a call means.

    Args:
        error: as litellm or the HTTP client raised it, with its causes.
        now: the time, for a Retry-After that is a date.
        raw: the body of an answer with status 200 that could not be read, where it was caught.
    """
    said = gather(error, raw)
    failure = _meaning(said)
    after = _seconds(said.retry_after, now) if failure.retry else None
    status = None if said.names & _NO_ANSWER else said.status
    code = failure.code or _shown(said)
    return replace(failure, code=code, status=status, retry_after_s=after)


def _shown(said: Said) -> str:
    return next((code for code in said.codes if _SAFE_CODE.fullmatch(code)), "")


def _meaning(said: Said) -> ProviderFailure:
    rules = (_filtered, _spent, _unsupported, _dead_end, _overlong, _lost, _passing)
    for rule in rules:
        failure = rule(said)
        if failure is not None:
            return failure
    return ProviderFailure(FailureKind.UNAVAILABLE)


def _filtered(said: Said) -> ProviderFailure | None:
    spoken = (said.status or 400) < 500 and said.status not in (401, 429)
    phrase = spoken and codes.FILTER_PHRASE.search(said.text)
    output = said.has(codes.OUTPUT_FILTER_CODES) or "assistant" in said.sides
    known = said.has(codes.INPUT_FILTER_CODES) or "ContentPolicyViolationError" in said.names
    if output or ((known or phrase) and codes.OUTPUT_PHRASE.search(said.text)):
        return ProviderFailure(FailureKind.PROVIDER_FILTER_OUTPUT)
    return ProviderFailure(FailureKind.PROVIDER_FILTER_INPUT) if known or phrase else None


def _spent(said: Said) -> ProviderFailure | None:
    if said.has(codes.LOCKED_CODES):
        return ProviderFailure(FailureKind.QUOTA, fatal=True)
    if codes.QUOTA_PHRASE.search(said.text) or said.status == 402:
        return ProviderFailure(FailureKind.QUOTA)
    # DashScope's tokens a minute go by the name of OpenAI's empty account.
    by_the_minute = said.dashscope and said.has(frozenset({"insufficient_quota"}))
    if said.has(codes.QUOTA_CODES) and not by_the_minute:
        return ProviderFailure(FailureKind.QUOTA)
    return None


def _unsupported(said: Said) -> ProviderFailure | None:
    if said.status not in (400, 404, 415, 422):
        return None
    if codes.LOGPROBS_PHRASE.search(said.text):
        return ProviderFailure(FailureKind.UNAVAILABLE, unsupported="logprobs")
    if codes.FORMAT_PHRASE.search(said.text):
        return ProviderFailure(FailureKind.UNAVAILABLE, unsupported="response_format")
    return None


def _dead_end(said: Said) -> ProviderFailure | None:
    asked = said.status in (None, 400, 422)
    refused = said.status in (None, 200, 400, 500) and said.has(codes.KEY_CODES)
    refused = refused or (asked and bool(codes.KEY_PHRASE.search(said.text)))
    unknown = said.has(codes.MODEL_CODES) or (asked and codes.MODEL_PHRASE.search(said.text))
    if said.status in (401, 403, 404) or refused or unknown:
        return ProviderFailure(FailureKind.UNAVAILABLE, fatal=True)
    return None


def _overlong(said: Said) -> ProviderFailure | None:
    named = "ContextWindowExceededError" in said.names or said.has(codes.CONTEXT_CODES)
    phrase = said.status in (400, 422) and codes.CONTEXT_PHRASE.search(said.text)
    if said.status == 413 or named or phrase:
        return ProviderFailure(FailureKind.OVERSIZE)
    return None


def _lost(said: Said) -> ProviderFailure | None:
    """No HTTP answer came. A connector's error is a ClientOSError too, so it comes first."""
    if said.names & _TIMEOUTS:
        return ProviderFailure(FailureKind.TIMEOUT, retry=True)
    if said.names & _UNREACHABLE:
        failure = ProviderFailure(FailureKind.UNAVAILABLE, retry=True, code="connection_failed")
        return replace(failure, unreachable=True)
    if said.names & _BROKEN:
        return ProviderFailure(FailureKind.UNAVAILABLE, retry=True, code="connection_broken")
    return None


def _passing(said: Said) -> ProviderFailure | None:
    if said.status == 429 or said.has(codes.RATE_CODES):
        return ProviderFailure(FailureKind.RATE_LIMITED, retry=True)
    if said.status == 408:
        return ProviderFailure(FailureKind.TIMEOUT, retry=True)
    if said.has(codes.HOPELESS_CODES):
        return ProviderFailure(FailureKind.UNAVAILABLE)
    if said.status is None or said.status >= 500 or said.status in (200, 409, 425):
        return ProviderFailure(FailureKind.UNAVAILABLE, retry=True)
    return None


def inspect(completion: Any) -> ProviderFailure | None:
    """What an answer says of itself before anyone parses it; None when it is a finished answer."""
    failure = _of_the_whole(completion)
    if failure is not None:
        return failure
    choice = completion.choices[0]
    return _of_the_finish(_finish(choice), choice.message) or _of_the_text(choice.message)


def _of_the_whole(completion: Any) -> ProviderFailure | None:
    told = {"base_resp": getattr(completion, "base_resp", None)}  # MiniMax's, beside the choices
    said = Said(status=200, codes=tuple(error_codes(told)))
    if said.codes:
        return replace(_meaning(said), code=_shown(said))
    if not getattr(completion, "choices", None):
        return ProviderFailure(FailureKind.UNAVAILABLE, retry=True, code="no_choices")
    if getattr(completion, "need_clear_history", None):  # Qianfan's canned answer
        return ProviderFailure(FailureKind.PROVIDER_FILTER_INPUT, code="need_clear_history")
    return None


def _of_the_finish(finish: str, message: Any) -> ProviderFailure | None:
    if finish in codes.FILTER_FINISHES:
        return ProviderFailure(FailureKind.PROVIDER_FILTER_OUTPUT, code=finish)
    if finish in codes.FAULT_FINISHES:
        return ProviderFailure(FailureKind.UNAVAILABLE, retry=True, code=finish)
    if finish == "refusal" or _field(message, "refusal"):
        return ProviderFailure(FailureKind.JUDGE_REFUSAL, code="refusal")
    if finish in codes.CUT_FINISHES:
        return ProviderFailure(FailureKind.TRUNCATED, code=finish)
    if finish in codes.CONTEXT_FINISHES:
        return ProviderFailure(FailureKind.OVERSIZE, code=finish)
    return None


def _of_the_text(message: Any) -> ProviderFailure | None:
    """A refusal in prose, in the judge's own voice; one that is only quoted is not."""
    content = _THOUGHT.sub("", getattr(message, "content", None) or "")
    if "{" not in content and codes.REFUSAL_PHRASE.match(content):
        return ProviderFailure(FailureKind.JUDGE_REFUSAL, code="prose_refusal")
    return None


def _finish(choice: Any) -> str:
    fields = getattr(choice, "provider_specific_fields", None) or {}
    native = fields.get("native_finish_reason") or getattr(choice, "finish_reason", None) or ""
    return str(native).lower()


def _field(message: Any, name: str) -> Any:
    fields = getattr(message, "provider_specific_fields", None) or {}
    return getattr(message, name, None) or fields.get(name)


def _seconds(header: str | None, now: datetime) -> float | None:
    """A Retry-After in seconds or as an HTTP date; None when it is neither."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        seconds = math.nan
    if not math.isnan(seconds):
        return max(0.0, seconds)
    try:
        return max(0.0, (parsedate_to_datetime(header) - now).total_seconds())
    except (ValueError, TypeError):
        return None
