"""Exporters that the environment names and that cannot be had: the others work without them."""

from __future__ import annotations

import logging

import pytest
from midwatch.config import load_settings
from midwatch.pipeline.failures import FAILURES
from midwatch.pipeline.setup import exporters_from_environment
from opentelemetry.sdk.trace.export import ConsoleSpanExporter


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for signal in ("TRACES", "METRICS", "LOGS"):
        monkeypatch.setenv(f"OTEL_{signal}_EXPORTER", "none")


def test_an_exporter_that_is_not_installed_is_told_and_the_others_work(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "nowhere,console")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "nowhere")
    before = FAILURES.counts().get("exporter nowhere of metrics", 0)
    with caplog.at_level(logging.WARNING, logger="midwatch"):
        made = exporters_from_environment(load_settings())
    assert [type(exporter) for exporter in made.spans] == [ConsoleSpanExporter]
    assert made.metrics == ()
    assert FAILURES.counts()["exporter nowhere of metrics"] == before + 1
    assert "exporter nowhere of traces failed" in caplog.text
