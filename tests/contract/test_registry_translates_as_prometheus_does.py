"""A real Prometheus gives the metrics exactly the names that the registry computes."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.parse
import urllib.request

import pytest
from midwatch.instruments.meters import Instruments
from midwatch.instruments.recorder import Recorder
from midwatch.pipeline.rendering import RenderReader
from midwatch.registry import METRICS, RESOURCE_LABELS, Instrument
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from toolchain import program_path

from tests.free_ports import free_port

pytestmark = pytest.mark.programs

RESOURCE = {
    "service.name": "tested",
    "service.namespace": "tests",
    "service.version": "1",
    "k8s.namespace.name": "default",
    "k8s.pod.name": "pod-1",
    "deployment.environment.name": "test",
    "midwatch.project": "blue",
}


def get(url: str) -> dict:
    with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310
        return json.load(response)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prometheus")
    promoted = "".join(f"    - {name}\n" for name in RESOURCE)
    (folder / "prometheus.yml").write_text(f"otlp:\n  promote_resource_attributes:\n{promoted}")
    address = f"127.0.0.1:{free_port()}"
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        [
            str(program_path("prometheus")),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={address}",
            "--web.enable-otlp-receiver",
        ],
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://{address}/-/ready", timeout=2):
                break
        except OSError:
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.05)
    yield f"http://{address}"
    process.terminate()
    process.wait(30)
    log.close()


@pytest.fixture(scope="module")
def stored(prometheus) -> dict[str, dict[str, str]]:
    """The labels of a series of each name that Prometheus has after everything was recorded."""
    exporter = OTLPMetricExporter(endpoint=f"{prometheus}/api/v1/otlp/v1/metrics")
    provider = MeterProvider(
        metric_readers=[PeriodicExportingMetricReader(exporter, 3_600_000)],
        resource=Resource.create(RESOURCE),
        shutdown_on_exit=False,
    )
    instruments = Instruments(provider.get_meter("test"))
    for metric in METRICS:
        labels = [a.values[0] if a.values else "x" for a in metric.attributes]
        if metric.instrument is Instrument.HISTOGRAM:
            instruments.record(metric, 1, *labels)
        elif metric.instrument is Instrument.GAUGE:
            instruments.set(metric, 1, *labels)
        else:
            instruments.add(metric, 1, *labels)
    provider.shutdown()
    query = urllib.parse.urlencode({"match[]": '{service_name="tested"}'})
    deadline = time.monotonic() + 30
    while not (found := get(f"{prometheus}/api/v1/series?{query}")["data"]):
        assert time.monotonic() < deadline, "nothing arrived"
        time.sleep(0.1)
    return {series["__name__"]: series for series in found}


def test_every_metric_has_the_name_that_the_registry_says(stored):
    expected = {name for metric in METRICS for name in metric.series_names}
    assert set(stored) == expected


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.prometheus_name)
def test_every_metric_has_its_labels_and_those_of_its_resource(stored, metric):
    labels = set(stored[metric.series_names[-1]])
    assert set(metric.attribute_names) | set(RESOURCE_LABELS) <= labels


def test_the_text_of_metrics_is_scraped_under_the_same_names(everything):
    promtool = program_path("promtool")
    reader = RenderReader()
    recorder = Recorder(
        MeterProvider(metric_readers=[reader], shutdown_on_exit=False), reader=reader
    )
    everything(recorder)
    families = recorder.families("", ("agent_", "midwatch_", "chat_", "service_"))
    text = "".join(family.text for family in families)
    done = subprocess.run(
        [str(promtool), "check", "metrics", "--lint=none", "--extended"],
        input=text,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert {family.name for family in families} <= {metric.prometheus_name for metric in METRICS}
