"""A run's progress, followed over as many connections as it takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import httpx

from guard.client.connection import Connection, FlamesError, read, unreadable
from guard.openai_api.sse import SseError, SseEvent, SseParser
from guard.wire import Run

CONNECT_S: Final = 10.0
SILENCE_S: Final = 60.0  # in a stream, whose server says something every 15 s
RESTS_S: Final = (0.5, 1.0, 2.0, 5.0)  # between tries to reach a server again; the last one stays
_PASSING: Final = frozenset({429, 502, 503, 504})


def followed(
    connection: Connection, path: str, patience_s: float, deadline: float | None
) -> Iterator[Run]:
    """The run whenever it changed, until it has ended.

    Args:
        connection: to its server.
        path: of the run.
        patience_s: seconds for which a server that is away is looked for.
        deadline: when to give up, as `time.monotonic` tells it; None for never.

    Raises:
        FlamesError: the run was deleted, the server stayed away, or the time is over.
    """
    seen, tries = time.monotonic(), 0
    while True:
        try:
            for progress in _stream(connection, path, deadline):
                yield progress
                if progress.ended:
                    return
                seen, tries = time.monotonic(), 0
            lost = FlamesError("the server tells no more", status=None, code="unreachable")
        except FlamesError as error:
            if error.status not in _PASSING and error.code not in {"unreachable", "timeout"}:
                raise
            lost = error
        _check(deadline)
        if time.monotonic() - seen > patience_s:
            raise lost
        rest = RESTS_S[min(tries, len(RESTS_S) - 1)]
        left = rest if deadline is None else deadline - time.monotonic()
        time.sleep(max(0.0, min(rest, left)))
        tries += 1


def _stream(connection: Connection, path: str, deadline: float | None) -> Iterator[Run]:
    """The progress that one connection tells."""
    parser = SseParser()
    silence = SILENCE_S if deadline is None else min(SILENCE_S, deadline - time.monotonic())
    limits = httpx.Timeout(CONNECT_S, read=max(silence, 0.01))
    with connection.opened("GET", f"{path}/events", timeout=limits) as response:
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            raise unreadable()
        for data in response.iter_bytes():
            for event in parser.feed(data):
                yield _progress(event)
            _check(deadline)


def _progress(event: SseEvent | SseError) -> Run:
    if isinstance(event, SseError):
        raise unreadable()
    if event.event == "deleted":
        raise FlamesError("the run was deleted", status=404, code="not_found")
    return read(Run, event.data.encode())


def _check(deadline: float | None) -> None:
    if deadline is not None and time.monotonic() >= deadline:
        raise FlamesError("the run has not ended in time", status=None, code="timeout")
