"""An application that sets up OpenTelemetry itself, before Midwatch starts or after it."""

from __future__ import annotations

import json
import subprocess

import pytest

OWN = """
import json
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

seen = {}

class Own(SpanExporter):
    def export(self, spans):
        seen.update({span.name: span.to_json() for span in spans})
        return SpanExportResult.SUCCESS

def set_up():
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(Own()))
    trace.set_tracer_provider(provider)
"""
WORK = """
@midwatch.trace_workflow
def answer(text):
    return "the key is s3cret-words"

answer("write to alice@example.com")
rendered = midwatch.get_agent_telemetry().render_prometheus()
told = [line for line in rendered.splitlines() if 'where="tracing"' in line]
print(json.dumps({"seen": seen, "told": told}))
"""


@pytest.fixture
def run(environment, collector, tmp_path):
    def started(program: str, *launcher: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "work.py").write_text(program)
        return subprocess.run(
            [*launcher, "python", "work.py"],
            cwd=tmp_path,
            env={
                **environment,
                "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
                "MIDWATCH_CONTENT": "redacted",
            },
            capture_output=True,
            text=True,
            timeout=60,
        )

    return started


def test_tracing_that_was_set_up_first_keeps_the_spans_without_content_and_that_is_told(
    run, collector
):
    done = run(f"{OWN}\nset_up()\nimport midwatch\nmidwatch.init()\n{WORK}")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (span,) = found["seen"].values()
    assert "s3cret-words" not in span
    assert "alice@example.com" not in span
    assert found["told"] == ['midwatch_internal_errors_total{where="tracing"} 1']
    assert "tracing was set up before Midwatch started" in done.stderr
    assert "content is off" in done.stderr
    assert collector.spans == []
    assert "turn.finished" in collector.events
    assert "agent.turns" in collector.metrics


def test_tracing_that_is_set_up_after_midwatch_is_refused_and_told_by_opentelemetry(run, collector):
    done = run(f"{OWN}\nimport midwatch\nset_up()\n{WORK}", "midwatch-run")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"seen": {}, "told": []}
    assert "Overriding of current TracerProvider is not allowed" in done.stderr
    assert collector.spans == ["invoke_workflow answer"]
