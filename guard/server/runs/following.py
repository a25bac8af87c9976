"""A run's progress as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from starlette.responses import Response, StreamingResponse

from guard.openai_api import KEEP_ALIVE, SseEvent, encode_event
from guard.server.runs.store import RunRequest, RunStore, Stamp, as_run
from guard.server.state import State

LOOK_S: Final = 0.25
DELETED: Final = "deleted"
_HEADERS: Final = {
    "cache-control": "no-cache",
    "x-accel-buffering": "no",  # or nginx holds the stream back
}


def progress_events(state: State, store: RunStore, request: RunRequest) -> Response:
    """`progress` whenever something changed; at the end `done`, `failed`, `cancelled`, `deleted`.

    A stream that ends without one of these was cut short, as by the server's own end: whoever asks
    again is told where the run is.
    """
    return StreamingResponse(
        _events(state, store, request), media_type="text/event-stream", headers=_HEADERS
    )


async def _events(state: State, store: RunStore, request: RunRequest) -> AsyncIterator[bytes]:
    clock = asyncio.get_running_loop().time
    stamp: Stamp = ()
    last, event, ended, said = b"", b"", False, clock()
    while not state.drain.begun:
        before, stamp = stamp, store.stamp(request.ref)
        if stamp != before:  # many may follow: what has not changed is not read again
            event, ended = _event(store, request)
        if event != last:
            yield event
            last, said = event, clock()
        elif clock() - said >= state.limits.keep_alive_s:
            yield KEEP_ALIVE
            said = clock()
        if ended:
            return
        await asyncio.sleep(LOOK_S)


def _event(store: RunStore, request: RunRequest) -> tuple[bytes, bool]:
    """What there is to say, and whether it is the last."""
    progress = store.progress(request.ref)
    if store.request(request.ref) is None:
        return encode_event(SseEvent("{}", DELETED)), True
    kind = progress.phase if progress.ended else "progress"
    return encode_event(SseEvent(as_run(request, progress).model_dump_json(), kind)), progress.ended
