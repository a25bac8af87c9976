"""What a provider's no means: filter, refusal, quota, rate, cut answer, fault, or a dead end.

Pure and without litellm: it reads status, codes, bodies, headers and finish reasons off whatever
object carries them. Nothing of a body is kept but a code from a short alphabet, since bodies may
quote the judged text or a part of the key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from judge.llm import provider_codes as codes
from judge.verdict import FailureKind

_SAFE_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_JSON_START = re.compile(r"\{")
_TIMEOUTS = ("Timeout", "APITimeoutError", "TimeoutError")
_UNREACHABLE = (
    "ConnectionRefusedError", "ClientConnectorError", "ConnectError", "gaierror",
    "ClientConnectorDNSError", "APIConnectionError",
)  # fmt: skip
_BROKEN = ("ConnectionResetError", "ServerDisconnectedError", "RemoteProtocolError", "ReadError",
           "ClientOSError", "ClientPayloadError")  # fmt: skip


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


@dataclass(frozen=True)
class _Said:
    """All that an error says, gathered over its causes. `text` is only searched, never kept."""

    status: int | None
    codes: tuple[str, ...]
    text: str
    names: frozenset[str]
    retry_after: str | None
    sides: frozenset[str]

    def has(self, known: frozenset[str]) -> bool:
        return any(
            code.lower() in known or code.lower().split(".")[0] in known for code in self.codes
        )


def classify(error: BaseException, *, now: datetime, raw: str | None = None) -> ProviderFailure:
    """What an exception of a call means.

    Args:
        error: as litellm or the HTTP client raised it, with its causes.
        now: the time, for a Retry-After that is a date.
        raw: the body of an answer with status 200 that could not be read, where it was caught.
    """
    said = _gather(error, raw)
    failure = _kind(said)
    code = next((code for code in said.codes if _SAFE_CODE.fullmatch(code)), "")
    after = _seconds(said.retry_after, now) if failure.retry else None
    status = None if said.names & {*_UNREACHABLE, *_BROKEN, *_TIMEOUTS} else said.status
    return replace(failure, code=failure.code or code, status=status, retry_after_s=after)


def _kind(said: _Said) -> ProviderFailure:
    for rule in (_filtered, _spent, _dead_end, _unsupported, _overlong, _passing):
        failure = rule(said)
        if failure is not None:
            return failure
    return ProviderFailure(FailureKind.UNAVAILABLE)


def _filtered(said: _Said) -> ProviderFailure | None:
    output = said.has(codes.OUTPUT_FILTER_CODES) or "assistant" in said.sides
    if output or (codes.FILTER_PHRASE.search(said.text) and codes.OUTPUT_PHRASE.search(said.text)):
        return ProviderFailure(FailureKind.PROVIDER_FILTER_OUTPUT)
    if said.has(codes.INPUT_FILTER_CODES):
        return ProviderFailure(FailureKind.PROVIDER_FILTER_INPUT)
    if (said.status or 400) < 500 and said.status != 429 and codes.FILTER_PHRASE.search(said.text):
        return ProviderFailure(FailureKind.PROVIDER_FILTER_INPUT)
    return None


def _spent(said: _Said) -> ProviderFailure | None:
    if said.has(codes.LOCKED_CODES):
        return ProviderFailure(FailureKind.QUOTA, fatal=True)
    if said.status == 402 or said.has(codes.QUOTA_CODES) or codes.QUOTA_PHRASE.search(said.text):
        return ProviderFailure(FailureKind.QUOTA)
    return None


def _dead_end(said: _Said) -> ProviderFailure | None:
    refused = said.status in (None, 400, 500) and said.has(codes.KEY_CODES)
    if said.status in (401, 403) or refused:
        return ProviderFailure(FailureKind.UNAVAILABLE, fatal=True)
    unknown_model = said.has(codes.MODEL_CODES) or codes.MODEL_PHRASE.search(said.text)
    if said.status == 404 or (said.status in (None, 400, 422) and unknown_model):
        return ProviderFailure(FailureKind.UNAVAILABLE, fatal=True)
    return None


def _unsupported(said: _Said) -> ProviderFailure | None:
    if said.status not in (400, 404, 415, 422):
        return None
    if codes.LOGPROBS_PHRASE.search(said.text):
        return ProviderFailure(FailureKind.UNAVAILABLE, unsupported="logprobs")
    if codes.FORMAT_PHRASE.search(said.text):
        return ProviderFailure(FailureKind.UNAVAILABLE, unsupported="response_format")
    return None


def _overlong(said: _Said) -> ProviderFailure | None:
    named = "ContextWindowExceededError" in said.names or said.has(codes.CONTEXT_CODES)
    if (
        said.status == 413
        or named
        or (said.status == 400 and codes.CONTEXT_PHRASE.search(said.text))
    ):
        return ProviderFailure(FailureKind.OVERSIZE)
    return None


def _passing(said: _Said) -> ProviderFailure | None:
    if said.status == 429 or said.has(codes.RATE_CODES):
        return ProviderFailure(FailureKind.RATE_LIMITED, retry=True)
    if said.names & set(_TIMEOUTS) or said.status == 408:
        return ProviderFailure(FailureKind.TIMEOUT, retry=True)
    if said.names & set(_BROKEN):
        return ProviderFailure(FailureKind.UNAVAILABLE, retry=True, code="connection_broken")
    if said.names & set(_UNREACHABLE):
        failure = ProviderFailure(FailureKind.UNAVAILABLE, retry=True, code="connection_failed")
        return replace(failure, unreachable=True)
    if said.status is None or said.status >= 500 or said.status in (200, 409, 425):
        return ProviderFailure(FailureKind.UNAVAILABLE, retry=True)
    return None


def inspect(completion: Any) -> ProviderFailure | None:
    """What an answer says of itself before anyone parses it; None when it is a finished answer."""
    choices = getattr(completion, "choices", None)
    if getattr(completion, "need_clear_history", None) or not choices:
        kind = FailureKind.PROVIDER_FILTER_INPUT if choices else FailureKind.UNAVAILABLE
        return ProviderFailure(kind, retry=not choices, code="" if choices else "no_choices")
    choice = choices[0]
    message = choice.message
    finish = _finish(choice)
    if finish in codes.FILTER_FINISHES:
        refused = finish == "refusal"
        kind = FailureKind.JUDGE_REFUSAL if refused else FailureKind.PROVIDER_FILTER_OUTPUT
        return ProviderFailure(kind, code=finish)
    if finish in codes.FAULT_FINISHES:
        return ProviderFailure(FailureKind.UNAVAILABLE, retry=True, code=finish)
    if _field(message, "refusal"):
        return ProviderFailure(FailureKind.JUDGE_REFUSAL, code="refusal")
    if finish in codes.CUT_FINISHES:
        return ProviderFailure(FailureKind.TRUNCATED, code=finish)
    if finish in codes.CONTEXT_FINISHES:
        return ProviderFailure(FailureKind.OVERSIZE, code=finish)
    content = getattr(message, "content", None) or ""
    if "{" not in content and codes.REFUSAL_PHRASE.search(content[:400]):
        return ProviderFailure(FailureKind.JUDGE_REFUSAL, code="prose_refusal")
    return None


def _finish(choice: Any) -> str:
    fields = getattr(choice, "provider_specific_fields", None) or {}
    native = fields.get("native_finish_reason") or getattr(choice, "finish_reason", None) or ""
    return str(native).lower()


def _field(message: Any, name: str) -> Any:
    fields = getattr(message, "provider_specific_fields", None) or {}
    return getattr(message, name, None) or fields.get(name)


def _gather(error: BaseException, raw: str | None) -> _Said:
    chain = list(_causes(error))
    bodies = [body for cause in chain for body in _bodies(cause)]
    bodies += list(_json_in(raw or ""))
    texts = [str(cause) for cause in chain] + [raw or ""]
    status = next((s for s in (getattr(cause, "status_code", None) for cause in chain) if s), None)
    return _Said(
        status=status if isinstance(status, int) else None,
        codes=tuple(dict.fromkeys(code for body in bodies for code in _codes(body))),
        text="\n".join([*texts, *(json.dumps(body, ensure_ascii=False) for body in bodies)]),
        names=frozenset(type(cause).__name__ for cause in chain),
        retry_after=next(filter(None, map(_retry_after, chain)), None),
        sides=frozenset(side for body in bodies for side in _sides(body)),
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _bodies(error: BaseException) -> Iterator[Mapping[str, Any]]:
    """The provider's JSON, wherever litellm has left it: body, response, message."""
    body = getattr(error, "body", None)
    if isinstance(body, Mapping):
        yield body
    response = getattr(error, "response", None)
    text = getattr(response, "text", None)
    yield from _json_in(text if isinstance(text, str) else "")
    yield from _json_in(str(error))


def _json_in(text: str) -> Iterator[Mapping[str, Any]]:
    start = _JSON_START.search(text)
    if start is None:
        return
    try:
        value, _ = json.JSONDecoder().raw_decode(text, start.start())
    except (ValueError, RecursionError):
        return
    if isinstance(value, Mapping):
        yield value


def _codes(body: Mapping[str, Any]) -> Iterator[str]:
    """Codes and types of a body, the innermost error's first."""
    error = body.get("error")
    inner = error.get("innererror") if isinstance(error, Mapping) else body.get("innererror")
    base = body.get("base_resp")
    if isinstance(base, Mapping):
        yield f"minimax.{base.get('status_code')}"
    parts = [part for part in (inner, error, body) if isinstance(part, Mapping)]
    for field in ("code", "type"):
        for part in parts:
            value = part.get(field)
            if isinstance(value, str | int) and value not in ("", 0):
                yield str(value)


def _sides(body: Mapping[str, Any]) -> Iterable[str]:
    """Whose text Zhipu's filter stopped: `user` or `assistant`."""
    items = body.get("contentFilter")
    if not isinstance(items, list):
        return ()
    return (str(item.get("role")) for item in items if isinstance(item, Mapping))


def _retry_after(error: BaseException) -> str | None:
    response = getattr(error, "response", None)
    for headers in (
        getattr(error, "litellm_response_headers", None),
        getattr(response, "headers", None),
    ):
        if isinstance(headers, Mapping):
            found = headers.get("retry-after") or headers.get("Retry-After")
            if found:
                return str(found)
    return None


def _seconds(header: str | None, now: datetime) -> float | None:
    """A Retry-After in seconds or as an HTTP date; None when it is neither."""
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(header) - now).total_seconds())
    except (ValueError, TypeError):
        return None
