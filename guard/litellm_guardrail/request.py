"""What the guardrail reads in litellm's objects, and how it tells the proxy of an error."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final, Self

from fastapi import HTTPException

from guard.chat import asked_by
from guard.decision import Decision
from guard.engine import Asked
from guard.live import LiveAnswer
from guard.openai_api import MOST_CHOICES, ApiError, ChatRequest, guard_unavailable, read_request
from guard.plain import OPAQUE, plain

_CHAT: Final = frozenset({"completion", "acompletion"})
_STREAMS: Final = ("stream", "realtime")
# What the proxy itself adds to a request, or is told about how to serve it: no model reads it.
_OWN: Final = frozenset(
    {
        "api_base",
        "api_key",
        "base_url",
        "extra_headers",
        "guardrails",
        "headers",
        "litellm_call_id",
        "litellm_logging_obj",
        "litellm_metadata",
        "litellm_trace_id",
        "metadata",
        "proxy_server_request",
        "secret_fields",
        "user_api_key",
    }
)
_ID: Final = "flames_request_id"


_MILD: Final = ("allowed", "flagged", "failed_open")  # all others withhold, and nothing follows


class _OurId(str):
    """A request id that was made here: what a caller writes in its place is an ordinary string.

    Attributes:
        came: what came of each decision about the request so far, and how many checks it missed.
    """

    __slots__ = ("came",)
    came: list[tuple[str, int]]

    @classmethod
    def new(cls) -> Self:
        """An id that nobody else has."""
        made = cls(uuid.uuid4().hex)
        made.came = []
        return made


def streams_unread(data: Mapping[str, Any], call_type: str) -> bool:
    """Whether the answer would be a stream of another form than chat completions."""
    named = any(word in str(call_type) for word in _STREAMS)
    return call_type not in _CHAT and (bool(data.get("stream")) or named)


def mark(data: dict[str, Any]) -> None:
    """Give a request an id of ours, whatever its caller has put in that place."""
    metadata = data.get("metadata")
    own = metadata if isinstance(metadata, dict) else {}
    data["metadata"] = own
    own[_ID] = _OurId.new()


def note(data: dict[str, Any], decision: Decision) -> None:
    """Take note of a decision about a request, for `headers_of`."""
    if not isinstance((data.get("metadata") or {}).get(_ID), _OurId):
        mark(data)
    data["metadata"][_ID].came.append((_came_of(decision), len(decision.missed)))


def headers_of(data: Mapping[str, Any]) -> dict[str, str]:
    """What a response's headers say of the decisions so far; of a stream, of its question."""
    ours = (data.get("metadata") or {}).get(_ID)
    if not isinstance(ours, _OurId) or not ours.came:
        return {}
    worst = max((status for status, _ in ours.came), key=_rank)
    missed = sum(number for _, number in ours.came)
    said = {"x-flames-decision": worst, "x-flames-request-id": str(ours)}
    return said | ({"x-flames-missed": str(missed)} if missed else {})


def _came_of(decision: Decision) -> str:
    """What a decision did: shadow mode withholds nothing."""
    if not decision.shadow or decision.status in _MILD:
        return decision.status
    return "failed_open" if decision.missed else "allowed"


def _rank(status: str) -> int:
    return _MILD.index(status) if status in _MILD else len(_MILD)


def asked_in(data: Mapping[str, Any]) -> Asked:
    """What the answer to a request stands in, under the id that its question was recorded by."""
    known = (data.get("metadata") or {}).get(_ID)
    name = str(known) if isinstance(known, _OurId) else uuid.uuid4().hex
    body = body_in(data)
    request = request_in(body)
    if request is not None:
        return asked_by(request, name)
    prompt = body.get("prompt") or body.get("input")
    return Asked(prompt=prompt if isinstance(prompt, str) else "", request_id=name)


def wanted(data: Mapping[str, Any]) -> int:
    """How many answers a request asks for."""
    n = data.get("n")
    return n if isinstance(n, int) and 0 < n <= MOST_CHOICES else 1


async def frames_of(live: LiveAnswer, response: Any) -> AsyncGenerator[list[dict[str, Any]], None]:
    """The frames to send, chunk by chunk.

    Raises:
        ApiError: the answer can't be read, or could not be judged.
    """
    async for chunk in response:
        value = plain(chunk)
        if not isinstance(value, dict):
            raise guard_unavailable()
        yield await live.take(value)
        if live.over:
            yield live.last_words()
            return
    yield await live.end(one_for_all=True)  # litellm drops all ends but one
    if live.stopped is not None:
        yield live.last_words()


async def let_go(response: Any) -> None:
    """Tell the model's side that nobody reads on."""
    close = getattr(response, "aclose", None)
    if callable(close):
        await close()


def body_in(data: Mapping[str, Any]) -> dict[str, Any]:
    """The request without what the proxy knows about it."""
    body = {key: plain(item) for key, item in data.items() if key not in _OWN}
    return {key: item for key, item in body.items() if item is not OPAQUE}


def request_in(body: dict[str, Any]) -> ChatRequest | None:
    """The request in OpenAI's form, where it has it."""
    try:
        return read_request(body)
    except ApiError:
        return None


def http_error(error: ApiError) -> HTTPException:
    """An error as the proxy sends it; it reads `error` as the message."""
    return HTTPException(error.status, {"error": error.message, "code": error.code})
