"""A question that passed its check, and what its answer may take."""

from __future__ import annotations

from dataclasses import dataclass

from guard.engine import Asked
from guard.openai_api import ChatRequest
from guard.server.http.exchange import Exchange


@dataclass(frozen=True)
class Question:
    """A request that may be asked.

    Args:
        request: taken apart.
        asked: what its answer stands in.
        caller: the caller's Authorization, for the upstream.
        exchange: the request's.
    """

    request: ChatRequest
    asked: Asked
    caller: str | None
    exchange: Exchange
