"""Request bodies: read within bounds of size, time and memory, and strictly."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from guard.openai_api import ApiError, check_headers, parse_object
from guard.server.http.exchange import exchange_of
from guard.server.http.responses import Refusal
from guard.server.settings import Limits

MOST_DIGITS: Final = 18  # of a length; more of them may be more than Python reads


async def read_body(scope: Scope, receive: Receive, limits: Limits) -> bytes:
    """The whole body.

    Args:
        scope: the request's.
        receive: the request's.
        limits: how long it may take, and how large it may be.

    Raises:
        ApiError: 413 it is too large; 408 it took too long; 503 there is no memory for it.
        ClientDisconnect: the caller has left.
    """
    room = exchange_of(scope).room
    pieces: list[bytes] = []

    async def take(piece: bytes) -> None:
        room.take(len(piece))
        pieces.append(piece)

    await pass_on(scope, receive, take, most=limits.body_bytes, within_s=limits.body_s)
    return b"".join(pieces) if len(pieces) > 1 else pieces[0]


async def pass_on(
    scope: Scope,
    receive: Receive,
    take: Callable[[bytes], Awaitable[None]],
    *,
    most: int,
    within_s: float,
) -> None:
    """Pass a body on piece by piece, so that it need not be held.

    Args:
        scope: the request's.
        receive: the request's.
        take: is given each piece.
        most: bytes of all.
        within_s: seconds that it may take.

    Raises:
        ApiError: 413 it is too large; 408 it took too long.
        ClientDisconnect: the caller has left.
    """
    told = Headers(scope=scope).get("content-length", "0")
    if not told.isascii() or not told.isdigit() or len(told) > MOST_DIGITS or int(told) > most:
        raise _too_large(most)
    size = 0
    try:
        async with asyncio.timeout(within_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                piece: bytes = message.get("body", b"")
                size += len(piece)
                if size > most:
                    raise _too_large(most)
                await take(piece)
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        raise Refusal(
            "the body did not arrive in time",
            status=408,
            code="request_timeout",
            headers={"connection": "close"},
        ) from None


async def read_object(
    scope: Scope, receive: Receive, limits: Limits, wanted: str = "a JSON object"
) -> dict[str, Any]:
    """The body as a JSON object, read as `guard.openai_api.parse_object` does.

    Args:
        scope: the request's.
        receive: the request's.
        limits: as of `read_body`.
        wanted: what is told to who sends another value.

    Raises:
        ApiError: it is compressed, not JSON, too large or too slow.
        ClientDisconnect: the caller has left.
    """
    headers = Headers(scope=scope)
    kinds, codings = headers.getlist("content-type"), headers.getlist("content-encoding")
    check_headers(", ".join(kinds), ", ".join(codings))
    body = await read_body(scope, receive, limits)
    return parse_object(body, max_bytes=limits.body_bytes, wanted=wanted)


def _too_large(most: int) -> ApiError:
    return ApiError(f"the body is larger than {most} bytes", status=413, code="body_too_large")
