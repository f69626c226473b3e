"""The rendered pipeline, run by the real collector: what arrives where, and in which words."""

from __future__ import annotations

import gzip
import http.client
import http.server
import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from toolchain import program_path

pytestmark = pytest.mark.programs
SECONDS = 30


class Store(http.server.ThreadingHTTPServer):
    """A loopback OTLP/HTTP store that keeps what it gets, and a page of metrics to scrape."""

    def __init__(self, metrics_page: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[tuple[str, bytes]] = []
        self.metrics_page = metrics_page
        self.url = f"http://127.0.0.1:{self.server_port}"

    def spans(self) -> list[dict[str, Any]]:
        return [
            span | {"resource": _attributes(resource["resource"])}
            for resource in self._resources("traces", ExportTraceServiceRequest, "resourceSpans")
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]

    def metric_names(self) -> set[str]:
        return {
            metric["name"]
            for resource in self._resources(
                "metrics", ExportMetricsServiceRequest, "resourceMetrics"
            )
            for scope in resource["scopeMetrics"]
            for metric in scope["metrics"]
        }

    def _resources(self, signal: str, message: Any, field: str) -> list[dict[str, Any]]:
        bodies = [body for path, body in list(self.received) if path.endswith(f"/v1/{signal}")]
        parsed = (MessageToDict(message.FromString(body)) for body in bodies)
        return [resource for one in parsed for resource in one.get(field, [])]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Store

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.received.append((self.path, body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        page = self.server.metrics_page.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        """Say nothing: the tests read what was received."""


def _attributes(holder: dict[str, Any]) -> dict[str, Any]:
    return {one["key"]: next(iter(one["value"].values())) for one in holder.get("attributes", [])}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {SECONDS} s: {what}")


@pytest.fixture
def store() -> Iterator[Callable[..., Store]]:
    running: list[Store] = []

    def start(metrics_page: str = "") -> Store:
        running.append(Store(metrics_page))
        threading.Thread(target=running[-1].serve_forever, args=(0.05,), daemon=True).start()
        return running[-1]

    yield start
    for one in running:
        one.shutdown()
        one.server_close()


class Collector:
    """The rendered pipeline as a process on free ports."""

    def __init__(self, files_of: Callable[..., dict[str, dict[str, str]]], folder: Path) -> None:
        self._files_of = files_of
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self, values: dict[str, Any], addresses: dict[str, str]) -> str:
        """Start it with values and the addresses of stores; gives the URL of its receiver."""
        ports = {name: free_port() for name in ("4317", "4318", "13133", "8888")}
        config = self._folder / "collector.yaml"
        config.write_text(self._localized(values, addresses, ports), encoding="utf-8")
        command = [program_path("otelcol"), f"--config={config}"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        health = f"http://127.0.0.1:{ports['13133']}/"
        until(lambda: request("GET", health) == 200, "the collector is up")
        return f"http://127.0.0.1:{ports['4318']}"

    def _localized(
        self, values: dict[str, Any], addresses: dict[str, str], ports: dict[str, int]
    ) -> str:
        own = {"kubernetesAttributes": {"enabled": False}} | values.get("collector", {})
        text = self._files_of(values | {"collector": own})["midwatch-collector"]["collector.yaml"]
        for name, port in ports.items():
            text = text.replace(f"0.0.0.0:{name}", f"127.0.0.1:{port}")
        text = text.replace("port: 8888", f"port: {ports['8888']}")
        text = re.sub(r"\b0(\.0){3}\b", "127.0.0.1", text)
        for cluster, local in addresses.items():
            text = text.replace(cluster, local)
        return text.replace("/var/lib/midwatch/collector", str(self._folder))

    def stop(self, *, kill: bool = False) -> None:
        """End it, cleanly or not."""
        if self._process is None:
            return
        (self._process.kill if kill else self._process.terminate)()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


@pytest.fixture
def collector(files_of, tmp_path: Path) -> Iterator[Collector]:
    process = Collector(files_of, tmp_path)
    yield process
    process.stop()


def request(method: str, url: str, body: Any = None) -> int:
    """Status of a request to a loopback address; 0 when nobody answers."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request(method, parts.path, json.dumps(body) if body else None, headers)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def send(url: str, attributes: dict[str, str], *, trace: int = 1, failed: bool = False) -> None:
    span = {
        "traceId": f"{trace:032x}",
        "spanId": f"{trace:016x}",
        "name": "chat",
        "kind": 3,
        "status": {"code": 2 if failed else 1},
        "startTimeUnixNano": str(time.time_ns() - 10**9),
        "endTimeUnixNano": str(time.time_ns()),
        "attributes": [
            {"key": key, "value": {"stringValue": value}} for key, value in attributes.items()
        ],
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "agent"}}]}
    body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}
    assert request("POST", f"{url}/v1/traces", body) == 200


LEDGER = "http://midwatch-ledger.midwatch.svc:8088"
PROMETHEUS = "http://midwatch-prometheus.midwatch.svc:9090"
TEMPO = "midwatch-tempo.midwatch.svc:4317"
PROMPT = "gen_ai.input.messages"
KEY = "sk-abcdefghijklmnopqrstuvwx"


@pytest.fixture
def delivered(store, collector) -> Callable[..., dict[str, Any]]:
    """Attributes with which one span arrives in the ledger."""

    def deliver(content: str, attributes: dict[str, str]) -> dict[str, Any]:
        ledger, prometheus = store(), store()
        addresses = {LEDGER: ledger.url, PROMETHEUS: prometheus.url}
        url = collector({"content": content, "tempo": {"enabled": False}}, addresses)
        send(url, attributes)
        (span,) = until(ledger.spans, "the span is in the ledger")
        return _attributes(span)

    return deliver


def test_content_off_removes_prompts_and_masks_secrets(delivered):
    given = {PROMPT: "hello", "response_text": "hi", "gen_ai.request.model": "m", "note": KEY}
    assert delivered("off", given) == {"gen_ai.request.model": "m", "note": "****"}


def test_content_redacted_keeps_prompts_and_masks_persons_and_secrets(delivered):
    given = {
        PROMPT: f"I am ann@example.com, card 4111 1111 1111 1111, key {KEY}",
        "gen_ai.conversation.id": "5b8efff798038103d269b633813fc60c",
        "order": "20261121 1530",
    }
    assert delivered("redacted", given) == given | {PROMPT: "I am ****, card ****, key ****"}


def test_content_full_keeps_everything(delivered):
    given = {PROMPT: f"I am ann@example.com, key {KEY}"}
    assert delivered("full", given) == given


def test_long_attributes_are_cut_at_the_length_that_tempo_takes(store, collector):
    ledger, prometheus = store(), store()
    values = {"collector": {"maxAttributeBytes": 300}}
    url = collector(values, {LEDGER: ledger.url, PROMETHEUS: prometheus.url})
    send(url, {"note": "x" * 1000})
    (span,) = until(ledger.spans, "the span is in the ledger")
    assert _attributes(span) == {"note": "x" * 300}


def test_telemetry_that_names_no_project_and_environment_gets_those_of_the_values(store, collector):
    ledger, prometheus = store(), store()
    values = {"global": {"project": "shop", "environment": "staging"}}
    url = collector(values, {LEDGER: ledger.url, PROMETHEUS: prometheus.url})
    send(url, {})
    (span,) = until(ledger.spans, "the span is in the ledger")
    assert span["resource"]["midwatch.project"] == "shop"
    assert span["resource"]["deployment.environment.name"] == "staging"


def test_dead_stores_delay_neither_the_ledger_nor_each_other(store, collector):
    ledger, dead = store(), free_port()
    addresses = {
        LEDGER: ledger.url,
        PROMETHEUS: f"http://127.0.0.1:{dead}",
        TEMPO: f"127.0.0.1:{dead}",
    }
    url = collector({}, addresses)
    for number in range(20):
        send(url, {"number": str(number)})
    until(lambda: len(ledger.spans()) == 20, "all spans are in the ledger")


def test_span_metrics_reach_prometheus(store, collector):
    ledger, prometheus = store(), store()
    url = collector({}, {LEDGER: ledger.url, PROMETHEUS: prometheus.url})
    send(url, {"gen_ai.operation.name": "chat"})
    wanted = {"traces.span.metrics.calls", "traces.span.metrics.duration"}
    until(lambda: wanted <= prometheus.metric_names(), "span metrics are in Prometheus")


def test_a_scrape_takes_the_metrics_namespace_off_and_leaves_other_names(store, collector):
    page = (
        "# TYPE security_agent_agent_route_total counter\n"
        'security_agent_agent_route_total{selected_agent="monitor"} 1\n'
        "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 2\n"
    )
    ledger, prometheus = store(), store(page)
    address = prometheus.url.removeprefix("http://")
    target = {"address": address, "metricsNamespace": "security_agent"}
    scrape = {"enabled": True, "interval": "1s", "pods": {"enabled": False}}
    values = {"collector": {"scrape": scrape | {"targets": {"security-agent": target}}}}
    collector(values, {LEDGER: ledger.url, PROMETHEUS: prometheus.url})
    wanted = {"agent_route_total", "process_cpu_seconds_total"}
    until(lambda: wanted <= prometheus.metric_names(), "scraped metrics are in Prometheus")
    assert not any(name.startswith("security_agent") for name in prometheus.metric_names())


@pytest.mark.parametrize("kill", [True, False], ids=["killed", "stopped"])
def test_what_waits_for_a_dead_store_survives_a_restart(store, collector, kill):
    dead = free_port()
    addresses = {LEDGER: f"http://127.0.0.1:{dead}", PROMETHEUS: f"http://127.0.0.1:{dead}"}
    url = collector({"tempo": {"enabled": False}}, addresses)
    send(url, {"number": "1"})
    collector.stop(kill=kill)
    ledger = store()
    collector({"tempo": {"enabled": False}}, addresses | {LEDGER: ledger.url})
    (span,) = until(ledger.spans, "the span is in the ledger")
    assert _attributes(span) == {"number": "1"}


def test_tail_sampling_keeps_what_on_call_needs_and_the_ledger_gets_all(store, collector):
    ledger, prometheus, tempo = store(), store(), store()
    waits = {"decisionWait": "1s", "decisionWaitAfterRoot": "1s"}
    sampling = {"enabled": True, "percentage": 0} | waits
    addresses = {LEDGER: ledger.url, PROMETHEUS: prometheus.url}
    # The store here speaks HTTP; the queue, the retries and what is before them stay the same.
    addresses |= {"otlp_grpc/tempo": "otlp_http/tempo", TEMPO: tempo.url}
    url = collector({"collector": {"tailSampling": sampling}}, addresses)
    send(url, {"midwatch.turn.outcome": "ok"}, trace=1)
    send(url, {"midwatch.turn.outcome": "ok"}, trace=2, failed=True)
    send(url, {"midwatch.turn.outcome": "interrupted"}, trace=3)
    until(lambda: len(tempo.spans()) >= 2, "the kept traces are in Tempo")
    assert {span["name"] for span in ledger.spans()} == {"chat"}
    assert len({span["traceId"] for span in ledger.spans()}) == 3
    kept = {_attributes(span)["midwatch.turn.outcome"]: span["status"] for span in tempo.spans()}
    assert kept == {"ok": {"code": "STATUS_CODE_ERROR"}, "interrupted": {"code": "STATUS_CODE_OK"}}
