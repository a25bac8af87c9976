"""One request on its way through the server: who asks, and what has been decided about it."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from guard.decision import Decision, Status
from guard.server.memory import Room

KEY: Final = "flames.exchange"
ANYONE: Final = "anyone"  # who asks, where no keys are asked for
# What a caller is told of several decisions: the last of these that occurred.
_RANK: Final[tuple[Status, ...]] = (
    "allowed",
    "flagged",
    "failed_open",
    "regenerated",
    "replaced",
    "human",
    "blocked",
    "failed",
)


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
        status = _done(decision) if status is None else status
        if self.status is None or _RANK.index(status) > _RANK.index(self.status):
            self.status = status
        self.missed += len(decision.missed)
        self.abstained += len(decision.abstained)


def _done(decision: Decision) -> Status:
    """What a decision did: shadow mode withholds nothing, so that nothing was blocked."""
    if not decision.shadow or decision.status in {"allowed", "flagged"}:
        return decision.status
    return "failed_open" if decision.missed else "allowed"


def exchange_of(scope: MutableMapping[str, Any]) -> Exchange:
    """The exchange that a request belongs to."""
    exchange: Exchange = scope[KEY]
    return exchange
