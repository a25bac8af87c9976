"""A question that passed its check, and what its answer may take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from guard.decision import Decision
from guard.engine import Asked
from guard.openai_api import Channel, ChatRequest, Frame, FrameWriter, encode_json
from guard.server.exchange import Exchange

MOST_CHOICES: Final = 128
CONTENT: Final = Channel("content")


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
        return range(min(self.request.n, MOST_CHOICES))


def finish_of(decision: Decision) -> str:
    """How an answer ends that says a message instead: one that replaces it ends as answers do."""
    return "stop" if decision.action == "replace" else "content_filter"


def said_instead(writer: FrameWriter, choice: int, message: str, finish: str) -> list[Frame]:
    """The frames in which a choice says a message of the policy's, and ends."""
    if writer.is_closed(choice):
        return []
    return [*writer.text(choice, CONTENT, message), *writer.finish(choice, finish)]


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
