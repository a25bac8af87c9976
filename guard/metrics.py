"""Counters and histograms in Prometheus' form. Labels name rules and kinds, never users' text."""

from __future__ import annotations

import os

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

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
CHARACTERS = (0, 40, 80, 160, 320, 640, 1280, 2560)


class Metrics:
    """What a guard and its server count.

    With several workers, `PROMETHEUS_MULTIPROC_DIR` names the folder through which their numbers
    are added up.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        name = "flames_guard"
        self._decisions = Counter(
            f"{name}_decisions",
            "Decisions by side, action and status.",
            ("side", "action", "status", "shadow"),
            registry=self._registry,
        )
        self._rules = Counter(
            f"{name}_rule_hits", "Rules that acted.", ("rule",), registry=self._registry
        )
        self._missed = Counter(
            f"{name}_missed_checks",
            "Checks that could not be made, by kind of failure.",
            ("rule", "kind"),
            registry=self._registry,
        )
        self._abstained = Counter(
            f"{name}_abstentions",
            "Texts on which the judge gave no verdict.",
            ("rule",),
            registry=self._registry,
        )
        self._open = Counter(
            f"{name}_failed_open",
            "Texts that passed although a check failed.",
            ("side",),
            registry=self._registry,
        )
        self._dropped = Counter(
            f"{name}_dropped_keys",
            "Keys of bodies that were left out, since nothing is known of them.",
            ("side",),
            registry=self._registry,
        )
        self._seconds = Histogram(
            f"{name}_check_seconds",
            "Time of one decision.",
            ("side",),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._exposed = Histogram(
            f"{name}_exposed_characters",
            "Most characters of a streamed answer that were out before their check was done.",
            buckets=CHARACTERS,
            registry=self._registry,
        )
        self._lost = Gauge(
            f"{name}_lost_events",
            "Events that no log could take.",
            multiprocess_mode="livesum",
            registry=self._registry,
        )
        self._requests = Counter(
            "flames_http_requests",
            "Requests by route and status.",
            ("route", "status"),
            registry=self._registry,
        )
        self._request_seconds = Histogram(
            "flames_http_request_seconds",
            "Time of one request, to its last byte.",
            ("route",),
            buckets=SECONDS,
            registry=self._registry,
        )

    def observe(self, event: GuardEvent) -> None:
        """Count one decision."""
        shadow = str(event.shadow).lower()
        self._decisions.labels(event.side, event.action, event.status, shadow).inc()
        for rule in event.rules:
            self._rules.labels(rule.rule).inc()
        for missed in event.missed:
            self._missed.labels(missed.rule, missed.kind).inc()
        for name in event.abstained:
            self._abstained.labels(name).inc()
        if event.status == "failed_open":
            self._open.labels(event.side).inc()
        if event.dropped:
            self._dropped.labels(event.side).inc(event.dropped)
        self._seconds.labels(event.side).observe(event.elapsed_s)
        if event.streamed:
            self._exposed.observe(event.exposed)

    def lost(self, events: int) -> None:
        """How many events no log could take, so far."""
        self._lost.set(events)

    def http(self, route: str, status: int, seconds: float) -> None:
        """Count one request; `route` is a route's own name, never what a caller wrote."""
        self._requests.labels(route, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)

    def render(self) -> tuple[bytes, str]:
        """The page for Prometheus, and its content type."""
        registry = self._registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry), CONTENT_TYPE_LATEST
