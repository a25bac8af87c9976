"""Whether the server lives, whether it may be sent requests, and what it has counted."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from guard.server.http.responses import json_response
from guard.server.state import State


async def alive(_: Request) -> Response:
    """The process answers."""
    return json_response({"status": "ok"})


async def ready(state: State, _: Request) -> Response:
    """Policy, calibration and judge are loaded, and the server is not ending.

    An upstream that is away is told, but doesn't make the server unready: callers then get a
    clear 502 in place of no answer, and what needs no upstream goes on.
    """
    ending = state.drain.begun
    reachable = await state.upstream.reachable()
    body = {
        "status": "ending" if ending else "ready",
        "upstream": "reachable" if reachable else "unreachable",
        "judge": "resting" if state.guard.breaker_open else "ready",
    }
    return json_response(body, 503 if ending else 200)


async def metrics(state: State, _: Request) -> Response:
    """What was counted, for Prometheus."""
    page, kind = state.metrics.render()
    return Response(page, headers={"content-type": kind})
