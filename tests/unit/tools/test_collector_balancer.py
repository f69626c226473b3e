"""The balancer that stands in for the published collectors' one takes what the chart renders."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from toolchain import program_path

pytestmark = pytest.mark.programs
SERVICE = {"service": "midwatch-sampler-pods.midwatch", "ports": [4317], "return_hostnames": True}
AS_RENDERED = {
    "routing_key": "traceID",
    "protocol": {"otlp": {"tls": {"insecure": True}, "sending_queue": {"num_consumers": 4}}},
    "resolver": {"k8s": SERVICE},
}


def validated(settings: dict[str, Any], folder: Path) -> subprocess.CompletedProcess[str]:
    pipeline = {"receivers": ["otlp"], "exporters": ["load_balancing/samplers"]}
    config = {
        "receivers": {"otlp": {"protocols": {"grpc": None}}},
        "exporters": {"load_balancing/samplers": settings},
        "service": {"pipelines": {"traces": pipeline}},
    }
    file = folder / "collector.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    return subprocess.run(
        [program_path("otelcol"), "validate", f"--config={file}"],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_what_the_chart_renders_is_taken(tmp_path: Path) -> None:
    told = validated(AS_RENDERED, tmp_path)
    assert told.returncode == 0, told.stderr


def test_all_that_only_the_published_one_does_is_refused_at_once(tmp_path: Path) -> None:
    elsewhere = {"service": "sampler", "ports": [], "return_hostnames": False}
    told = validated(
        AS_RENDERED | {"routing_key": "service", "resolver": {"k8s": elsewhere}}, tmp_path
    )
    assert told.returncode != 0
    for name in ("routing_key", "k8s.service", "k8s.ports", "k8s.return_hostnames"):
        assert name in told.stderr


def test_a_setting_that_it_does_not_know_is_refused_by_name(tmp_path: Path) -> None:
    told = validated(AS_RENDERED | {"resolver": {"dns": {"hostname": "samplers"}}}, tmp_path)
    assert told.returncode != 0
    assert "dns" in told.stderr
