"""`OTEL_CONFIG_FILE`, OpenTelemetry's declarative configuration, beside Midwatch."""

from __future__ import annotations

import subprocess

import pytest
from midwatch.config import load_settings
from midwatch.pipeline.destinations import destinations_from_environment

WORK = """
import midwatch
midwatch.init()
with midwatch.turn("s1"), midwatch.agent("monitor"):
    midwatch.route("monitor")
import os
from opentelemetry import propagate
print(sorted(propagate.get_global_textmap().fields), os.environ.get("OTEL_PROPAGATORS"))
"""
EVERY_SIGNAL = """
file_format: "1.0"
resource:
  attributes: [{name: service.name, value: from-the-file}]
tracer_provider:
  processors: [{batch: {exporter: {otlp_http: {endpoint: "${RECEIVER}/v1/traces"}}}}]
meter_provider:
  readers: [{periodic: {exporter: {otlp_http: {endpoint: "${RECEIVER}/v1/metrics"}}}}]
logger_provider:
  processors: [{simple: {exporter: {otlp_http: {endpoint: "${RECEIVER}/v1/logs"}}}}]
propagator: {composite: [{tracecontext: {}}, {not_installed: {}}]}
"""
TRACES_ONLY = """
file_format: "1.0-rc.3"
tracer_provider:
  processors:
    - batch:
        exporter:
          otlp_http:
            endpoint: ${RECEIVER}/v1/traces
            headers: [{name: api-key, value: "s3cret, and more"}]
  limits: {attribute_count_limit: 200}
  id_generator: {random: {}}
propagator: {composite_list: baggage}
"""


@pytest.fixture
def settings_of(tmp_path):
    """The settings where the environment names a file of this content."""

    def read(content: str, **environ: str):
        path = tmp_path / "otel.yaml"
        path.write_text(content)
        return load_settings({"OTEL_CONFIG_FILE": str(path), **environ})

    return read


@pytest.fixture
def spans_to(settings_of):
    """The receivers of spans where the file gives this exporter."""

    def destinations(exporter: str, **environ: str):
        content = f"tracer_provider: {{processors: [{{batch: {{exporter: {exporter}}}}}]}}"
        settings = settings_of(f"file_format: '1.0'\n{content}", **environ)
        return destinations_from_environment(settings, environ)

    return destinations


def test_a_file_for_every_signal_goes_before_the_variables(
    midwatch_run, collector, tmp_path, wait_until
):
    (tmp_path / "otel.yaml").write_text(EVERY_SIGNAL)
    (tmp_path / "work.py").write_text(WORK)
    process = midwatch_run(
        "python",
        "work.py",
        OTEL_CONFIG_FILE="otel.yaml",
        RECEIVER=collector.url,
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
        OTEL_RESOURCE_ATTRIBUTES="midwatch.project=blue",
        OTEL_SERVICE_NAME="from-a-variable",
    )
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "propagators failed (ValueError: Propagator not_installed not found" in errors
    assert output.strip() == "['baggage', 'traceparent', 'tracestate'] None"
    assert sorted(collector.spans) == ["agent.turn", "invoke_agent monitor"]
    assert "route.selected" in collector.events
    assert "agent.route" in collector.metrics
    assert collector.resources[0]["service.name"] == "from-the-file"
    assert collector.resources[0]["midwatch.project"] == "blue"
    assert "OTEL_CONFIG_FILE=otel.yaml: traces, metrics and logs go where it says" in errors


def test_the_official_launcher_with_a_file_starts_midwatch_and_says_what_is_left_out(
    environment, collector, tmp_path
):
    (tmp_path / "otel.yaml").write_text(TRACES_ONLY)
    (tmp_path / "work.py").write_text(WORK)
    done = subprocess.run(
        ["opentelemetry-instrument", "python", "work.py"],
        cwd=tmp_path,
        env={
            **environment,
            "OTEL_PYTHON_DISTRO": "midwatch",
            "OTEL_PYTHON_CONFIGURATOR": "midwatch",
            "OTEL_CONFIG_FILE": "otel.yaml",
            "RECEIVER": collector.url,
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(collector.spans) == ["agent.turn", "invoke_agent monitor"]
    assert "agent.route" in collector.metrics
    assert "metrics and logs go where the OTEL_* variables say" in done.stderr
    assert "does not take from the file: tracer_provider.id_generator" in done.stderr
    assert "s3cret" not in done.stderr
    assert done.stdout.strip() == "['baggage'] baggage"


def test_a_file_that_cannot_be_read_harms_nothing_and_is_told(environment, collector, tmp_path):
    (tmp_path / "work.py").write_text(WORK)
    done = subprocess.run(
        ["python", "work.py"],
        cwd=tmp_path,
        env={
            **environment,
            "OTEL_CONFIG_FILE": "absent.yaml",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(collector.spans) == ["agent.turn", "invoke_agent monitor"]
    assert (
        "WARNING midwatch: OTEL_CONFIG_FILE=absent.yaml is not used (No such file or directory): "
        "the OTEL_* variables decide" in done.stderr
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("a: [s3cret", "it is no YAML or JSON that can be read: ParserError in line 1"),
        ("a: &a [*a]", "it is no YAML or JSON that can be read: RecursionError"),
        ("[1, 2]", "it holds no mapping"),
        ("resource: {}", "its file_format is 'missing'; known is '1.0'"),
        ("file_format: '2.0'", "its file_format is '2.0'; known is '1.0'"),
    ],
)
def test_a_file_that_is_no_configuration_is_told_without_its_content(settings_of, content, reason):
    file = settings_of(content).config_file
    assert file.problem == reason
    assert f"is not used ({reason}): the OTEL_* variables decide" in file.told()
    assert "s3cret" not in repr(file)


def test_a_file_without_a_receiver_leaves_all_signals_to_the_variables(settings_of):
    file = settings_of("file_format: '1.0'\nlog_level: info\n").config_file
    assert file.told().endswith(
        "otel.yaml: traces, metrics and logs go where the OTEL_* variables say, since it names no "
        "exporter for them that Midwatch takes"
    )
    assert file.left_out() == ""


def test_all_that_a_file_says_of_a_receiver_is_taken(spans_to, tmp_path):
    (tmp_path / "ca.pem").write_text("")
    (receiver,) = spans_to(
        "{otlp_http: {endpoint: 'https://c/x', compression: gzip, timeout: 2500, encoding: json, "
        "headers_list: 'a=1,b=2', headers: [{name: b, value: 'x,y='}], "
        f"tls: {{ca_file: {tmp_path}/ca.pem}}}}}}"
    ).spans
    target = receiver.transport._target
    assert receiver.endpoint == "https://c/x"
    assert receiver.timeout_seconds == 2.5
    assert target.compression == "gzip"
    assert target.headers == {"a": "1", "b": "x,y="}
    assert target.tls.certificate.endswith("ca.pem")


def test_headers_of_the_variables_never_go_to_the_receiver_of_the_file(spans_to):
    (receiver,) = spans_to(
        "{otlp_http: {endpoint: 'http://other/v1/traces'}}",
        OTEL_EXPORTER_OTLP_HEADERS="authorization=mine",
        OTEL_EXPORTER_OTLP_TRACES_HEADERS="authorization=mine",
        OTEL_TRACES_EXPORTER="none",
    ).spans
    assert receiver.endpoint == "http://other/v1/traces"
    assert receiver.transport._target.headers == {}


def test_a_wrong_value_of_the_file_is_told_as_one_of_the_file(spans_to):
    (problem,) = spans_to("{otlp_http: {endpoint: 'collector'}}").problems
    assert problem.variable == "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT (by OTEL_CONFIG_FILE)"


def test_references_to_variables_are_replaced_as_opentelemetry_does(settings_of):
    file = settings_of(
        "file_format: '1.0'\n"
        "resource:\n"
        "  attributes_list: team=a%20b\n"
        "  attributes:\n"
        "    - {name: set, value: '${GIVEN:-no}'}\n"
        "    - {name: unset, value: '${ABSENT:-other}'}\n"
        "    - {name: dollar, value: '$${GIVEN}'}\n"
        "    - {name: nothing, value: '${ABSENT}'}\n",
        GIVEN="yes",
    ).config_file
    assert file.variables == {
        "OTEL_RESOURCE_ATTRIBUTES": "team=a%20b,set=yes,unset=other,dollar=%24%7BGIVEN%7D"
    }


def test_sampling_limits_and_batching_of_the_file_are_those_of_the_process(settings_of):
    settings = settings_of(
        "file_format: '1.0'\n"
        "disabled: true\n"
        "attribute_limits: {attribute_value_length_limit: 4096}\n"
        "tracer_provider:\n"
        "  processors: [{batch: {schedule_delay: 700, exporter: {console: {}}}}]\n"
        "  sampler: {parent_based: {root: {trace_id_ratio_based: {ratio: 0.5}}}}\n"
        "meter_provider:\n"
        "  exemplar_filter: always_off\n"
        "  readers:\n"
        "    - pull: {exporter: {prometheus/development: {host: 127.0.0.2, port: 9465}}}\n"
        "    - periodic:\n"
        "        interval: 9000\n"
        "        exporter: {otlp_grpc: {temporality_preference: low_memory}}\n"
        "propagator: {composite: [{tracecontext: {}}, {baggage: {}}]}\n"
    )
    assert settings.config_file.unused == ()
    assert settings.config_file.variables == {
        "OTEL_SDK_DISABLED": "true",
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "4096",
        "OTEL_BSP_SCHEDULE_DELAY": "700",
        "OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.2",
        "OTEL_EXPORTER_PROMETHEUS_PORT": "9465",
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "lowmemory",
        "OTEL_METRIC_EXPORT_INTERVAL": "9000",
        "OTEL_METRICS_EXEMPLAR_FILTER": "always_off",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.5",
    }
    assert settings.config_file.exporters == {
        "traces": {"OTEL_TRACES_EXPORTER": "console"},
        "metrics": {
            "OTEL_METRICS_EXPORTER": "prometheus,otlp",
            "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc",
        },
    }


def test_what_the_file_says_and_no_variable_can_is_named(settings_of):
    file = settings_of(
        "file_format: '1.0'\n"
        "log_level: debug\n"
        "resource: {detection/development: {detectors: [{host: {}}, {container: {}}, {os: }]}}\n"
        "tracer_provider:\n"
        "  processors:\n"
        "    - batch: {export_timeout: 30000, exporter: {otlp_http: {endpoint: 'http://a'}}}\n"
        "    - batch: {exporter: {otlp_http: {endpoint: 'http://b'}}}\n"
        "    - simple: {exporter: {otlp_file/development: {}}}\n"
        "  sampler: {jaeger_remote: {endpoint: 'http://j'}}\n"
        "propagator: {composite_list: 'tracecontext, b3'}\n"
    ).config_file
    assert file.propagators == "tracecontext,b3"
    assert file.variables["OTEL_EXPERIMENTAL_RESOURCE_DETECTORS"] == "host,os"
    assert file.unused == (
        "log_level",
        "resource.detection/development.detectors[1]",
        "tracer_provider.processors[0].batch.export_timeout",
        "tracer_provider.processors[1]",
        "tracer_provider.processors[2]",
        "tracer_provider.sampler",
    )


@pytest.mark.parametrize(
    "content",
    [
        "tracer_provider: {processors: {batch: 1}}",
        "tracer_provider: {processors: [1, {batch: 2}, {batch: {exporter: 3}}]}",
        "tracer_provider: {processors: [{batch: {exporter: {otlp_http: text}}}]}",
        "tracer_provider: {processors: [{batch: {exporter: {otlp_http: {headers: {a: b}}}}}]}",
        "tracer_provider: {sampler: always_on, limits: 5}",
        "resource: {attributes: [text, {name: [1], value: [2]}]}",
        "resource: {detection/development: {detectors: [host, {os: 1}, 2]}}",
        "propagator: {composite: [tracecontext]}",
        "disabled: [true]",
    ],
)
def test_no_form_of_the_file_raises(settings_of, content):
    file = settings_of(f"file_format: '1.0'\n{content}").config_file
    assert file.problem == ""
    assert file.told()
