"""What Prometheus and OpenTelemetry get to see."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Event, Thread

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from guard.decision import Part
from guard.engine import Asked
from guard.metrics import ROOM, Metrics
from guard.tracing import span_observer
from judge.testing import ScriptedJudge
from judge.verdict import FailureKind
from tests.guard.audit.test_logs import event
from tests.guard.made import ABUSE, BAD, LEGAL, guard, policy


async def test_prometheus_counts_decisions_rules_failures_exposure_and_cost() -> None:
    """Each with its labels; a text that passed unchecked has a counter of its own."""
    metrics = Metrics()
    one = guard(observers=(metrics.observe,))
    for text in (BAD, "好", "好"):
        await one.check("output", [Part("t", text)], Asked())
    failing = policy(LEGAL, on_failure="allow")
    judge = ScriptedJudge(lambda _: FailureKind.TIMEOUT)
    two = guard(failing, judge, observers=(metrics.observe,))
    await two.check("output", [Part("t", "好")], Asked())
    metrics.observe(event(exposed=120))
    for usd in (0.25, 0.5, None, -1.0, float("nan")):  # a judge of somebody's may say anything
        metrics.observe(event(cost_usd=usd))
    metrics.http("/v1/chat/completions", 200, 0.02)
    metrics.lost_label("human")
    metrics.drifted("Legality")
    page, kind = metrics.render()
    said = page.decode()
    assert kind.startswith("text/plain")
    for line in (
        'decisions_total{action="allow",shadow="false",side="output",status="allowed"} 2.0',
        'flames_guard_rule_hits_total{rule="abuse:output:block"} 7.0',
        'flames_guard_missed_checks_total{kind="timeout",rule="Legality:output:block"} 1.0',
        'flames_guard_failed_open_total{side="output"} 1.0',
        'flames_guard_exposed_characters_bucket{le="160.0"} 6.0',
        'flames_guard_judge_cost_usd_total{side="output"} 0.75',
        'flames_guard_lost_labels_total{queue="human"} 1.0',
        'flames_guard_drift_alarm{scores="Legality"} 1.0',
        'flames_http_requests_total{route="/v1/chat/completions",status="200"} 1.0',
    ):
        assert line in said
    assert BAD not in said


async def test_a_decision_is_a_span_with_numbers_and_without_texts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rule, cut and status; not a word of what was said."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    judge = ScriptedJudge(lambda _: 0.1)
    one = guard(policy(LEGAL, ABUSE), judge, observers=(span_observer(),), texts=True)
    await one.check("output", [Part("t", BAD)], Asked(prompt="问", request_id="r7"))
    [span] = exporter.get_finished_spans()
    assert span.attributes is not None
    assert span.attributes["flames.request_id"] == "r7"
    assert span.attributes["flames.score.Legality"] == 0.1
    assert {e.attributes["rule"] for e in span.events if e.attributes} == {
        "Legality:output:block", "abuse:output:block",
    }  # fmt: skip
    assert BAD not in span.to_json()
    provider.shutdown()


COUNTED = """
from guard.metrics import ROOM, Metrics
from tests.guard.audit.test_logs import event
metrics = Metrics()
metrics.observe(event(status="failed_open"))
metrics.drifted("rules")
for number in range(30):
    metrics.http(f"/v1/runs/route-{number}", 200, 0.1)
print(metrics.render()[0].decode())
"""


def test_what_workers_count_has_its_room_before_a_disk_is_full(tmp_path: Path) -> None:
    """The library maps files with holes: a page without room kills the worker, and the next one."""
    env = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    code = [sys.executable, "-c", COUNTED]
    page = subprocess.run(code, env=env, check=True, timeout=60, capture_output=True, text=True)
    assert 'flames_http_requests_total{route="/v1/runs/route-29",status="200"} 1.0' in page.stdout
    files = sorted(tmp_path.iterdir())
    assert [file.name.rpartition("_")[0] for file in files] == [
        "counter", "gauge_livemax", "gauge_livesum", "histogram",
    ]  # fmt: skip
    for file in files:
        assert file.stat().st_blocks * 512 >= file.stat().st_size == ROOM


def test_without_room_for_what_it_counts_no_worker_starts(tmp_path: Path) -> None:
    """Nor leaves half a file there, over which the others would stumble."""
    env = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    code = f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (9, 9))\n{COUNTED}"
    started = [sys.executable, "-B", "-c", code]
    ended = subprocess.run(
        started, check=False, env=env, timeout=60, capture_output=True, text=True
    )
    assert f"InputError: {tmp_path}: has no room for metrics: File too large" in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_for_what_workers_count_that_is_none_is_one_line(tmp_path: Path) -> None:
    """As where a file's name is given."""
    file = tmp_path / "file"
    file.touch()
    env = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(file)}
    started = [sys.executable, "-B", "-c", COUNTED]
    ended = subprocess.run(
        started, check=False, env=env, timeout=60, capture_output=True, text=True
    )
    assert f"InputError: {file}: has no room for metrics: Not a directory" in ended.stderr


ONE_SPAN = """
import guard.tracing
from tests.guard.audit.test_logs import event
guard.tracing.END_S = {patience}
end, observe = guard.tracing.export_spans(), guard.tracing.span_observer()
observe(event(request_id="r7"))
end()
"""


@contextmanager
def collector(came: Queue[bytes], answers: Event) -> Iterator[str]:
    """Where spans may be sent; it answers once it may."""

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.put(self.path.encode() + self.rfile.read(int(self.headers["content-length"])))
            answers.wait()
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            answers.set()
            server.shutdown()


def send_a_span(where: str, patience: float, **told: str) -> None:
    """In a process of its own, since a set-up is for good; it ends by itself."""
    told |= {"OTEL_EXPORTER_OTLP_ENDPOINT": where, "OTEL_EXPORTER_OTLP_COMPRESSION": "none"}
    env = {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}
    code = [sys.executable, "-c", ONE_SPAN.format(patience=patience)]
    subprocess.run(code, env=env | told, check=True, timeout=25)


@pytest.mark.parametrize("named", [None, "mine"])
def test_spans_go_where_opentelemetry_s_variables_say(named: str | None) -> None:
    """Nobody else sets a server of ours up; what has not been sent is sent at the end."""
    came, answers = Queue[bytes](), Event()
    answers.set()
    with collector(came, answers) as where:
        send_a_span(where, 20, **({"OTEL_SERVICE_NAME": named} if named else {}))
        sent = came.get(timeout=10)
    assert sent.startswith(b"/v1/traces")
    assert (named or "flames-judge").encode() in sent
    assert b"r7" in sent


def test_a_collector_that_does_not_answer_holds_up_no_end() -> None:
    """OpenTelemetry would wait half a minute, and who ends a server kills it before."""
    with collector(Queue(), Event()) as where:
        send_a_span(where, 0.1, OTEL_EXPORTER_OTLP_TIMEOUT="600")
