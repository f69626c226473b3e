"""`/metrics`: the registry's names, the truth about ingest, bounded labels."""

from __future__ import annotations

from typing import Any

from midwatch.registry import METRICS_BY_PROMETHEUS_NAME
from prometheus_client.parser import text_string_to_metric_families

PROTOBUF = {"content-type": "application/x-protobuf"}


def samples(ledger: Any) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = ledger.client.get("/metrics").text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_ingested_and_rejected_records_are_counted(ledger: Any) -> None:
    bad = ledger.otlp.span(9)
    bad.span_id = b"x"
    ledger.send(bad, *ledger.otlp.turn())
    ledger.send_events(ledger.otlp.event("handoff"))
    ledger.client.post("/v1/logs", content=b"\xff", headers=PROTOBUF)

    found = samples(ledger)

    assert found["midwatch_ledger_ingested_total", (("signal", "traces"),)] == 7
    assert found["midwatch_ledger_ingested_total", (("signal", "logs"),)] == 1
    assert (
        found["midwatch_ledger_rejected_total", (("reason", "bad_span_id"), ("signal", "traces"))]
        == 1
    )
    assert (
        found["midwatch_ledger_rejected_total", (("reason", "malformed_body"), ("signal", "logs"))]
        == 1
    )
    assert found["midwatch_ledger_lag_seconds", ()] > 0


def test_every_series_and_label_is_in_the_registry(ledger: Any) -> None:
    ledger.send(*ledger.otlp.turn())

    declared = {
        series: set(metric.attribute_names)
        for metric in METRICS_BY_PROMETHEUS_NAME.values()
        for series in metric.series_names
    }
    for name, labels in samples(ledger):
        assert name in declared
        assert {label for label, _ in labels} - {"le"} == declared[name]


def test_paths_and_methods_that_anyone_invents_make_no_series(ledger: Any) -> None:
    for number in range(5):
        ledger.client.get(f"/monitoring/traces/{number}")
        ledger.client.get(f"/nothing/{number}")
        ledger.client.request(f"INVENTED{number}", "/healthz")

    count = {
        labels: value
        for (name, labels), value in samples(ledger).items()
        if name == "midwatch_ledger_request_latency_seconds_count"
    }
    get, none = ("method", "GET"), ("route", "unmatched")
    assert count[get, ("route", "/monitoring/traces/{call_id}"), ("status", "404")] == 5
    assert count[get, none, ("status", "404")] == 5
    assert sum(value for labels, value in count.items() if ("method", "other") in labels) == 5
    assert len(count) <= 4
