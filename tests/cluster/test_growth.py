"""The profile ha: several of each, a ledger with PostgreSQL, and what goes goes one at a time."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from bundle import AGENTS, MIDWATCH, Bundle, eventually, passed_checks
from cluster.access import CommandFailed
from databases import NAME as POSTGRESQL
from databases import PLACE, PORT, PostgreSql
from strangers import DENIED, Stranger

NAME = "midwatch-alertmanager"
COUNT = 3
# By which the ledger's replicas wait for each other.
MIGRATION_LOCK = 0x6D6964776174


# The balancer that follows the autoscaler is in no collector that can be built from Go modules.
FIXED = {"replicas": 2, "autoscaling": {"enabled": False}}
HA = {
    "profile": "ha",
    "collector": {**FIXED, "sampler": {**FIXED, "balanceBy": "shards"}},
    "ledger": {"database": {"existingSecret": "ledger-database"}},
}
# Sends one trace after the other, each until it is taken, and prints those that were.
SENDER = """
import itertools, json, os, time, urllib.request
url = os.environ["URL"] + "/v1/traces"
headers = {"Authorization": "Bearer " + os.environ["KEY"], "Content-Type": "application/json"}
for number in itertools.count(int(os.environ["FIRST"])):
    now = time.time_ns()
    span = {"traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": "turn", "kind": 1}
    span |= {"startTimeUnixNano": str(now), "endTimeUnixNano": str(now + 1000)}
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
    while True:
        try:
            urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=5).close()
            break
        except OSError:
            time.sleep(0.1)
    print(span["traceId"], flush=True)
    time.sleep(0.01)
"""


@pytest.fixture(scope="module")
def database(bundle: Bundle) -> Iterator[PostgreSql]:
    """A PostgreSQL, and the Secret that leads the ledger to it."""
    server = PostgreSql(bundle.cluster)
    server.start()
    secret = ["create", "secret", "generic", "ledger-database"]
    bundle.cluster.kubectl(*secret, f"--from-literal=url={server.url}", namespace=MIDWATCH)
    yield server
    server.remove()


@pytest.fixture(scope="module")
def grown(bundle: Bundle, database: PostgreSql) -> Iterator[Bundle]:
    """The bundle by its profile for a cluster of many nodes, changed in place.

    No ledger may migrate before several wait for it: the test has the lock that they want.
    """
    former = bundle.settings
    bundle.settings = {**former, **HA}
    with database.connection() as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK,))
        bundle.install("--wait=hookOnly")
        eventually(lambda: _waiting_to_migrate(bundle) >= 2, "two ledgers that wait to migrate")
    eventually(lambda: _ready(bundle) == COUNT, "three Alertmanagers that are ready")
    bundle.install()
    yield bundle
    bundle.settings = former


def test_all_that_can_be_several_is(grown: Bundle) -> None:
    found = grown.cluster.json("statefulsets", namespace=MIDWATCH)["items"]
    ready = {one["metadata"]["name"]: one["status"].get("readyReplicas") for one in found}
    wanted = {"alertmanager": 3, "collector": 2, "sampler": 2, "prometheus": 2}
    assert {f"midwatch-{name}": count for name, count in wanted.items()}.items() <= ready.items()
    assert len(_ledgers(grown)) == 2


def test_ledgers_that_start_together_migrate_once(grown: Bundle) -> None:
    said = [
        grown.cluster.kubectl(
            "logs", pod["metadata"]["name"], "--container=migrate", namespace=MIDWATCH
        )
        for pod in _ledgers(grown)
    ]
    assert sorted("migrated from nothing" in each for each in said) == [False, True], said
    ended = [pod["status"]["initContainerStatuses"][0] for pod in _ledgers(grown)]
    assert [each["state"]["terminated"]["exitCode"] for each in ended] == [0, 0]


def test_a_turn_reaches_every_store_through_both_tiers(grown: Bundle) -> None:
    assert passed_checks(grown) >= {
        "the metric is in Prometheus",
        "its exemplar leads to the trace",
        "the turn is in the ledger",
        "an alert fires in Alertmanager",
    }


def test_what_the_ledger_took_is_there_when_it_and_its_database_were_killed(
    grown: Bundle, database: PostgreSql
) -> None:
    with _sending(grown, "ledger", 8088) as sender:
        eventually(lambda: _taken(sender, 20), "the first traces taken")
        ledger = _ledgers(grown)[0]["metadata"]["name"]
        kill = ["delete", "pod", ledger, "--grace-period=0", "--force"]
        grown.cluster.kubectl(*kill, namespace=MIDWATCH)
        before = _taken(sender, 1)
        eventually(lambda: _taken(sender, before + 20), "traces taken by the other one")
        begun = time.monotonic()
        database.kill()
        answer = grown.chat("Show me the latest alerts, please.", "database-away")
        assert answer.status_code == 200, answer.text
        database.await_ready()
        away = _taken(sender, 1)
        eventually(lambda: _taken(sender, away + 20), "traces taken by the database that is back")
        grown.say(
            f"FIGURE ledger's database killed until rows arrive: {time.monotonic() - begun:.0f} s"
        )
        taken = set(sender.said().split())
    assert taken <= _kept(database)
    trace_id = answer.json()["trace_id"]
    eventually(lambda: grown.trace(trace_id), "the turn while the database was away")


def test_samplers_that_grow_and_are_rolled_out_lose_no_trace(
    grown: Bundle, database: PostgreSql
) -> None:
    with _sending(grown, "collector", 4318) as sender:
        eventually(lambda: _taken(sender, 20), "the first traces taken")
        sampler = {**grown.settings["collector"]["sampler"], "replicas": 3}
        grown.settings["collector"] = {**grown.settings["collector"], "sampler": sampler}
        grown.install()
        restart = ["rollout", "restart", "statefulset/midwatch-sampler"]
        grown.cluster.kubectl(*restart, namespace=MIDWATCH)
        status = ["rollout", "status", "statefulset/midwatch-sampler", "--timeout=180s"]
        grown.cluster.kubectl(*status, namespace=MIDWATCH)
        before = _taken(sender, 1)
        eventually(lambda: _taken(sender, before + 20), "traces taken after the roll-out")
        taken = set(sender.said().split())
    eventually(lambda: taken <= _kept(database), "every trace of the roll-out in the ledger")
    grown.say(f"FIGURE samplers from two to three, rolled out: {len(taken)} traces, none lost")


def test_the_database_calls_nobody(grown: Bundle, database: PostgreSql) -> None:
    """Its policy allows it nothing, and its pod has a Python to try."""
    (ledger, _) = [pod["status"]["podIP"] for pod in _ledgers(grown)]
    asked = [f"{ledger}:8088"]
    server = Stranger(grown.cluster, PLACE, f"{POSTGRESQL}-0")
    assert server.reaches(asked) == dict.fromkeys(asked, DENIED)


def test_nobody_but_the_ledger_reaches_its_database(grown: Bundle) -> None:
    stranger = Stranger(grown.cluster, AGENTS)
    stranger.start()
    try:
        asked = [f"{POSTGRESQL}.{PLACE}.svc:{PORT}"]
        assert stranger.reaches(asked) == dict.fromkeys(asked, DENIED)
    finally:
        stranger.remove()


def test_those_that_gossip_know_each_other(grown: Bundle) -> None:
    def peers() -> bool:
        answer = grown.ask(MIDWATCH, NAME, 9093, "/api/v2/status").raise_for_status().json()
        return len(answer["cluster"]["peers"]) == COUNT

    assert eventually(peers, "three peers")


def test_a_disruption_budget_lets_one_go_at_a_time(grown: Bundle) -> None:
    eventually(lambda: _allowed(grown) == 1, "the budget allows one eviction")
    former = {pod["metadata"]["uid"] for pod in _pods(grown)}
    _evict(grown, f"{NAME}-0")
    with pytest.raises(CommandFailed, match="disruption budget"):
        _evict(grown, f"{NAME}-1")

    def another_is_ready() -> bool:
        # The status of the whole tells of the one that goes for a while yet.
        present = {pod["metadata"]["uid"] for pod in _pods(grown)}
        return len(present - former) == len(former - present) == 1 and _ready(grown) == COUNT

    eventually(another_is_ready, "the evicted one is back")


def test_an_upgrade_rolls_out_one_at_a_time_and_never_without_two(grown: Bundle) -> None:
    before = _revisions(grown)
    grown.settings["alertmanager"] = {
        **grown.settings["alertmanager"],
        "env": {"ROLLED_OUT": "once"},
    }
    least = COUNT
    command = ["rollout", "status", f"statefulset/{NAME}", "--timeout=1s"]
    grown.install("--wait=hookOnly")

    def rolled_out() -> bool:
        nonlocal least
        least = min(least, _ready(grown))
        try:
            grown.cluster.kubectl(*command, namespace=MIDWATCH)
        except CommandFailed:
            return False
        return True

    eventually(rolled_out, "the roll-out")
    assert before.isdisjoint(_revisions(grown))
    assert least >= COUNT - 1


def _evict(bundle: Bundle, pod: str) -> None:
    named = {"name": pod, "namespace": MIDWATCH}
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": named}
    path = f"/api/v1/namespaces/{MIDWATCH}/pods/{pod}/eviction"
    bundle.cluster.kubectl("create", f"--raw={path}", "--filename=-", given=json.dumps(eviction))


def _allowed(bundle: Bundle) -> int:
    budget = bundle.cluster.json("poddisruptionbudget", NAME, namespace=MIDWATCH)
    allowed: int = budget["status"].get("disruptionsAllowed", 0)
    return allowed


def _ready(bundle: Bundle) -> int:
    status = bundle.cluster.json("statefulset", NAME, namespace=MIDWATCH)["status"]
    ready: int = status.get("readyReplicas", 0)
    return ready


def _pods(bundle: Bundle) -> list[dict[str, Any]]:
    return [pod for pod in bundle.pods(MIDWATCH) if pod["metadata"]["name"].startswith(NAME)]


def _revisions(bundle: Bundle) -> set[str]:
    label = "controller-revision-hash"
    return {pod["metadata"]["labels"][label] for pod in _pods(bundle)}


def _ledgers(bundle: Bundle) -> list[dict[str, Any]]:
    """The ledger's pods with PostgreSQL; the one with SQLite has another name and ends."""
    wanted = {"app.kubernetes.io/component": "ledger"}
    return [
        pod
        for pod in bundle.pods(MIDWATCH)
        if wanted.items() <= pod["metadata"].get("labels", {}).items()
        and "pod-template-hash" in pod["metadata"]["labels"]
        and "deletionTimestamp" not in pod["metadata"]
    ]


@contextmanager
def _sending(bundle: Bundle, component: str, port: int) -> Iterator[Stranger]:
    """A pod that sends traces to a component, with ids that no other such pod has."""
    key = {"name": "midwatch-ledger-keys", "key": "ingest-key"}
    env: list[dict[str, Any]] = [{"name": "KEY", "valueFrom": {"secretKeyRef": key}}]
    env += [{"name": "URL", "value": f"http://midwatch-{component}.{MIDWATCH}.svc:{port}"}]
    env += [{"name": "FIRST", "value": str(port * 10**6)}]
    sender = Stranger(bundle.cluster, MIDWATCH, f"sender-{component}")
    sender.start(command=SENDER, env=env)
    try:
        yield sender
    finally:
        sender.remove()


def _kept(database: PostgreSql) -> set[str]:
    with database.connection() as connection:
        return {row[0] for row in connection.execute("SELECT trace_id FROM spans").fetchall()}


def _waiting_to_migrate(bundle: Bundle) -> int:
    states = [pod["status"].get("initContainerStatuses", ()) for pod in _ledgers(bundle)]
    return sum("running" in each["state"] for one in states for each in one)


def _taken(sender: Stranger, least: int) -> int:
    """How many traces were taken; 0 as long as there are fewer than `least`."""
    count = len(sender.said().split())
    return count if count >= least else 0
