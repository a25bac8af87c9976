"""Decisions as OpenTelemetry spans, for those who install the `otel` extra.

The spans go wherever the application's own OpenTelemetry set-up sends them; a server of ours, which
nobody has set up, sends them where OpenTelemetry's variables say.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Final

from guard.event import GuardEvent
from judge.errors import InputError

SERVICE: Final = "flames-judge"
END_S = 5.0  # for the last spans; who stops a server kills it after some more


def export_spans() -> Callable[[], None]:
    """Send spans by OTLP over HTTP, as `OTEL_EXPORTER_OTLP_ENDPOINT` and its kin say.

    Where a tracer provider is set already, as by `opentelemetry-instrument`, it is left as it is.

    Returns:
        What sends the last ones, as long as that takes seconds.

    Raises:
        InputError: OpenTelemetry is not installed.
    """
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise _missing() from None
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return lambda: None
    resource = Resource.create()
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):  # nobody named it
        resource = resource.merge(Resource({SERVICE_NAME: SERVICE}))
    provider = TracerProvider(shutdown_on_exit=False, resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)

    def end() -> None:
        last = Thread(target=provider.shutdown, name="spans", daemon=True)
        last.start()
        last.join(END_S)

    return end


def span_observer() -> Callable[[GuardEvent], None]:
    """An observer that makes one span of each decision. It holds no text.

    Raises:
        InputError: OpenTelemetry is not installed.
    """
    try:
        from opentelemetry import trace
    except ImportError:
        raise _missing() from None
    tracer = trace.get_tracer(SERVICE)

    def observe(event: GuardEvent) -> None:
        end = int(event.at.timestamp() * 1e9)
        start = end - int(event.elapsed_s * 1e9)
        attributes: dict[str, str | bool | int | float] = {
            "flames.request_id": event.request_id,
            "flames.side": event.side,
            "flames.action": event.action,
            "flames.status": event.status,
            "flames.policy": event.policy,
            "flames.shadow": event.shadow,
            "flames.streamed": event.streamed,
            "flames.looks": event.looks,
            "flames.characters": event.characters,
            "flames.exposed": event.exposed,
        }
        if event.calibration is not None:
            attributes["flames.calibration"] = event.calibration
        for name, score in event.scores.items():
            attributes[f"flames.score.{name}"] = score
        span = tracer.start_span("flames.guard", start_time=start, attributes=attributes)
        for rule in event.rules:
            told = {
                "rule": rule.rule,
                "action": rule.action,
                "evidence": rule.evidence,
                "p_harmless": rule.p_harmless,
                "cut": rule.cut,
                "bound": rule.bound,
                "n": rule.n,
            }
            found = {name: value for name, value in told.items() if value is not None}
            span.add_event("rule", attributes=found, timestamp=end)
        for missed in event.missed:
            told_missed = {"rule": missed.rule, "kind": missed.kind}
            span.add_event("missed", attributes=told_missed, timestamp=end)
        span.end(end_time=end)

    return observe


def _missing() -> InputError:
    mend = "pip install 'flames-judge[otel]'"
    return InputError("spans need OpenTelemetry", file="--otel", mend=mend)
