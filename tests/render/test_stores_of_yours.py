"""A Tempo and a Prometheus of the user's own that want a tenant and a key with each request."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from chart_scripts import loaded
from collectors import request

AGENT_TURN = loaded("tests/agent_turn.py")
LEDGER = "http://midwatch-ledger.midwatch.svc:8088"
TENANT = {"X-Scope-OrgID": "agents"}
KEYED = {"headers": TENANT, "secretHeaders": {"Authorization": "write-key"}}
KEY = "Bearer of-the-write-key"


def yours(tempo_url: str, mimir_url: str) -> dict[str, Any]:
    """Values for a Tempo behind HTTP, and for a Mimir, whose paths are not those of Prometheus."""
    tempo = {"url": tempo_url, "otlpUrl": f"{tempo_url}/otlp/", "otlpProtocol": "http"}
    mimir = {"url": f"{mimir_url}/prometheus", "otlpUrl": f"{mimir_url}/otlp"}
    return {
        "tempo": {"enabled": "external", "external": tempo | KEYED | {"existingSecret": "tempo"}},
        "prometheus": {
            "enabled": "external",
            "external": mimir | KEYED | {"existingSecret": "mimir"},
        },
    }


@pytest.fixture(scope="module")
def rendered(objects) -> list[dict[str, Any]]:
    return objects(yours("http://tempo.example.com", "http://mimir.example.com"))


def named(rendered: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    (found,) = [r for r in rendered if (r["kind"], r["metadata"]["name"]) == (kind, name)]
    return found


@pytest.mark.programs
def test_they_get_traces_and_metrics_at_their_own_addresses_with_tenant_and_key(
    store, collector, until
):
    tempo, mimir, ledger = store(), store(), store()
    keys = dict.fromkeys(
        ("MIDWATCH_DESTINATION_TEMPO_WRITE_KEY", "MIDWATCH_DESTINATION_PROMETHEUS_WRITE_KEY"), KEY
    )
    collector.start(yours(tempo.url, mimir.url), {LEDGER: ledger.url}, keys)
    turn = AGENT_TURN.Turn(failed=True)
    for path, body in (("/v1/traces", turn.traces()), ("/v1/metrics", turn.metrics())):
        assert request("POST", f"{collector.url}{path}", body) == 200
    until(tempo.spans, "the trace is in Tempo")
    until(mimir.metric_names, "the metric is in Mimir")
    assert {path for path, _ in tempo.received} == {"/otlp/v1/traces"}
    assert {path for path, _ in mimir.received} == {"/otlp/v1/metrics"}
    for one in (tempo, mimir):
        assert one.authorizations == {KEY}
        assert {headers["x-scope-orgid"] for headers in one.headers} == {"agents"}


def test_the_collector_reads_the_keys_from_the_secrets_that_are_named(rendered):
    (container,) = named(rendered, "StatefulSet", "midwatch-collector")["spec"]["template"]["spec"][
        "containers"
    ]
    secrets = {
        one["name"]: tuple(one["valueFrom"]["secretKeyRef"][part] for part in ("name", "key"))
        for one in container["env"]
        if "secretKeyRef" in one.get("valueFrom", {})
    }
    assert secrets == {
        "MIDWATCH_DESTINATION_TEMPO_WRITE_KEY": ("tempo", "write-key"),
        "MIDWATCH_DESTINATION_PROMETHEUS_WRITE_KEY": ("mimir", "write-key"),
    }


def test_grafana_asks_them_with_the_same_headers_and_reads_the_key_from_its_mount(rendered):
    text = named(rendered, "ConfigMap", "midwatch-grafana-datasources")["data"]["datasources.yaml"]
    sources = {one["uid"]: one for one in yaml.safe_load(text)["datasources"]}
    pod = named(rendered, "StatefulSet", "midwatch-grafana")["spec"]["template"]["spec"]
    mounts = {one["mountPath"]: one["name"] for one in pod["containers"][0]["volumeMounts"]}
    volumes = {one["name"]: one for one in pod["volumes"]}
    for store, secret in (("tempo", "tempo"), ("prometheus", "mimir")):
        folder = f"/etc/midwatch/secrets/{store}-headers"
        told = sources[store]["jsonData"], sources[store]["secureJsonData"]
        assert headers_of(*told) == TENANT | {"Authorization": f"$__file{{{folder}/write-key}}"}
        assert volumes[mounts[folder]]["secret"] == {
            "secretName": secret,
            "items": [{"key": "write-key", "path": "write-key"}],
        }


def headers_of(names: dict[str, Any], values: dict[str, Any]) -> dict[str, str]:
    """The headers that Grafana makes of a data source's two numbered maps."""
    start = "httpHeaderName"
    numbers = {key.removeprefix(start): names[key] for key in names if key.startswith(start)}
    return {name: values[f"httpHeaderValue{number}"] for number, name in numbers.items()}


def test_a_dollar_in_a_header_is_no_variable_of_grafana(files_of):
    values = yours("http://tempo.example.com", "http://mimir.example.com")
    values["tempo"]["external"]["headers"] = {"X-Scope-OrgID": "a$HOME"}
    text = files_of(values)["midwatch-grafana-datasources"]["datasources.yaml"]
    (tempo,) = [one for one in yaml.safe_load(text)["datasources"] if one["uid"] == "tempo"]
    assert tempo["secureJsonData"]["httpHeaderValue1"] == "a$$HOME"


def test_grafana_operator_fills_the_key_in_from_its_secret(objects):
    values = yours("http://tempo.example.com", "http://mimir.example.com")
    boards = {"url": "http://grafana.example.com", "boards": "operator"}
    values["grafana"] = {"enabled": "external", "external": boards}
    source = named(objects(values), "GrafanaDatasource", "midwatch-grafana-source-tempo")["spec"]
    told = source["datasource"]["jsonData"], source["datasource"]["secureJsonData"]
    assert headers_of(*told) == TENANT | {"Authorization": "${write-key}"}
    assert source["valuesFrom"] == [
        {
            "targetPath": "secureJsonData.httpHeaderValue2",
            "valueFrom": {"secretKeyRef": {"name": "tempo", "key": "write-key"}},
        }
    ]


def test_what_helm_test_runs_asks_them_with_the_same_headers(rendered, store, tmp_path):
    (pod,) = [item for item in rendered if item["kind"] == "Pod"]
    (container,) = pod["spec"]["containers"]
    environment = {one["name"]: one["value"] for one in container["env"]}
    folder = "/etc/midwatch/secrets/tempo-headers"
    assert folder in {one["mountPath"] for one in container["volumeMounts"]}
    (tmp_path / "write-key").write_text(f"{KEY}\n", encoding="utf-8")
    headers = environment["MIDWATCH_TEST_TEMPO_HEADERS"].replace(folder, str(tmp_path))
    tempo = store('{"batches": []}')
    stores = AGENT_TURN.Stores(
        {"MIDWATCH_TEST_TEMPO_URL": tempo.url, "MIDWATCH_TEST_TEMPO_HEADERS": headers}
    )
    assert stores.ask("TEMPO", "/api/traces/1") == {"batches": []}
    (asked,) = tempo.headers
    assert asked["authorization"] == KEY
    assert asked["x-scope-orgid"] == "agents"
