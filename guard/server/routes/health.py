"""Whether the server lives, whether it may be sent requests, and what it has counted."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from guard.server.http.responses import json_response
from guard.server.state import State


class Health:
    """The routes.

    Args:
        state: what all requests share.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    async def alive(self, _: Request) -> Response:
        """The process answers."""
        return json_response({"status": "ok"})

    async def ready(self, _: Request) -> Response:
        """Policy, calibration and judge are loaded, and the server is not ending.

        An upstream that is away is told, but doesn't make the server unready: callers then get a
        clear 502 in place of no answer, and what needs no upstream goes on.
        """
        ending = self._state.drain.begun
        reachable = await self._state.upstream.reachable()
        body = {
            "status": "ending" if ending else "ready",
            "upstream": "reachable" if reachable else "unreachable",
            "judge": "resting" if self._state.guard.breaker_open else "ready",
        }
        return json_response(body, 503 if ending else 200)

    async def metrics(self, _: Request) -> Response:
        """What was counted, for Prometheus."""
        page, kind = self._state.metrics.render()
        return Response(page, headers={"content-type": kind})
