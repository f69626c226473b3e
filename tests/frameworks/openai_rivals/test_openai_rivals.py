"""OpenAI with every rival installed: counted once and told, by each of the three ways to start."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

RIVALS = (
    "opentelemetry-instrumentation-openai",
    "opentelemetry-instrumentation-openai-v2",
    "openinference-instrumentation-openai",
)
APPLICATION = """
import json, sys
if sys.argv[2] == "init":
    import midwatch
    midwatch.init()
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
kept = InMemorySpanExporter()
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(kept))
import openai
with openai.OpenAI(base_url=sys.argv[1], api_key="k", max_retries=0) as client:
    client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}]
    )
import midwatch
from midwatch.instrumentors.states import STATES
print(json.dumps({
    "spans": [span.name for span in kept.get_finished_spans()],
    "states": STATES.known(),
    "metrics": midwatch.get_agent_telemetry().render_prometheus(),
}))
"""
BREAKING = """
class Breaks:
    def instrument(self):
        raise RuntimeError("this instrumentor breaks")
"""


def completion() -> dict[str, Any]:
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500},
    }


def started(way: str) -> list[str]:
    return {
        "init": [sys.executable],
        "midwatch-run": ["midwatch-run", sys.executable],
        "opentelemetry-instrument": ["opentelemetry-instrument", sys.executable],
    }[way]


def run(way: str, server: Any, tmp_path: Path, **variables: str) -> tuple[dict[str, Any], str]:
    program = tmp_path / "application.py"
    program.write_text(APPLICATION)
    server.will_answer(completion())
    ran = subprocess.run(
        [*started(way), str(program), server.url, way],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.strip().splitlines()[-1]), ran.stderr


def counts(told: dict[str, Any]) -> list[float]:
    """The series of counted requests that are above zero."""
    found = [
        float(line.rpartition(" ")[2])
        for line in told["metrics"].splitlines()
        if line.startswith("agent_llm_requests_total{")
    ]
    return [count for count in found if count]


WAYS = ["init", "midwatch-run", "opentelemetry-instrument"]


@pytest.mark.parametrize("way", WAYS)
def test_a_call_is_one_span_and_counted_once_and_each_rival_is_told(server, tmp_path, way):
    told, warned = run(way, server, tmp_path)
    assert [name for name in told["spans"] if name != "POST"] == ["chat gpt-4o-mini"]
    assert ["openai", "active"] in told["states"]
    assert ["openai", "rival"] in told["states"]
    for rival in RIVALS:
        assert f"{rival} is installed too" in warned
    assert counts(told) == [1.0]


@pytest.mark.parametrize("way", ["init", "opentelemetry-instrument"])
def test_turned_off_by_the_environment_midwatch_leaves_the_library_alone(server, tmp_path, way):
    told, _ = run(
        way, server, tmp_path, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="openai,openai-v2,httpx2"
    )
    assert counts(told) == []
    assert ["openai", "active"] not in told["states"]


@pytest.mark.parametrize("way", ["midwatch-run", "opentelemetry-instrument"])
def test_an_instrumentor_of_another_that_breaks_takes_nothing_with_it(server, tmp_path, way):
    (tmp_path / "breaking.py").write_text(BREAKING)
    folder = tmp_path / "breaking-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: breaking\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        "[opentelemetry_instrumentor]\nbreaking = breaking:Breaks\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]])
    told, warned = run(way, server, tmp_path, PYTHONPATH=path)
    assert ["breaking", "failed"] in told["states"]
    assert "instrument.breaking" in warned
    assert ["openai", "active"] in told["states"]
    assert "chat gpt-4o-mini" in told["spans"]


@pytest.mark.parametrize("way", ["init", "opentelemetry-instrument"])
def test_a_taken_prometheus_port_harms_nothing(server, tmp_path, way):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        told, _ = run(
            way,
            server,
            tmp_path,
            OTEL_METRICS_EXPORTER="prometheus",
            OTEL_EXPORTER_PROMETHEUS_HOST="127.0.0.1",
            OTEL_EXPORTER_PROMETHEUS_PORT=port,
        )
    assert "chat gpt-4o-mini" in told["spans"]
    assert counts(told) == [1.0]
