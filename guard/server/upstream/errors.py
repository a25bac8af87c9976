"""An upstream's error, as callers are told of it: its status and identifiers, in our words."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import aiohttp

from guard.decision import Part
from guard.engine import Asked, Guard
from guard.openai_api import ApiError, UpstreamError, read_error, upstream_unreadable
from guard.server.http.responses import Refusal
from guard.server.upstream.connection import ERROR_BYTES, parsed, whole

# The caller's own mistakes, which the upstream explains: its text goes on if the guard lets it.
# Elsewhere it may speak of keys, accounts or itself: there our words stand.
EXPLAINED: Final = frozenset({400, 404, 413, 422})
WAIT_DIGITS: Final = 6  # of seconds: days, and nobody's number


class UpstreamRefusal(Refusal):
    """What the upstream refused, with its own identifiers."""

    def __init__(
        self, said: UpstreamError, message: str, status: int, retry_after: str | None = None
    ) -> None:
        headers = {} if retry_after is None else {"retry-after": retry_after}
        super().__init__(message, status=status, code="upstream_error", headers=headers)
        self._said = said

    def body(self) -> dict[str, Any]:
        """The error as OpenAI's JSON body."""
        return self._said.body(self.message)


async def check_status(response: aiohttp.ClientResponse, guard: Guard, request_id: str) -> None:
    """Let an answer through that has status 200.

    Raises:
        ApiError: it has another one: the upstream's error as ours, or 502 for what is no error.
    """
    status = response.status
    if status == HTTPStatus.OK:
        return
    if not 400 <= status <= 599:
        raise upstream_unreadable()
    said = await _said(response)
    message = f"the upstream answered with status {status}"
    if status in EXPLAINED and said.message:
        parts = [Part("error.message", said.message)]
        decision = await guard.check("output", parts, Asked(request_id=request_id))
        message = message if decision.stops else said.message
    wait = response.headers.get("retry-after", "")
    seconds = wait.isascii() and wait.isdigit() and len(wait) <= WAIT_DIGITS
    raise UpstreamRefusal(said, message, status, wait if seconds else None)


async def _said(response: aiohttp.ClientResponse) -> UpstreamError:
    """What an error's body says; one that can't be read says nothing."""
    try:
        return read_error(parsed(await whole(response, ERROR_BYTES), ERROR_BYTES))
    except ApiError:
        return UpstreamError("", None, "")
