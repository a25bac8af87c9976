"""One request on its way through the server: who asks, and what has been decided about it."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from guard.decision import Decision, Status
from guard.request_status import RequestStatus
from guard.server.http.memory import Room

KEY: Final = "flames.exchange"
ANYONE: Final = "anyone"  # who asks, where no keys are asked for


@dataclass(slots=True)
class Exchange:
    """What the gate knows of a request.

    Args:
        status: what has been decided about it.
        room: the memory that its body takes.
        caller: the name of the key; None where no keys are asked for.
        runs: the key's own number of runs that may be open; None where it has none.
        route: the route's own path, for metrics.
        gone: the caller has left.
    """

    status: RequestStatus
    room: Room
    caller: str | None = None
    runs: int | None = None
    route: str = "other"
    gone: bool = False

    @property
    def request_id(self) -> str:
        """Ours."""
        return self.status.request_id

    def decided(self, decision: Decision, status: Status | None = None) -> None:
        """Take note of a decision; `status` is what came of it, where that is something else."""
        self.status.decided(decision, status)


def exchange_of(scope: MutableMapping[str, Any]) -> Exchange:
    """The exchange that a request belongs to."""
    exchange: Exchange = scope[KEY]
    return exchange
