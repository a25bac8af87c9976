"""Counters and histograms in Prometheus' form. Labels name rules and kinds, never users' text."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from guard.event import GuardEvent
from judge.errors import InputError

GUARD = "flames_guard"
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
CHARACTERS = (0, 40, 80, 160, 320, 640, 1280, 2560)
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
FILES = ("counter", "gauge_livemax", "gauge_livesum", "histogram")
ROOM = 128 * 2**10  # bytes of each: twice what all routes, sides and statuses take


class Metrics:
    """What a guard and its server count.

    With several workers, `PROMETHEUS_MULTIPROC_DIR` names the folder through which their numbers
    are added up.

    Raises:
        InputError: the folder has no room for them.
    """

    def __init__(self) -> None:
        _make_room()
        self._registry = CollectorRegistry()
        self._decisions = self._counter(
            f"{GUARD}_decisions",
            "Decisions by side, action and status.",
            ("side", "action", "status", "shadow"),
        )
        self._rules = self._counter(f"{GUARD}_rule_hits", "Rules that acted.", ("rule",))
        self._missed = self._counter(
            f"{GUARD}_missed_checks",
            "Checks that could not be made, by kind of failure.",
            ("rule", "kind"),
        )
        self._abstained = self._counter(
            f"{GUARD}_abstentions", "Texts on which the judge gave no verdict.", ("rule",)
        )
        self._open = self._counter(
            f"{GUARD}_failed_open", "Texts that passed although a check failed.", ("side",)
        )
        self._dropped = self._counter(
            f"{GUARD}_dropped_keys",
            "Keys of bodies that were left out, since nothing is known of them.",
            ("side",),
        )
        self._cost = self._counter(
            f"{GUARD}_judge_cost_usd",
            "What the judge's answers cost, as far as their price is known.",
            ("side",),
        )
        self._seconds = self._histogram(
            f"{GUARD}_check_seconds", "Time of one decision.", ("side",)
        )
        self._exposed = Histogram(
            f"{GUARD}_exposed_characters",
            "Most characters of a streamed answer that were out before their check was done.",
            buckets=CHARACTERS,
            registry=self._registry,
        )
        self._lost = Gauge(
            f"{GUARD}_lost_events",
            "Events that a log could not take.",
            multiprocess_mode="livesum",
            registry=self._registry,
        )
        self._waiting = Gauge(
            f"{GUARD}_waiting_events",
            "Events that wait in memory until their log can take them.",
            multiprocess_mode="livesum",
            registry=self._registry,
        )
        self._labels = self._counter(
            f"{GUARD}_lost_labels",
            "Answers to label that their queue could not keep.",
            ("queue",),
        )
        self._drift = Gauge(
            f"{GUARD}_drift_alarm",
            "1 where scores have drifted from their baseline.",
            ("scores",),
            multiprocess_mode="livemax",
            registry=self._registry,
        )
        self._requests = self._counter(
            "flames_http_requests", "Requests by route and status.", ("route", "status")
        )
        self._request_seconds = self._histogram(
            "flames_http_request_seconds", "Time of one request, to its last byte.", ("route",)
        )

    def observe(self, event: GuardEvent) -> None:
        """Count one decision."""
        shadow = str(event.shadow).lower()
        self._decisions(event.side, event.action, event.status, shadow).inc()
        for rule in event.rules:
            self._rules(rule.rule).inc()
        for missed in event.missed:
            self._missed(missed.rule, missed.kind).inc()
        for name in event.abstained:
            self._abstained(name).inc()
        if event.status == "failed_open":
            self._open(event.side).inc()
        if event.dropped:
            self._dropped(event.side).inc(event.dropped)
        if event.cost_usd is not None and event.cost_usd > 0:  # a counter takes no other
            self._cost(event.side).inc(event.cost_usd)
        self._seconds(event.side).observe(event.elapsed_s)
        if event.streamed:
            self._exposed.observe(event.exposed)

    def lost(self, events: int) -> None:
        """How many events a log could not take, so far."""
        self._lost.set(events)

    def waiting(self, more: int) -> None:
        """How many events more, or fewer, wait in memory for a log."""
        self._waiting.inc(more)

    def lost_label(self, queue: str) -> None:
        """Count an answer that people don't get to label: of `random` or of `human`."""
        self._labels(queue).inc()

    def drifted(self, scores: str) -> None:
        """Tell of an alarm about a dimension's scores, or about how often rules act."""
        self._drift.labels(scores).set(1)

    def http(self, route: str, status: int, seconds: float) -> None:
        """Count one request; `route` is a route's own name, never what a caller wrote."""
        self._requests(route, str(status)).inc()
        self._request_seconds(route).observe(seconds)

    def render(self) -> tuple[bytes, str]:
        """The page for Prometheus, and its content type."""
        registry = self._registry
        if FOLDER in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry), CONTENT_TYPE_LATEST

    # The library looks a metric's labels up in a dozen steps; there are few, so each is kept.

    def _counter(self, name: str, told: str, labels: tuple[str, ...]) -> Callable[..., Counter]:
        return cache(Counter(name, told, labels, registry=self._registry).labels)

    def _histogram(self, name: str, told: str, labels: tuple[str, ...]) -> Callable[..., Histogram]:
        metric = Histogram(name, told, labels, buckets=SECONDS, registry=self._registry)
        return cache(metric.labels)


def _make_room() -> None:
    """Write this process's files whole, before the library does, which maps files with holes.

    A full disk has no page for a hole: whoever writes there is killed by SIGBUS.

    Raises:
        InputError: they can't be written.
    """
    folder = os.environ.get(FOLDER)
    if folder is None:
        return
    for kind in FILES:
        file = Path(folder, f"{kind}_{os.getpid()}.db")
        try:
            if not file.exists():
                file.write_bytes(bytes(ROOM))
        except OSError as error:
            with suppress(OSError):  # half of it, where there is a folder at all
                file.unlink()
            raise InputError(f"has no room for metrics: {error.strerror}", file=folder) from None
