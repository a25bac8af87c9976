"""Who chose the texts that the calls of a task are about, where whoever asks for them knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

RUN: Final = ""  # a run's own rows: nobody else's calls are in this process
_CURRENT: ContextVar[str | None] = ContextVar("about", default=RUN)


def current_about() -> str | None:
    """Who chose the texts of this task's calls; None for anybody, as in a guard's traffic."""
    return _CURRENT.get()


@contextmanager
def about(whom: str | None) -> Iterator[None]:
    """Calls that are made inside, and by tasks begun inside, are about one caller's texts.

    A provider's filter that stops them again and again is then no reason to pause the others.

    Args:
        whom: names the caller; None where anybody may have chosen them.
    """
    token = _CURRENT.set(whom)
    try:
        yield
    finally:
        _CURRENT.reset(token)
