"""Destinations of the user's own: each preset arrives as it is read, and none holds up another."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart_examples import example_values

LEDGER = "http://midwatch-ledger.midwatch.svc:8088"
ALONE: dict[str, Any] = {
    "prometheus": {"enabled": False},
    "alertmanager": {"enabled": False},
    "tempo": {"enabled": False},
    "grafana": {"enabled": False},
}


@pytest.mark.programs
def test_langfuse_gets_its_keys_and_its_own_words(store, collector, until):
    ledger, langfuse = store(), store()
    preset = {"preset": "langfuse", "url": langfuse.url, "existingSecret": "langfuse"}
    keys = {
        "MIDWATCH_DESTINATION_QUALITY_PUBLIC_KEY": "pk-lf-1",
        "MIDWATCH_DESTINATION_QUALITY_SECRET_KEY": "sk-lf-2",
    }
    values = ALONE | {"destinations": {"quality": preset}}
    collector.start(values, {LEDGER: ledger.url}, keys)
    collector.send({"gen_ai.operation.name": "chat", "session.id": "s1"}, failed=True)
    (span,) = until(langfuse.spans, "the span is in Langfuse")
    assert (
        span["attributes"].items()
        >= {
            "langfuse.session.id": "s1",
            "langfuse.environment": "default",
            "langfuse.trace.name": "chat",
            "langfuse.observation.type": "generation",
            "langfuse.observation.level": "ERROR",
        }.items()
    )
    assert langfuse.received[0][0] == "/api/public/otel/v1/traces"
    credentials = base64.b64encode(b"pk-lf-1:sk-lf-2").decode()
    assert langfuse.authorizations == {f"Basic {credentials}"}
    (own,) = until(ledger.spans, "the span is in the ledger")
    assert not any(key.startswith("langfuse.") for key in own["attributes"])
    assert ledger.authorizations == {"Bearer what-the-secret-holds"}


@pytest.mark.programs
def test_langsmith_gets_its_key_and_the_project(store, collector, until):
    ledger, langsmith = store(), store()
    preset = {
        "preset": "langsmith",
        "url": langsmith.url,
        "existingSecret": "s",
        "project": "night",
    }
    values = ALONE | {"destinations": {"runs": preset}}
    collector.start(values, {LEDGER: ledger.url}, {"MIDWATCH_DESTINATION_RUNS_API_KEY": "lsv2"})
    collector.send({"gen_ai.operation.name": "execute_tool", "gen_ai.conversation.id": "c1"})
    (span,) = until(langsmith.spans, "the span is in LangSmith")
    assert span["attributes"]["langsmith.span.kind"] == "tool"
    assert span["attributes"]["langsmith.metadata.thread_id"] == "c1"
    assert langsmith.received[0][0] == "/otel/v1/traces"
    assert langsmith.headers[0]["x-api-key"] == "lsv2"
    assert langsmith.headers[0]["langsmith-project"] == "night"


@pytest.mark.programs
def test_the_file_keeps_a_copy_that_can_be_played_back(store, collector, until, tmp_path: Path):
    ledger = store()
    values = ALONE | {"destinations": {"copy": {"preset": "file", "traces": "all"}}}
    collector.start(values, {LEDGER: ledger.url})
    collector.send({"number": "1"})
    file = tmp_path / "files/copy.jsonl"
    (line,) = until(
        lambda: file.exists() and file.read_text(encoding="utf-8").splitlines(), "the file has it"
    )
    (resource,) = json.loads(line)["resourceSpans"]
    (span,) = resource["scopeSpans"][0]["spans"]
    assert span["attributes"] == [{"key": "number", "value": {"stringValue": "1"}}]


@pytest.mark.programs
def test_a_dead_destination_with_a_full_queue_holds_up_no_other(store, collector, until):
    ledger, living, dead = store(), store(), store()
    destinations = {
        "dead": {"preset": "otlp", "url": dead.url},
        "living": {"preset": "otlp", "url": living.url},
    }
    values = ALONE | {"destinations": destinations, "collector": {"queue": {"size": "200k"}}}
    collector.start(values, {LEDGER: ledger.url})
    collector.send({"number": "0"})
    until(lambda: living.spans() and dead.spans(), "both destinations are there")
    dead.shutdown()
    dead.server_close()
    for number in range(1, 41):
        collector.send({"number": str(number), "filling": "x" * 15000}, trace=number + 1)
        if number % 5 == 0:
            # No more at once than a queue holds: the ledger's would refuse it, and rightly.
            until(lambda sent=number + 1: len(ledger.spans()) == sent, "all are in the ledger")
    until(lambda: len(living.spans()) == 41, "all are in the living destination")


@pytest.mark.programs
def test_a_destination_gets_what_was_sent_right_before_a_restart_which_takes_no_time(
    store, collector, until
):
    ledger, vendor = store(), store()
    destinations = {"vendor": {"preset": "otlp", "url": vendor.url, "traces": "all"}}
    values = ALONE | {"destinations": destinations}
    collector.start(values, {LEDGER: ledger.url})
    for number in range(5):
        collector.send({"number": str(number)}, trace=number + 1)
    # No longer than it is given: it would be killed then, and the test could not tell.
    collector.stop(seconds=10)
    assert collector.ended_by_itself
    collector.start(values, {LEDGER: ledger.url})
    until(lambda: len(vendor.spans()) == len(ledger.spans()) == 5, "all spans are in both, once")


def test_remote_write_is_prometheus_own_and_has_its_password_in_a_file(files_of, objects):
    values = example_values("destinations")
    config = yaml.safe_load(files_of(values)["midwatch-prometheus"]["prometheus.yml"])
    (write,) = config["remote_write"]
    assert write["url"] == "http://mimir-gateway.mimir.svc/api/v1/push"
    assert write["send_exemplars"] is True
    assert write["headers"] == {"X-Scope-OrgID": "midwatch"}
    password = {"username": "midwatch", "password_file": "/etc/midwatch/secrets/years/password"}
    assert write["basic_auth"] == password
    collector = files_of(values)["midwatch-collector"]["collector.yaml"]
    assert "mimir" not in collector


def test_each_destination_has_a_queue_of_its_own_on_disk(files_of):
    values = example_values("destinations")
    config = yaml.safe_load(files_of(values)["midwatch-collector"]["collector.yaml"])
    queues = {
        name: exporter["sending_queue"]["storage"]
        for name, exporter in config["exporters"].items()
        if not name.startswith("file/")
    }
    assert len(queues) == 3 + 4
    assert set(queues.values()) == {"file_storage/queue"}


def test_keys_of_destinations_come_from_their_secrets_and_are_in_no_configuration(
    objects, files_of
):
    values = example_values("destinations")
    (pod,) = [
        item["spec"]["template"]["spec"]
        for item in objects(values)
        if item["kind"] == "StatefulSet" and item["metadata"]["name"] == "midwatch-collector"
    ]
    keys = {
        one["name"]: (
            one["valueFrom"]["secretKeyRef"]["name"],
            one["valueFrom"]["secretKeyRef"]["key"],
        )
        for one in pod["containers"][0]["env"]
        if one["name"].startswith("MIDWATCH_DESTINATION_")
    }
    assert keys == {
        "MIDWATCH_DESTINATION_QUALITY_PUBLIC_KEY": ("langfuse", "public-key"),
        "MIDWATCH_DESTINATION_QUALITY_SECRET_KEY": ("langfuse", "secret-key"),
        "MIDWATCH_DESTINATION_EXPERIMENTS_API_KEY": ("langsmith", "api-key"),
        "MIDWATCH_DESTINATION_VENDOR_API_KEY": ("vendor", "api-key"),
    }
    config = files_of(values)["midwatch-collector"]["collector.yaml"]
    assert all(f"${{env:{name}}}" in config for name in keys)
