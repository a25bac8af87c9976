"""Whom the calls of a task are about, where whoever asks for them knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_CURRENT: ContextVar[str | None] = ContextVar("about", default=None)


def current_about() -> str | None:
    """What names the conversation or the caller that calls of this task are about, or None."""
    return _CURRENT.get()


@contextmanager
def about(whom: str) -> Iterator[None]:
    """Calls that are made inside, and by tasks begun inside, are about one conversation or caller.

    A provider's filter that stops them again and again is then no reason to pause the others.
    """
    token = _CURRENT.set(whom)
    try:
        yield
    finally:
        _CURRENT.reset(token)
