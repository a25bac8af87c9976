"""How much of streamed answers was out before it was checked, by what the audit log recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import accumulate
from typing import NamedTuple

from guard.event import GuardEvent
from guard.policy import PASSES


class Exposure(NamedTuple):
    """Characters that were out before their check, over so many streamed answers.

    `p99`: of 99 % of them at most as many.
    """

    streams: int
    mean: float
    p99: int
    most: int


class PolicyExposure(NamedTuple):
    """Of one policy: over all its streamed answers, and over those that it stopped, if any."""

    all: Exposure
    stopped: Exposure | None


class ExposureTally:
    """Adds up events one by one; holds counts alone."""

    def __init__(self) -> None:
        self._all: dict[str, Counter[int]] = {}
        self._stopped: dict[str, Counter[int]] = {}

    def add(self, event: GuardEvent) -> None:
        """Count one event, if it is about a streamed answer."""
        if not event.streamed:
            return
        self._all.setdefault(event.policy, Counter())[event.exposed] += 1
        if event.action not in PASSES:
            self._stopped.setdefault(event.policy, Counter())[event.exposed] += 1

    def result(self) -> Mapping[str, PolicyExposure]:
        """By the policies' ids, in the order of their first event."""
        return {
            policy: PolicyExposure(
                _exposure(counts),
                _exposure(self._stopped[policy]) if policy in self._stopped else None,
            )
            for policy, counts in self._all.items()
        }


def _exposure(counts: Mapping[int, int]) -> Exposure:
    sizes, streams = sorted(counts), sum(counts.values())
    at_most = accumulate(counts[size] for size in sizes)
    p99 = next(size for size, n in zip(sizes, at_most, strict=True) if 100 * n >= 99 * streams)
    mean = sum(size * n for size, n in counts.items()) / streams
    return Exposure(streams, mean, p99, sizes[-1])
