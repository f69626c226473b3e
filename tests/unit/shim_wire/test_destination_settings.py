"""OpenTelemetry's variables say where telemetry goes; wrong ones are all told at once."""

from __future__ import annotations

import base64

import pytest
from midwatch.config import load_settings
from midwatch.pipeline.destinations import Destinations, destinations_from_environment
from midwatch.pipeline.otlp_settings import OtlpReader, OtlpSettings
from midwatch.pipeline.transport_grpc import GrpcTransport
from midwatch.pipeline.transport_http import HttpTransport


def found(**environ: str) -> Destinations:
    return destinations_from_environment(load_settings({}), environ)


def otlp(signal="traces", /, **given: str) -> OtlpSettings:
    reader = OtlpReader({f"OTEL_EXPORTER_OTLP_{k}": v for k, v in given.items()}, signal)
    settings = reader.settings()
    assert not reader.problems
    return settings


def test_without_any_variable_all_signals_go_to_the_local_collector():
    destinations = found()
    assert [each.endpoint for each in destinations.spans] == ["http://localhost:4318/v1/traces"]
    assert [each.endpoint for each in destinations.logs] == ["http://localhost:4318/v1/logs"]
    assert [each.endpoint for each in destinations.metrics] == ["http://localhost:4318/v1/metrics"]
    assert not destinations.problems


@pytest.mark.parametrize(
    ("given", "endpoint"),
    [
        ({"ENDPOINT": "http://collector:4318"}, "http://collector:4318/v1/traces"),
        ({"ENDPOINT": "https://c/otlp/"}, "https://c/otlp/v1/traces"),
        ({"TRACES_ENDPOINT": "http://c:1/own"}, "http://c:1/own"),
        ({"TRACES_ENDPOINT": "http://c:1"}, "http://c:1/"),
        ({"TRACES_ENDPOINT": "http://c/a", "ENDPOINT": "http://d"}, "http://c/a"),
        ({"LOGS_ENDPOINT": "http://c/a", "ENDPOINT": "http://d"}, "http://d/v1/traces"),
        ({"PROTOCOL": "grpc"}, "localhost:4317"),
        ({"PROTOCOL": "grpc", "ENDPOINT": "http://collector:4317/"}, "collector:4317"),
        ({"PROTOCOL": "grpc", "ENDPOINT": "collector:4317"}, "collector:4317"),
    ],
)
def test_the_endpoint_is_built_as_opentelemetry_says(given, endpoint):
    assert otlp(**given).endpoint == endpoint


@pytest.mark.parametrize(
    ("given", "insecure"),
    [
        ({"ENDPOINT": "http://c:4317"}, True),
        ({"ENDPOINT": "https://c:4317", "INSECURE": "true"}, False),
        ({"ENDPOINT": "c:4317"}, False),
        ({"ENDPOINT": "c:4317", "INSECURE": "true"}, True),
    ],
)
def test_the_scheme_decides_on_tls_and_without_one_the_variable(given, insecure):
    assert otlp(PROTOCOL="grpc", **given).insecure is insecure


def test_headers_are_read_as_in_a_url():
    settings = otlp(HEADERS="api-key=a%2Cb%3D1, X-Team = night ")
    assert settings.headers == {"api-key": "a,b=1", "x-team": "night"}


def test_headers_of_one_signal_take_the_place_of_those_for_all():
    assert otlp(HEADERS="a=1", TRACES_HEADERS="b=2").headers == {"b": "2"}
    assert otlp("logs", HEADERS="a=1", TRACES_HEADERS="b=2").headers == {"a": "1"}


def test_credentials_in_the_endpoint_become_a_header_and_are_not_shown():
    settings = otlp(ENDPOINT="https://night:w%40tch@collector")
    pair = base64.b64encode(b"night:w@tch").decode()
    assert settings.headers == {"authorization": f"Basic {pair}"}
    assert settings.endpoint == "https://collector/v1/traces"


@pytest.mark.parametrize(
    ("given", "seconds"), [("5", 5.0), ("0.5", 0.5), ("10000", 10.0), ("900000000", 300.0)]
)
def test_the_timeout_is_seconds_and_where_it_cannot_be_milliseconds(given, seconds):
    assert otlp(TIMEOUT=given).timeout_seconds == seconds


def test_files_of_tls_and_compression_are_read_by_signal(tmp_path):
    for name in ("ca", "cert", "key"):
        (tmp_path / name).touch()
    settings = otlp(
        CERTIFICATE=str(tmp_path / "ca"),
        TRACES_CLIENT_CERTIFICATE=str(tmp_path / "cert"),
        CLIENT_KEY=str(tmp_path / "key"),
        TRACES_COMPRESSION="gzip",
    )
    assert settings.tls.certificate.endswith("ca")
    assert settings.tls.client_certificate.endswith("cert")
    assert settings.tls.client_key.endswith("key")
    assert settings.compression == "gzip"


def test_each_signal_may_have_its_own_protocol():
    destinations = found(
        OTEL_EXPORTER_OTLP_PROTOCOL="grpc", OTEL_EXPORTER_OTLP_LOGS_PROTOCOL="http/json"
    )
    assert isinstance(destinations.spans[0].transport, GrpcTransport)
    assert isinstance(destinations.logs[0].transport, HttpTransport)
    assert destinations.logs[0].encode([]).content_type == "application/json"


def test_exporters_are_chosen_by_name():
    destinations = found(
        OTEL_TRACES_EXPORTER="otlp,console",
        OTEL_LOGS_EXPORTER="none",
        OTEL_METRICS_EXPORTER="prometheus",
    )
    assert len(destinations.spans) == 1
    assert not destinations.logs
    assert not destinations.metrics
    assert destinations.others == {
        "traces": ("console",),
        "logs": (),
        "metrics": ("prometheus",),
    }


def test_the_official_names_of_both_protocols_mean_what_they_say():
    destinations = found(OTEL_TRACES_EXPORTER="otlp_proto_grpc,otlp_proto_http")
    kinds = [type(each.transport) for each in destinations.spans]
    assert kinds == [GrpcTransport, HttpTransport]


def test_all_wrong_values_are_told_at_once_each_with_what_is_used_instead():
    destinations = found(
        OTEL_EXPORTER_OTLP_ENDPOINT="collector:4318",
        OTEL_EXPORTER_OTLP_PROTOCOL="carrier-pigeon",
        OTEL_EXPORTER_OTLP_COMPRESSION="brotli",
        OTEL_EXPORTER_OTLP_TIMEOUT="soon",
        OTEL_EXPORTER_OTLP_CERTIFICATE="no-such-file.pem",
        OTEL_EXPORTER_OTLP_INSECURE="perhaps",
        OTEL_EXPORTER_OTLP_HEADERS="api-key=s3cr3t,oops s3cr3t",
        OTEL_EXPORTER_OTLP_LOGS_ENDPOINT="http://[broken",
    )
    told = {problem.variable: str(problem) for problem in destinations.problems}
    assert set(told) == {
        f"OTEL_EXPORTER_OTLP_{name}"
        for name in (
            "ENDPOINT",
            "PROTOCOL",
            "COMPRESSION",
            "TIMEOUT",
            "CERTIFICATE",
            "INSECURE",
            "HEADERS",
            "LOGS_ENDPOINT",
        )
    }
    assert "one of http/json, http/protobuf, grpc" in told["OTEL_EXPORTER_OTLP_PROTOCOL"]
    assert "in use now: http://localhost:4318" in told["OTEL_EXPORTER_OTLP_ENDPOINT"]
    assert not any("s3cr3t" in text for text in told.values())
    assert destinations.spans[0].endpoint == "http://localhost:4318/v1/traces"


@pytest.mark.parametrize(
    "endpoint", ["http://", "http://c:99999", "ftp://c", "c:4317:1", "http://c:x", "http://c:0"]
)
@pytest.mark.parametrize("protocol", ["grpc", "http/json"])
def test_an_endpoint_that_is_none_is_told(endpoint, protocol):
    destinations = found(OTEL_EXPORTER_OTLP_PROTOCOL=protocol, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
    (problem,) = destinations.problems
    assert problem.variable == "OTEL_EXPORTER_OTLP_ENDPOINT"


def test_pairs_of_headers_that_are_right_are_used_beside_wrong_ones():
    reader = OtlpReader({"OTEL_EXPORTER_OTLP_HEADERS": "good=1,bad,=x,no good=2,nl=a%0Ab"}, "logs")
    assert reader.settings().headers == {"good": "1"}
    (problem,) = reader.problems
    assert problem.used == "the pairs that are right"
