"""Whether telemetry reaches where it goes: real requests, with remedies for what they meet."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from base64 import b64encode

import pytest
from midwatch.doctor.destinations import remedy
from toolchain import program_path

from tests.free_ports import free_port

ON = {name: "otlp" for name in ("OTEL_TRACES_EXPORTER", "OTEL_LOGS_EXPORTER")} | {
    "OTEL_METRICS_EXPORTER": "otlp"
}


def test_each_signal_is_really_sent_with_its_headers(look, receiver):
    began = time.monotonic()
    report = look(
        **ON,
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
        OTEL_EXPORTER_OTLP_HEADERS="x-tenant=blue",
    )
    assert report.problems == ()
    assert sorted(path for _, path, _, _ in receiver.requests) == [
        "/v1/logs",
        "/v1/metrics",
        "/v1/traces",
    ]
    assert all(headers["x-tenant"] == "blue" for _, _, headers, _ in receiver.requests)
    data = report.section("destinations")["traces to otlp"].data
    assert data["outcome"] == "sent"
    assert data["endpoint"] == f"{receiver.url}/v1/traces"
    assert 0 < data["latency_ms"] <= (time.monotonic() - began) * 1000


@pytest.mark.parametrize("protocol", ["http/json", "http/protobuf"])
def test_the_request_is_of_the_protocol_in_use_and_empty(look, receiver, protocol):
    look(
        OTEL_TRACES_EXPORTER="otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
    )
    ((_, _, headers, body),) = receiver.requests
    kind = "json" if protocol == "http/json" else "x-protobuf"
    assert headers["content-type"] == f"application/{kind}"
    assert body in (b"", b'{"resourceSpans":[]}')


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (401, "give the right key: see OTEL_EXPORTER_OTLP_HEADERS"),
        (404, "it is no OTLP receiver"),
        (503, "takes nothing now"),
    ],
)
def test_what_the_receiver_answers_is_told_with_a_remedy(look, receiver, status, told):
    receiver.status = status
    report = look(OTEL_TRACES_EXPORTER="otlp", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    (problem,) = report.problems
    assert str(status) in problem.detail
    assert told in problem.remedy


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_receiver_that_is_not_there_is_a_problem(look, closed_port, protocol):
    report = look(
        OTEL_TRACES_EXPORTER="otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{closed_port}",
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
    )
    (problem,) = report.problems
    assert "cannot be reached" in problem.detail
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in problem.remedy


def test_a_receiver_that_hangs_is_not_waited_for_long(look, receiver):
    receiver.delay_seconds = 3
    began = time.monotonic()
    report = look(
        OTEL_TRACES_EXPORTER="otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
        options={"timeout_seconds": 0.2},
    )
    assert time.monotonic() - began < 2.5
    assert len(report.problems) == 1


def test_offline_nothing_is_sent(look, receiver):
    report = look(
        **ON,
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
        MIDWATCH_LEDGER_URL=receiver.url,
        options={"offline": True},
    )
    assert report.problems == ()
    assert receiver.requests == []
    assert "not tried" in report.section("destinations")["logs to otlp"].detail


def test_what_is_left_to_other_exporters_is_told(look):
    report = look(OTEL_TRACES_EXPORTER="console")
    found = report.section("destinations")["traces exporters"]
    assert (found.status, "console" in found.detail) == ("note", True)


def test_that_nothing_is_exported_is_told(look):
    assert look().section("destinations")["none"].status == "note"


def test_telemetry_that_is_off_sends_nothing(look, receiver):
    report = look(
        **ON, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url, AGENT_OBSERVABILITY_ENABLED="false"
    )
    assert receiver.requests == []
    assert report.section("destinations") == {}


LANGFUSE = {"LANGFUSE_PUBLIC_KEY": "pk-1", "LANGFUSE_SECRET_KEY": "sk-1"}
LANGSMITH = {"LANGSMITH_API_KEY": "ls-1", "LANGSMITH_TRACING": "true"}


def test_the_keys_of_langfuse_and_langsmith_are_tried(look, receiver):
    report = look(
        **LANGFUSE, **LANGSMITH, LANGFUSE_HOST=receiver.url, LANGSMITH_ENDPOINT=receiver.url
    )
    assert report.problems == ()
    sent = {path: headers for _, path, headers, _ in receiver.requests}
    langfuse = next(headers for path, headers in sent.items() if "/api/public/otel" in path)
    assert langfuse["authorization"] == f"Basic {b64encode(b'pk-1:sk-1').decode()}"
    langsmith = next(headers for path, headers in sent.items() if path.startswith("/otel"))
    assert langsmith["x-api-key"] == "ls-1"


def test_keys_that_are_refused_are_told_by_their_variables(look, receiver):
    receiver.status = 401
    report = look(
        **LANGFUSE, **LANGSMITH, LANGFUSE_HOST=receiver.url, LANGSMITH_ENDPOINT=receiver.url
    )
    remedies = "\n".join(problem.remedy for problem in report.problems)
    assert "LANGFUSE_SECRET_KEY" in remedies
    assert "LANGSMITH_API_KEY" in remedies


def test_the_ledger_of_the_prompts_is_tried(look, receiver):
    receiver.body = b'{"items": []}'
    report = look(MIDWATCH_LEDGER_URL=receiver.url, MIDWATCH_LEDGER_API_KEY="k")
    assert report.section("destinations")["prompts from the ledger"].status == "ok"
    ((method, _, headers, _),) = receiver.requests
    assert (method, headers["authorization"]) == ("GET", "Bearer k")
    receiver.status = 403
    (problem,) = look(MIDWATCH_LEDGER_URL=receiver.url).problems
    assert "MIDWATCH_LEDGER_API_KEY" in problem.remedy


@pytest.mark.parametrize(
    ("endpoint", "reason", "told"),
    [
        ("http://c:4317/v1/traces", "RemoteDisconnected", "use 4318"),
        ("c:4318", "UNAVAILABLE", "use 4317"),
        ("https://c/v1/traces", "SSLError: certificate verify failed", "CERTIFICATE"),
        ("c:4317", "gRPC UNAUTHENTICATED", "OTEL_EXPORTER_OTLP_HEADERS"),
        ("c:4317", "gRPC UNIMPLEMENTED", "no OTLP receiver"),
        ("c:4317", "gRPC RESOURCE_EXHAUSTED", "takes nothing now"),
        ("c:4317", "ModuleNotFoundError: No module named 'grpc'", "install midwatch[grpc]"),
    ],
)
def test_usual_mistakes_have_their_own_remedy(endpoint, reason, told):
    assert told in remedy("otlp", endpoint, reason)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.programs
def test_the_real_collector_answers_by_http_and_by_grpc(look, tmp_path):
    ports = {"http": free_port(), "grpc": free_port()}
    configuration = {
        "receivers": {
            "otlp": {
                "protocols": {
                    name: {"endpoint": f"127.0.0.1:{port}"} for name, port in ports.items()
                }
            }
        },
        "exporters": {"file": {"path": str(tmp_path / "out.json")}},
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {
                signal: {"receivers": ["otlp"], "exporters": ["file"]}
                for signal in ("traces", "logs", "metrics")
            },
        },
    }
    (tmp_path / "collector.yaml").write_text(json.dumps(configuration))
    process = subprocess.Popen(
        [program_path("otelcol"), f"--config={tmp_path / 'collector.yaml'}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "GOMAXPROCS": "1"},
    )
    try:
        deadline = time.monotonic() + 30
        while not all(map(is_open, ports.values())):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for name, protocols in {"http": ("http/json", "http/protobuf"), "grpc": ("grpc",)}.items():
            for protocol in protocols:
                report = look(
                    **ON,
                    OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{ports[name]}",
                    OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
                )
                assert report.problems == ()
                sent = report.section("destinations").values()
                assert [one.data["outcome"] for one in sent] == ["sent"] * 3
    finally:
        process.terminate()
        process.wait(20)


def test_a_package_that_an_encoder_lacks_is_told(look, monkeypatch):
    def lack(_: object) -> None:
        raise ModuleNotFoundError("No module named 'google'")

    monkeypatch.setattr("midwatch.pipeline.otlp_json.encode_spans", lack)
    report = look(OTEL_TRACES_EXPORTER="otlp", OTEL_EXPORTER_OTLP_PROTOCOL="http/json")
    (problem,) = report.problems
    assert problem.name == "traces to otlp"
    assert "install midwatch[grpc]" in problem.remedy
