"""What the guardrail reads in litellm's objects, and how it tells the proxy of an error."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final, Self

from fastapi import HTTPException

from guard.chat import asked_by, request_in
from guard.decision import Decision
from guard.engine import Asked
from guard.live import LiveAnswer
from guard.openai_api import MOST_CHOICES, ApiError, guard_unavailable
from guard.read_on import read_on
from guard.request_status import RequestStatus
from guard.texts.objects import OPAQUE, holds_bytes, plain

_CHAT: Final = frozenset({"completion", "acompletion"})
_STREAMS: Final = ("stream", "realtime", "websocket")
# Calls that get a `during_call`; all others have their questions judged before the call.
BESIDE: Final = frozenset(
    {*_CHAT, "atext_completion", "aembedding", "aresponses", "anthropic_messages"}
)
# Calls whose answers litellm hands to no guardrail.
_ROUND: Final = ("pass_through", "passthrough", "create_batch")
_TRACING: Final = "/langfuse/"  # a route to a server that records calls, and answers none
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
        "proxy_server_request",
        "secret_fields",
        "user_api_key",
    }
)
_ID: Final = "flames_request_id"


class _OurId(str):
    """A request id that was made here: what a caller writes in its place is an ordinary string.

    Attributes:
        status: what has been decided about the request so far.
    """

    __slots__ = ("status",)
    status: RequestStatus

    @classmethod
    def new(cls) -> Self:
        """An id that nobody else has."""
        made = cls(uuid.uuid4().hex)
        made.status = RequestStatus(str(made))
        return made


def streams_unread(data: Mapping[str, Any], call_type: str) -> bool:
    """Whether the answer would be a stream of another form than chat completions."""
    named = any(word in str(call_type) for word in _STREAMS)
    return call_type not in _CHAT and (bool(data.get("stream")) or named)


def goes_round(call_type: str, caller: Any) -> bool:
    """Whether a model's answer would go to its user without coming to any hook."""
    route = str(getattr(caller, "request_route", None) or "")
    return not route.startswith(_TRACING) and any(word in str(call_type) for word in _ROUND)


def _notes_key(data: Mapping[str, Any]) -> str:
    """Where the proxy keeps its notes: on some routes `metadata` is what the caller has sent."""
    later = data.get("litellm_metadata")
    own = isinstance(later, dict) and any(str(key).startswith("user_api_key") for key in later)
    return "litellm_metadata" if own else "metadata"


def _known(data: Mapping[str, Any]) -> Any:
    notes = data.get(_notes_key(data))
    return notes.get(_ID) if isinstance(notes, dict) else None


def mark(data: dict[str, Any]) -> _OurId:
    """Give a request an id of ours, whatever its caller has put in that place."""
    key = _notes_key(data)
    if not isinstance(data.get(key), dict):
        data[key] = {}
    ours = data[key][_ID] = _OurId.new()
    return ours


def note(data: dict[str, Any], decision: Decision) -> None:
    """Take note of a decision about a request, for `headers_of`."""
    known = _known(data)
    ours = known if isinstance(known, _OurId) else mark(data)
    ours.status.decided(decision)


def headers_of(data: Mapping[str, Any]) -> dict[str, str]:
    """What a response's headers say of the decisions so far; of a stream, of its question."""
    ours = _known(data)
    judged = isinstance(ours, _OurId) and ours.status.status is not None
    return ours.status.headers if judged else {}


def asked_in(data: Mapping[str, Any]) -> Asked:
    """What the answer to a request stands in, under the id that its question was recorded by."""
    known = _known(data)
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


def asks_usage(data: Mapping[str, Any]) -> bool:
    """Whether a streamed answer is to end with the tokens that it took."""
    options = data.get("stream_options")
    return isinstance(options, Mapping) and bool(options.get("include_usage"))


async def frames_of(
    live: LiveAnswer, response: Any, *, usage: bool
) -> AsyncGenerator[list[dict[str, Any]], None]:
    """The frames to send, look by look.

    Args:
        live: the answer.
        response: its chunks.
        usage: whether it is to end with its tokens, also where it is stopped.

    Raises:
        ApiError: the answer can't be read, or could not be judged.
    """

    def read(chunk: Any) -> dict[str, Any]:
        value = plain(chunk)
        if not isinstance(value, dict):
            raise guard_unavailable()
        return value

    source = aiter(response)
    async for chunk in source:
        async for frames in live.take_in_turn(read(chunk)):
            yield frames
        if live.over:
            break
    else:
        yield await live.end(one_for_all=True)  # litellm drops all ends but one
    if live.stopped is not None:
        yield live.last_words()
        if usage:
            yield await live.end() or await read_on(source, lambda chunk: live.take(read(chunk)))


def body_in(data: Mapping[str, Any]) -> dict[str, Any]:
    """The request without what the proxy knows about it."""
    own = _own(data)
    body = {key: plain(item) for key, item in data.items() if key not in own}
    return {key: item for key, item in body.items() if item is not OPAQUE}


def files_in(data: Mapping[str, Any]) -> list[str]:
    """The keys of a request under which a file or a picture has come beside its JSON."""
    own = _own(data)
    return [key for key, item in data.items() if key not in own and holds_bytes(item)]


def _own(data: Mapping[str, Any]) -> frozenset[str]:
    return _OWN | {_notes_key(data)}


def http_error(error: ApiError) -> HTTPException:
    """An error as the proxy sends it; it reads `error` as the message, on some routes `message`."""
    made = HTTPException(error.status, {"error": error.message, "code": error.code})
    made.message = error.message  # type: ignore[attr-defined]
    return made
