"""One request on its way through the server: who asks, and what has been decided about it."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from guard.decision import Decision, Status, worst
from guard.server.memory import Room

KEY: Final = "flames.exchange"
ANYONE: Final = "anyone"  # who asks, where no keys are asked for


@dataclass(slots=True)
class Exchange:
    """What the gate knows of a request.

    Args:
        request_id: ours; a caller's own is never used.
        room: the memory that its body takes.
        caller: the name of the key; None where no keys are asked for.
        runs: the key's own number of runs that may be open; None where it has none.
        route: the route's own path, for metrics.
        status: what was decided; None where nothing was judged.
        missed: checks that could not be made.
        abstained: rules on which the judge gave no verdict.
        gone: the caller has left.
    """

    request_id: str
    room: Room
    caller: str | None = None
    runs: int | None = None
    route: str = "other"
    status: Status | None = None
    missed: int = 0
    abstained: int = 0
    gone: bool = False

    def decided(self, decision: Decision, status: Status | None = None) -> None:
        """Take note of a decision; `status` is what came of it, where that is something else."""
        self.status = worst(self.status or "allowed", status or decision.told)
        self.missed += len(decision.missed)
        self.abstained += len(decision.abstained)


def exchange_of(scope: MutableMapping[str, Any]) -> Exchange:
    """The exchange that a request belongs to."""
    exchange: Exchange = scope[KEY]
    return exchange
