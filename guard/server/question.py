"""A question that passed its check, and what its answer may take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from guard.engine import Asked
from guard.openai_api import ChatRequest, Frame, encode_json
from guard.server.exchange import Exchange


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

    @property
    def choices(self) -> range:
        """The numbers of the answers that it asks for."""
        return range(self.request.n)


def encoded(frames: Iterable[Frame]) -> bytes:
    """Frames as they are sent."""
    return b"".join(map(encode_json, frames))


def added(first: dict[str, Any] | None, second: dict[str, Any] | None) -> dict[str, Any] | None:
    """The tokens of two calls together; None where those of either are unknown."""
    if first is None or second is None:
        return None
    total = dict(first)
    for key, value in second.items():
        before = total.get(key)
        if isinstance(value, dict):
            total[key] = added(before if isinstance(before, dict) else {}, value)
        elif isinstance(value, int | float) and isinstance(before, int | float):
            total[key] = before + value
        else:
            total.setdefault(key, value)
    return total
