"""All that an exception of a call says, gathered from wherever litellm has left it.

Texts are gathered to be searched and are never kept: they may quote the judged text or a key. Only
the provider's own messages are searched, and only their beginnings, so that an error that quotes
the request isn't decided by what stands in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

LONGEST_MESSAGE = 600
_RETRY_DELAY = re.compile(r'"retryDelay": ?"([0-9.]+)s"')  # Google's Retry-After
_MESSAGES = ("message", "msg", "status_msg", "error", "detail")


@dataclass(frozen=True)
class Said:
    """What an error says.

    Attributes:
        status: HTTP status; litellm gives 500 for what never was an HTTP error.
        codes: the provider's codes and types, the most telling first.
        text: the provider's messages; without any, the exceptions' own.
        names: names of the exceptions' classes and of all their bases.
        retry_after: Retry-After as it came: seconds or an HTTP date.
        sides: whose text Zhipu's filter stopped: `user`, `assistant`.
        dashscope: whether DashScope speaks.
    """

    status: int | None
    codes: tuple[str, ...] = ()
    text: str = ""
    names: frozenset[str] = frozenset()
    retry_after: str | None = None
    sides: frozenset[str] = frozenset()
    dashscope: bool = False

    def has(self, known: frozenset[str]) -> bool:
        """Whether one of the codes, or the part before its dot, is among these."""
        lower = [code.lower() for code in self.codes]
        return any(code in known or code.split(".")[0] in known for code in lower)


def gather(error: BaseException, raw: str | None) -> Said:
    """What an exception and its causes say; `raw` is a body that litellm could not read."""
    chain = list(_causes(error))
    bodies = [body for cause in chain for body in _bodies(cause)] + list(_json_in(raw or ""))
    messages = [message[:LONGEST_MESSAGE] for body in bodies for message in _messages(body)]
    statuses = (getattr(cause, "status_code", None) for cause in chain)
    return Said(
        status=next((status for status in statuses if isinstance(status, int)), None),
        codes=tuple(dict.fromkeys(code for body in bodies for code in error_codes(body))),
        text="\n".join(messages or [str(cause)[:LONGEST_MESSAGE] for cause in chain]),
        names=frozenset(kind.__name__ for cause in chain for kind in type(cause).__mro__),
        retry_after=_retry_after(chain, bodies),
        sides=frozenset(side for body in bodies for side in _sides(body)),
        dashscope=any(getattr(cause, "llm_provider", None) == "dashscope" for cause in chain)
        or any("request_id" in body for body in bodies),
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _bodies(error: BaseException) -> Iterator[Mapping[str, Any]]:
    """The provider's JSON: in the body, the response or the message."""
    text = getattr(getattr(error, "response", None), "text", None)
    found = [getattr(error, "body", None)]
    found += _json_in(text if isinstance(text, str) else "")
    found += _json_in(str(error))
    for body in found:
        if isinstance(body, Mapping):
            yield body
            yield from _passed_through(body)


def _passed_through(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The error of the provider behind OpenRouter."""
    error = body.get("error", body)
    metadata = error.get("metadata") if isinstance(error, Mapping) else None
    raw = metadata.get("raw") if isinstance(metadata, Mapping) else None
    yield from _json_in(raw if isinstance(raw, str) else "")


def _json_in(text: str) -> Iterator[Mapping[str, Any]]:
    start = text.find("{")
    if start < 0:
        return
    try:
        value, _ = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return
    if isinstance(value, Mapping):
        yield value


def error_codes(body: Mapping[str, Any]) -> Iterator[str]:
    """Codes and types of a body, the innermost error's first; MiniMax's have a name before them."""
    error = body.get("error")
    inner = error.get("innererror") if isinstance(error, Mapping) else body.get("innererror")
    base = body.get("base_resp")
    if isinstance(base, Mapping) and base.get("status_code"):
        yield f"minimax.{base['status_code']}"
    parts = [part for part in (inner, error, body) if isinstance(part, Mapping)]
    for field in ("code", "type"):
        for part in parts:
            value = part.get(field)
            if isinstance(value, str | int) and value not in ("", 0):
                yield str(value)


def _messages(body: Mapping[str, Any]) -> Iterator[str]:
    """A provider's own words and Google's details; not what is quoted of the request."""
    for name in _MESSAGES:
        value = body.get(name)
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            yield from _messages(value)
        elif isinstance(value, list):
            yield from (m for item in value if isinstance(item, Mapping) for m in _messages(item))
    if isinstance(body.get("details"), list):
        yield json.dumps(body["details"])
    if isinstance(body.get("base_resp"), Mapping):
        yield from _messages(body["base_resp"])


def _sides(body: Mapping[str, Any]) -> Iterator[str]:
    items = body.get("contentFilter")
    for item in items if isinstance(items, list) else ():
        if isinstance(item, Mapping):
            yield str(item.get("role"))


def _retry_after(chain: list[BaseException], bodies: list[Mapping[str, Any]]) -> str | None:
    for error in chain:
        response = getattr(error, "response", None)
        for source in (error, response):
            name = "litellm_response_headers" if source is error else "headers"
            headers = getattr(source, name, None)
            if isinstance(headers, Mapping) and (found := _from_headers(headers)) is not None:
                return found
    delays = (_RETRY_DELAY.search(json.dumps(body)) for body in bodies)
    return next((delay[1] for delay in delays if delay), None)


def _from_headers(headers: Mapping[str, Any]) -> str | None:
    named = {str(name).lower(): str(value) for name, value in headers.items()}
    try:
        return str(float(named["retry-after-ms"]) / 1000)
    except (KeyError, ValueError):
        return named.get("retry-after")
