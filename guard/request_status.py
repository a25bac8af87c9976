"""What came of one request, and the headers that tell it: the same at every edge with headers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from guard.decision import Decision, Status, worst


def about_guard(policy: str, calibration: str | None) -> dict[str, str]:
    """The headers that every response of a guard has: whose policy, and whose calibration."""
    known = {"x-flames-policy": policy, "x-flames-calibration": calibration}
    return {name: value for name, value in known.items() if value is not None}


@dataclass(slots=True)
class RequestStatus:
    """What has been decided so far about a request and its answer.

    Args:
        request_id: ours; a caller's own is never used.
        about: further headers, which the guard has itself.
        status: the most severe of the decisions; None where nothing was judged.
        missed: checks that could not be made.
        abstained: rules on which the judge gave no verdict.
    """

    request_id: str
    about: Mapping[str, str] = field(default_factory=dict)
    status: Status | None = None
    missed: int = 0
    abstained: int = 0

    def decided(self, decision: Decision, status: Status | None = None) -> None:
        """Take note of a decision; `status` is what came of it, where that is something else."""
        self.status = worst(self.status or "allowed", status or decision.reported)
        self.missed += len(decision.missed)
        self.abstained += len(decision.abstained)

    def failed(self) -> None:
        """A check failed outside of a decision about a whole text."""
        self.status = "failed"

    @property
    def headers(self) -> dict[str, str]:
        """As they are now: of a stream, what is known when it begins."""
        told = {**self.about, "x-flames-request-id": self.request_id}
        if self.status is not None:
            told["x-flames-decision"] = self.status
        if self.missed:
            told["x-flames-missed"] = str(self.missed)
        if self.abstained:
            told["x-flames-abstained"] = str(self.abstained)
        return told
