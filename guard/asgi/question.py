"""A request to a guarded path: its body read within bounds, and every string of it found."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from guard.asgi.headers import header, is_plain, is_utf8, media_type
from guard.asgi.routes import Route
from guard.chat import decided_about, left_over, parts_of, request_in
from guard.decision import Decision, Part
from guard.engine import Asked, Guard
from guard.openai_api import ApiError, ChatRequest, is_json, is_json_type, parse_value, serialised
from guard.texts.foreign_media import unread_in
from guard.texts.framed import framed_beside
from guard.texts.json_replies import texts_of, turns_of

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_INLINE = re.compile(r"data:[\w.+-]+/[\w.+-]+;[\w=;-]*base64,", re.IGNORECASE)
_FIELDS: Final = 1000
MOST_DIGITS: Final = 18  # of a length; more of them may be more than Python reads


class Gone(Exception):
    """The user left before the request was read."""


@dataclass(frozen=True)
class Question:
    """A request that was read.

    Args:
        body: what goes to the application: written anew, so that it is what was judged.
        parts: every string of it, of its query and of a path that a pattern let through.
        asked: what the answer stands in.
        request: the same in OpenAI's form, where it has it.
        unread: where something stands that can't be read.
    """

    body: bytes
    parts: tuple[Part, ...]
    asked: Asked
    request: ChatRequest | None
    unread: tuple[str, ...]

    async def look(self, guard: Guard) -> Decision:
        """The decision about the request, recorded."""
        decision = await decided_about(guard, self.parts, self.request, self.unread, self.asked)
        await guard.record(decision, self.parts, self.asked)
        return decision


async def read_body(scope: Scope, receive: Receive, most: int) -> bytes:
    """The whole body.

    Raises:
        ApiError: 413 it is larger than `most` bytes; 415 it is compressed.
        Gone: the user has left.
    """
    if not is_plain(scope["headers"]):
        raise ApiError(
            "the body must not be compressed", status=415, code="unsupported_content_encoding"
        )
    too_large = ApiError(f"the body is larger than {most} bytes", status=413, code="body_too_large")
    said = header(scope["headers"], b"content-length")
    if said.isascii() and said.isdigit() and (len(said) > MOST_DIGITS or int(said) > most):
        raise too_large
    pieces, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        piece = message.get("body", b"")
        size += len(piece)
        if size > most:
            raise too_large
        pieces.append(piece)
        more = message.get("more_body", False)
    return b"".join(pieces)


async def read_question(scope: Scope, body: bytes, route: Route, request_id: str) -> Question:
    """Take a request apart.

    Raises:
        ApiError: 400 it is not what its type says; 415 its type can't be read.
    """
    value, written = _value(scope, body)
    query = _grouped(_fields(scope.get("query_string", b"")))
    request = request_in(value)
    parts = parts_of((*request.parts, *request.context)) if request else []
    left = [*texts_of(value, route.prompt_paths), *texts_of(query, route.prompt_paths)]
    left += texts_of(scope["path"]) if route.is_open else []
    left += await framed_beside(value) if isinstance(value, str) else []
    parts += left_over(request, left)
    prompt = request.prompt if request else None
    if prompt is None:
        candidates = (route.prompt_paths.first(one) for one in (value, query))
        prompt = next((one for one in candidates if one is not None), "")
    history = value.get("history") if isinstance(value, dict) else None
    unread = [part.where for part in parts if _INLINE.search(part.text)]
    unread += unread_in(value)
    return Question(
        body=written,
        parts=tuple(parts),
        asked=Asked(
            prompt=prompt,
            history=request.history if request else turns_of(history),
            request_id=request_id,
            model=(request.model or None) if request else None,
        ),
        request=request,
        unread=(*(one.path for one in (request.unread if request else ())), *unread),
    )


def _value(scope: Scope, body: bytes) -> tuple[Any, bytes]:
    """The body as JSON has it, and as it goes to the application."""
    media, charset = media_type(scope["headers"])
    if not body:
        return None, b""
    if not is_utf8(charset):
        raise ApiError("the body must be in UTF-8", status=415, code="unsupported_media_type")
    if is_json_type(media):
        value = parse_value(body, len(body))
        return value, serialised(value)
    if media == "application/x-www-form-urlencoded":
        fields = _fields(body)
        return _grouped(fields), urlencode(fields).encode()
    if media == "text/plain":
        try:
            text = body.decode()
        except UnicodeDecodeError:
            raise ApiError("the body is not UTF-8", code="invalid_text") from None
        # many applications read JSON whatever its type says: then its strings are judged
        return (parse_value(body, len(body)), body) if is_json(body) else (text, body)
    raise ApiError(
        "the body must be JSON, a URL-encoded form or plain text in UTF-8",
        status=415,
        code="unsupported_media_type",
    )


def _fields(data: bytes) -> list[tuple[str, str]]:
    try:
        text = data.decode("ascii")
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_FIELDS)
    except ValueError:
        raise ApiError("the fields can't be read", code="invalid_fields") from None


def _grouped(fields: list[tuple[str, str]]) -> dict[str, list[str]]:
    """Each name's values: a form may repeat a name."""
    grouped: dict[str, list[str]] = {}
    for name, value in fields:
        grouped.setdefault(name, []).append(value)
    return grouped
