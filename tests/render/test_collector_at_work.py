"""The rendered pipeline, run by the real collector: what arrives where, and in which words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.programs
LEDGER = "http://midwatch-ledger.midwatch.svc:8088"
PROMETHEUS = "http://midwatch-prometheus.midwatch.svc:9090"
TEMPO = "http://midwatch-tempo.midwatch.svc:4318"
PROMPT = "gen_ai.input.messages"
KEY = "sk-abcdefghijklmnopqrstuvwx"


@pytest.fixture
def delivered(store, collector, until) -> Callable[..., dict[str, Any]]:
    """Attributes with which one span arrives in the ledger."""

    def deliver(content: str, attributes: dict[str, str]) -> dict[str, Any]:
        ledger, prometheus = store(), store()
        addresses = {LEDGER: ledger.url, PROMETHEUS: prometheus.url}
        collector.start({"content": content, "tempo": {"enabled": False}}, addresses)
        collector.send(attributes)
        (span,) = until(ledger.spans, "the span is in the ledger")
        return span["attributes"]

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


def test_long_attributes_are_cut_at_the_length_that_tempo_takes(store, collector, until):
    ledger, prometheus = store(), store()
    values = {"collector": {"maxAttributeBytes": 300}}
    collector.start(values, {LEDGER: ledger.url, PROMETHEUS: prometheus.url})
    collector.send({"note": "x" * 1000})
    (span,) = until(ledger.spans, "the span is in the ledger")
    assert span["attributes"] == {"note": "x" * 300}


def test_telemetry_that_names_no_project_and_environment_gets_those_of_the_values(
    store, collector, until
):
    ledger, prometheus = store(), store()
    values = {"global": {"project": "shop", "environment": "staging"}}
    collector.start(values, {LEDGER: ledger.url, PROMETHEUS: prometheus.url})
    collector.send({})
    (span,) = until(ledger.spans, "the span is in the ledger")
    assert span["resource"]["midwatch.project"] == "shop"
    assert span["resource"]["deployment.environment.name"] == "staging"


def test_the_ledger_is_shown_the_key_of_a_file_and_nobody_else_is(store, collector, until):
    ledger, prometheus = store(), store()
    values = {"tempo": {"enabled": False}}
    collector.start(values, {LEDGER: ledger.url, PROMETHEUS: prometheus.url})
    collector.send({"gen_ai.request.model": "m"})
    until(ledger.spans, "the span is in the ledger")
    until(lambda: prometheus.received, "its metrics are in Prometheus")
    assert ledger.authorizations == {"Bearer what-the-secret-holds"}
    assert prometheus.authorizations == {None}


def test_dead_stores_delay_neither_the_ledger_nor_each_other(store, collector, until, unused_port):
    ledger, dead = store(), unused_port
    addresses = {
        LEDGER: ledger.url,
        PROMETHEUS: f"http://127.0.0.1:{dead}",
        TEMPO: f"http://127.0.0.1:{dead}",
    }
    collector.start({}, addresses)
    for number in range(20):
        collector.send({"number": str(number)})
    until(lambda: len(ledger.spans()) == 20, "all spans are in the ledger")


def test_a_span_whose_trace_has_no_id_costs_tempo_no_other(store, collector, until):
    ledger, prometheus, tempo = store(), store(), store()
    collector.start({}, {LEDGER: ledger.url, PROMETHEUS: prometheus.url, TEMPO: tempo.url})
    for trace in (0, 1):
        collector.send({"number": str(trace)}, trace=trace)
    (kept,) = until(tempo.spans, "the named span is in Tempo")
    assert kept["attributes"] == {"number": "1"}
    # Which one it was the ledger says: it refuses that span alone, and counts it.
    until(lambda: len(ledger.spans()) == 2, "the ledger is told of both")


def test_span_metrics_reach_prometheus(store, collector, until):
    ledger, prometheus = store(), store()
    collector.start({}, {LEDGER: ledger.url, PROMETHEUS: prometheus.url})
    collector.send({"gen_ai.operation.name": "chat"})
    wanted = {"traces.span.metrics.calls", "traces.span.metrics.duration"}
    until(lambda: wanted <= prometheus.metric_names(), "span metrics are in Prometheus")


def test_a_scrape_takes_the_metrics_namespace_off_and_leaves_other_names(store, collector, until):
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
    collector.start(values, {LEDGER: ledger.url, PROMETHEUS: prometheus.url})
    wanted = {"agent_route_total", "process_cpu_seconds_total"}
    until(lambda: wanted <= prometheus.metric_names(), "scraped metrics are in Prometheus")
    assert not any(name.startswith("security_agent") for name in prometheus.metric_names())


@pytest.mark.parametrize("kill", [True, False], ids=["killed", "stopped"])
def test_what_waits_for_a_dead_store_survives_a_restart(store, collector, until, unused_port, kill):
    dead = unused_port
    addresses = {LEDGER: f"http://127.0.0.1:{dead}", PROMETHEUS: f"http://127.0.0.1:{dead}"}
    collector.start({"tempo": {"enabled": False}}, addresses)
    collector.send({"number": "1"})
    collector.stop(kill=kill)
    ledger = store()
    collector.start({"tempo": {"enabled": False}}, addresses | {LEDGER: ledger.url})
    (span,) = until(ledger.spans, "the span is in the ledger")
    assert span["attributes"] == {"number": "1"}


def test_tail_sampling_keeps_what_on_call_needs_and_the_ledger_gets_all(store, collector, until):
    ledger, prometheus, tempo = store(), store(), store()
    waits = {"decisionWait": "1s", "decisionWaitAfterRoot": "1s"}
    sampling = {"enabled": True, "percentage": 0} | waits
    addresses = {LEDGER: ledger.url, PROMETHEUS: prometheus.url, TEMPO: tempo.url}
    collector.start({"collector": {"tailSampling": sampling}}, addresses)
    collector.send({"midwatch.turn.outcome": "ok"}, trace=1)
    collector.send({"midwatch.turn.outcome": "ok"}, trace=2, failed=True)
    collector.send({"midwatch.turn.outcome": "interrupted"}, trace=3)
    until(lambda: len(tempo.spans()) >= 2, "the kept traces are in Tempo")
    assert {span["name"] for span in ledger.spans()} == {"chat"}
    assert len({span["traceId"] for span in ledger.spans()}) == 3
    kept = {span["attributes"]["midwatch.turn.outcome"]: span["status"] for span in tempo.spans()}
    assert kept == {"ok": {"code": "STATUS_CODE_ERROR"}, "interrupted": {"code": "STATUS_CODE_OK"}}
