"""The chart's own scripts: what `helm test` runs, and the copies of the ledger's database."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from chart_scripts import loaded

NOW = datetime(2026, 11, 21, 2, 17, tzinfo=UTC)


AGENT_TURN = loaded("tests/agent_turn.py")
BACKUP = loaded("backup/backup.py")
PROMETHEUS = "http://midwatch-prometheus.midwatch.svc:9090"
LEDGER = "http://midwatch-ledger.midwatch.svc:8088"


@pytest.mark.programs
def test_the_turn_arrives_in_a_real_prometheus_and_what_is_missing_is_named(
    store, collector, start
):
    port = start("prometheus", {})
    ledger = store()
    addresses = {PROMETHEUS: f"http://127.0.0.1:{port}", LEDGER: ledger.url}
    collector.start({"tempo": {"enabled": False}}, addresses)
    said: list[str] = []
    environment = {
        "MIDWATCH_TEST_COLLECTOR_URL": collector.url,
        "MIDWATCH_TEST_PROMETHEUS_URL": f"http://127.0.0.1:{port}",
        "MIDWATCH_TEST_TIMEOUT_SECONDS": "20",
    }
    assert AGENT_TURN.run(environment, said.append) == 0, said
    assert {line for line in said if line.startswith("ok")} == {
        "ok    the collector takes the turn",
        "ok    the collector takes its metric",
        "ok    the metric is in Prometheus",
        "ok    its exemplar leads to the trace",
    }
    assert {span["name"] for span in ledger.spans()} >= {"turn", "chat test-model"}
    environment |= {"MIDWATCH_TEST_TEMPO_URL": ledger.url, "MIDWATCH_TEST_TIMEOUT_SECONDS": "2"}
    assert AGENT_TURN.run(environment, said.append) == 1
    assert said[-1].startswith("FAIL  the trace is in Tempo: ")


def test_with_tail_sampling_the_turn_is_one_that_is_always_kept():
    def statuses(failed: bool) -> list[int]:
        (resource,) = AGENT_TURN.Turn(failed=failed).traces()["resourceSpans"]
        return [span["status"]["code"] for span in resource["scopeSpans"][0]["spans"]]

    assert statuses(failed=False) == [1, 1, 1]
    assert statuses(failed=True) == [2, 1, 1]


def test_the_pod_asks_every_store_that_is_present_with_the_key_of_an_admin(objects):
    def environment(values: dict[str, Any]) -> dict[str, str]:
        (pod,) = [item for item in objects(values) if item["kind"] == "Pod"]
        assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
        return {one["name"]: one["value"] for one in pod["spec"]["containers"][0]["env"]}

    every = environment({})
    asked = {name.split("_")[2] for name in every if name.endswith("_URL")}
    assert asked == {"COLLECTOR", "PROMETHEUS", "TEMPO", "ALERTMANAGER", "LEDGER"}
    assert every["MIDWATCH_TEST_LEDGER_KEY_FILE"].endswith("/admin-key")
    assert "MIDWATCH_TEST_TEMPO_URL" not in environment({"tempo": {"enabled": False}})


def test_a_database_in_use_is_copied_whole_and_only_the_newest_copies_are_kept(tmp_path):
    source, folder = tmp_path / "ledger.db", tmp_path / "backups"
    folder.mkdir()
    (folder / "ledger-20261120T021700Z.part").touch()
    with closing(sqlite3.connect(source)) as database:
        database.execute("PRAGMA journal_mode=wal")
        database.execute("CREATE TABLE turns (id INTEGER)")
        for day in range(4):
            database.execute("INSERT INTO turns VALUES (?)", (day,))
            database.commit()
            BACKUP.copy_sqlite(source, folder, 2, NOW + timedelta(days=day))
    copies = sorted(path.name for path in folder.iterdir())
    assert copies == ["ledger-20261123T021700Z.db", "ledger-20261124T021700Z.db"]
    with closing(sqlite3.connect(folder / copies[-1])) as copy:
        assert copy.execute("SELECT count(*) FROM turns").fetchone() == (4,)


def test_a_database_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        BACKUP.copy_sqlite(tmp_path / "none.db", tmp_path, 1, NOW)
    assert not list(tmp_path.glob("ledger-*.db"))


def test_pg_dump_connects_as_the_ledger_does_without_a_password_in_an_argument(objects):
    url = "postgresql+psycopg://mid%40watch:p%2Fw@db.example.com:5433/ledger?sslmode=require"
    assert BACKUP.service_file(url).splitlines() == [
        "[ledger]",
        "host=db.example.com",
        "port=5433",
        "dbname=ledger",
        "user=mid@watch",
        "password=p/w",
        "sslmode=require",
    ]
    with pytest.raises(ValueError, match="no URL of PostgreSQL"):
        BACKUP.service_file("sqlite:////ledger.db")
    values = {"ledger": {"database": {"existingSecret": "db"}, "backup": {"enabled": True}}}
    (job,) = [item for item in objects(values) if item["kind"] == "CronJob"]
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert "pg_dump --dbname=service=ledger" in json.dumps(pod["containers"][0]["command"])


def test_copies_stay_when_the_release_goes_and_sqlite_is_copied_where_its_volume_is(objects):
    rendered = objects({"ledger": {"backup": {"enabled": True}}})
    (claim,) = [item for item in rendered if item["kind"] == "PersistentVolumeClaim"]
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    (job,) = [item for item in rendered if item["kind"] == "CronJob"]
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    claims = {
        volume["persistentVolumeClaim"]["claimName"]
        for volume in pod["volumes"]
        if "persistentVolumeClaim" in volume
    }
    assert claims == {"midwatch-ledger-backup", "data-midwatch-ledger-0"}
    assert pod["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
