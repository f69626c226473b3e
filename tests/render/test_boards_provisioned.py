"""The boards as the chart provisions them: whole, linked to this installation, small enough."""

from __future__ import annotations

import json

import yaml
from manifests.plan import repository_root

GENERATED = repository_root() / "grafana-dashboards/generated"
APPLY_LIMIT_BYTES = 256 * 1024
"""What `kubectl apply` can write of an object into its annotation."""

WITH_DATABASE = {
    "grafana": {"ledgerDatabase": {"host": "postgresql:5432", "existingSecret": "reader"}},
    "ledger": {"externalUrl": "https://ledger.example.com/"},
    "prometheus": {"runbooksUrl": "https://runbooks.example.com"},
}


def test_every_board_is_provisioned_unchanged_but_for_its_links(files_of) -> None:
    given = files_of(WITH_DATABASE)["midwatch-grafana-dashboards"]
    assert set(given) == {file.name for file in GENERATED.glob("*.json")}
    for name, text in given.items():
        source = (GENERATED / name).read_text(encoding="utf-8")
        source = source.replace("https://ledger.midwatch.invalid", "https://ledger.example.com")
        source = source.replace("https://midwatch.dev/runbooks", "https://runbooks.example.com")
        assert json.loads(text) == json.loads(source)


def test_no_link_of_a_board_leads_to_a_placeholder(files_of) -> None:
    for text in files_of({})["midwatch-grafana-dashboards"].values():
        assert "midwatch.invalid" not in text


def test_the_ledgers_board_and_source_come_with_its_database(files_of) -> None:
    without, given = files_of({}), files_of(WITH_DATABASE)
    assert "midwatch-ledger.json" not in without["midwatch-grafana-dashboards"]
    assert "midwatch-ledger.json" in given["midwatch-grafana-dashboards"]

    def sources(files: dict[str, dict[str, str]]) -> dict[str, dict[str, object]]:
        text = files["midwatch-grafana-datasources"]["datasources.yaml"]
        return {one["uid"]: one for one in yaml.safe_load(text)["datasources"]}

    assert "ledger" not in sources(without)
    ledger = sources(given)["ledger"]
    assert ledger["type"] == "grafana-postgresql-datasource"
    assert ledger["secureJsonData"] == {
        "password": "$__file{/etc/midwatch/secrets/ledger-database/password}"
    }


def test_no_object_is_too_large_to_be_applied(objects, everything) -> None:
    for item in objects(everything):
        size = len(json.dumps(item).encode())
        assert size < APPLY_LIMIT_BYTES, f"{item['kind']} {item['metadata']['name']}: {size}"
