"""The profile ha: several of each, a ledger with PostgreSQL, and what goes goes one at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from bundle import AGENTS, MIDWATCH, Bundle, eventually, has_tempo, passed_checks, wanted_checks
from cluster.access import CommandFailed
from databases import NAME as POSTGRESQL
from databases import PLACE, PORT, PostgreSql
from replicas import (
    ALERTMANAGER,
    allowed,
    evict,
    least_use,
    ledgers,
    pods,
    ready,
    revisions,
    roll_out,
    samplers,
    share_of_the_least,
    spans_in_tempo,
    use,
    waiting_to_migrate,
)
from senders import MANY, WITNESS, kept, sending, taken, told, witness
from strangers import DENIED, Stranger

COUNT = 3
# By which the ledger's replicas wait for each other.
MIGRATION_LOCK = 0x6D6964776174
FIXED = {"replicas": 2, "autoscaling": {"enabled": False}}
HA = {
    "profile": "ha",
    "collector": {**FIXED, "sampler": {**FIXED, "balanceBy": "shards"}},
    "ledger": {"database": {"existingSecret": "ledger-database"}},
}


def scaling(cpu_percent: int, least: int = 2) -> dict[str, Any]:
    """Autoscalers by what a sampler shall use, with as many at most as the node has room for."""
    autoscaling = {"maxReplicas": 3, "cpuPercent": cpu_percent, "scaleDownAfterSeconds": 10}
    sampler = {"replicas": least, "autoscaling": autoscaling}
    sampler["resources"] = {"requests": {"cpu": "100m"}}
    return {"replicas": 2, "autoscaling": {"maxReplicas": 2}, "sampler": sampler}


# More than a sampler uses with what a test sends now and then.
LATE = 100


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
        eventually(lambda: waiting_to_migrate(bundle) >= 2, "two ledgers that wait to migrate")
    eventually(lambda: ready(bundle) == COUNT, "three Alertmanagers that are ready")
    bundle.install()
    yield bundle
    bundle.settings = former
    # An autoscaler that looks before it is taken away has the last word on how many there are.
    for _ in range(2):
        bundle.install("--force-conflicts")


def test_all_that_can_be_several_is(grown: Bundle) -> None:
    found = grown.cluster.json("statefulsets", namespace=MIDWATCH)["items"]
    ready = {one["metadata"]["name"]: one["status"].get("readyReplicas") for one in found}
    wanted = {"alertmanager": 3, "collector": 2, "sampler": 2, "prometheus": 2}
    assert {f"midwatch-{name}": count for name, count in wanted.items()}.items() <= ready.items()
    assert len(ledgers(grown)) == 2


def test_ledgers_that_start_together_migrate_once(grown: Bundle) -> None:
    said = [
        grown.cluster.kubectl(
            "logs", pod["metadata"]["name"], "--container=migrate", namespace=MIDWATCH
        )
        for pod in ledgers(grown)
    ]
    assert sorted("migrated from nothing" in each for each in said) == [False, True], said
    ended = [pod["status"]["initContainerStatuses"][0] for pod in ledgers(grown)]
    assert [each["state"]["terminated"]["exitCode"] for each in ended] == [0, 0]


def test_a_turn_reaches_every_store_through_both_tiers(grown: Bundle) -> None:
    assert passed_checks(grown) >= wanted_checks()


def test_what_the_ledger_took_is_there_when_it_and_its_database_were_killed(
    grown: Bundle, database: PostgreSql
) -> None:
    with sending(grown, "ledger", 8088) as sender:
        eventually(lambda: taken(sender, 20), "the first traces taken")
        ledger = ledgers(grown)[0]["metadata"]["name"]
        kill = ["delete", "pod", ledger, "--grace-period=0", "--force"]
        grown.cluster.kubectl(*kill, namespace=MIDWATCH)
        before = taken(sender, 1)
        eventually(lambda: taken(sender, before + 20), "traces taken by the other one")
        begun = time.monotonic()
        database.kill()
        answer = grown.chat("Show me the latest alerts, please.", "database-away")
        assert answer.status_code == 200, answer.text
        database.await_ready()
        away = taken(sender, 1)
        eventually(lambda: taken(sender, away + 20), "traces taken by the database that is back")
        grown.say(
            f"FIGURE ledger's database killed until rows arrive: {time.monotonic() - begun:.0f} s"
        )
        acknowledged = set(sender.said().split())
    assert acknowledged <= kept(database)
    trace_id = answer.json()["trace_id"]
    eventually(lambda: grown.trace(trace_id), "the turn while the database was away")


def test_samplers_with_shards_that_grow_lose_no_trace(grown: Bundle, database: PostgreSql) -> None:
    with sending(grown, "collector", 4318) as sender:
        eventually(lambda: taken(sender, 20), "the first traces taken")
        sampler = {**grown.settings["collector"]["sampler"], "replicas": 3}
        grown.settings["collector"] = {**grown.settings["collector"], "sampler": sampler}
        grown.install()
        before = taken(sender, 1)
        eventually(lambda: taken(sender, before + 20), "traces taken by three")
        acknowledged = set(sender.said().split())
    eventually(lambda: acknowledged <= kept(database), "every trace in the ledger")
    grown.say(f"FIGURE samplers from two to three: {len(acknowledged)} traces, none lost")


@pytest.fixture(scope="module")
def scaled(grown: Bundle) -> Iterator[Bundle]:
    """The bundle with autoscalers for both tiers, and a destination that samplers tell."""
    with witness(grown):
        url = f"http://{WITNESS}.{AGENTS}.svc:8080"
        grown.settings["destinations"] = {WITNESS: {"preset": "otlp", "url": url}}
        grown.settings["collector"] = scaling(LATE)
        grown.install()
        yield grown
        del grown.settings["destinations"]


def test_an_autoscaler_adds_a_sampler_under_load_and_no_trace_is_lost_or_split_but_at_the_step(
    scaled: Bundle, database: PostgreSql
) -> None:
    for tier in ("collector", "sampler"):
        eventually(lambda tier=tier: use(scaled, tier) is not None, f"what the {tier}s use")
    # With the load below it is at least three times as much, however fast the machine.
    without_load = max(least_use(scaled, "sampler"), 3)
    scaled.settings["collector"] = scaling(2 * without_load)
    scaled.install()
    assert samplers(scaled) == 2
    begun = time.monotonic()
    with sending(scaled, "collector", 4318, MANY) as sender:
        eventually(lambda: samplers(scaled) == 3, "a third sampler")
        used = use(scaled, "sampler")
        grown_after = time.monotonic() - begun
        told_by_three = "traces from three samplers"
        eventually(lambda: share_of_the_least(told(scaled)) >= 100, told_by_three)
        acknowledged = set(sender.said().split())
    eventually(lambda: acknowledged <= kept(database, spans=2), "every span in the ledger")
    by = told(scaled)
    assert acknowledged <= by.keys()
    if has_tempo():
        some = sorted(acknowledged)[:: len(acknowledged) // 10]
        eventually(lambda: all(spans_in_tempo(scaled, one) == 2 for one in some), "all in Tempo")
    split = [int(trace, 16) // 100 for trace, samplers in by.items() if len(samplers) > 1]
    # Whoever was under way when the balancing tier heard of the third one may have come to two.
    assert not split or max(split) - min(split) < 2000, "traces were split at other times, too"
    scaled.say(
        f"FIGURE a third sampler by itself after {grown_after:.0f} s of load, at {used} %, "
        f"{without_load} without: {len(acknowledged)} traces, none lost, {len(split)} of them "
        "under way and split"
    )


def test_samplers_that_the_autoscaler_takes_away_lose_nothing(
    scaled: Bundle, database: PostgreSql
) -> None:
    scaled.settings["collector"] = scaling(LATE, least=3)
    scaled.install()
    eventually(lambda: samplers(scaled) == 3, "three samplers")
    scaled.settings["collector"] = scaling(LATE)
    # What is sent is so little that two samplers are enough.
    with sending(scaled, "collector", 4318, first=5 * 10**9, pause_seconds=0.1) as sender:
        begun = time.monotonic()
        scaled.install("--wait=hookOnly")
        eventually(lambda: samplers(scaled) == 2, "two samplers, after the load")
        shrunk_after = time.monotonic() - begun
        before = taken(sender, 1)
        eventually(lambda: taken(sender, before + 30), "traces taken by those that stay")
        acknowledged = set(sender.said().split())
    # What was under way to the one that went waits on disk for its name.
    waiting = acknowledged - kept(database)
    scaled.settings["collector"] = scaling(LATE, least=3)
    scaled.install("--wait=hookOnly")
    eventually(lambda: acknowledged <= kept(database), "every trace, with the third one back")
    eventually(lambda: acknowledged <= told(scaled).keys(), "and at the destination")
    scaled.say(
        f"FIGURE a sampler fewer after {shrunk_after:.0f} s: {len(acknowledged)} traces, "
        f"{len(waiting)} waited for its return, none lost"
    )


@pytest.mark.parametrize(("tier", "first"), [("sampler", 6 * 10**9), ("collector", 7 * 10**9)])
def test_a_tier_is_rolled_out_and_loses_no_trace(
    scaled: Bundle, database: PostgreSql, tier: str, first: int
) -> None:
    scaled.settings["collector"] = scaling(LATE, least=3)
    scaled.install()
    with sending(scaled, "collector", 4318, first=first, pause_seconds=0.1) as sender:
        eventually(lambda: taken(sender, 20), "the first traces taken")
        begun = time.monotonic()
        roll_out(scaled, tier)
        rolled_out = time.monotonic() - begun
        before = taken(sender, 1)
        eventually(lambda: taken(sender, before + 20), "traces taken after the roll-out")
        acknowledged = set(sender.said().split())
    eventually(lambda: acknowledged <= kept(database), "every trace of the roll-out in the ledger")
    eventually(lambda: acknowledged <= told(scaled).keys(), "and at the destination")
    scaled.say(
        f"FIGURE {tier}s rolled out in {rolled_out:.0f} s: {len(acknowledged)} traces, none lost"
    )


def test_the_database_calls_nobody(grown: Bundle, database: PostgreSql) -> None:
    """Its policy allows it nothing, and its pod has a Python to try."""
    (ledger, _) = [pod["status"]["podIP"] for pod in ledgers(grown)]
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
        answer = grown.ask(MIDWATCH, ALERTMANAGER, 9093, "/api/v2/status").raise_for_status().json()
        return len(answer["cluster"]["peers"]) == COUNT

    assert eventually(peers, "three peers")


def test_a_disruption_budget_lets_one_go_at_a_time(grown: Bundle) -> None:
    eventually(lambda: allowed(grown) == 1, "the budget allows one eviction")
    former = {pod["metadata"]["uid"] for pod in pods(grown)}
    evict(grown, f"{ALERTMANAGER}-0")
    with pytest.raises(CommandFailed, match="disruption budget"):
        evict(grown, f"{ALERTMANAGER}-1")

    def another_is_ready() -> bool:
        # The status of the whole tells of the one that goes for a while yet.
        present = {pod["metadata"]["uid"] for pod in pods(grown)}
        return len(present - former) == len(former - present) == 1 and ready(grown) == COUNT

    eventually(another_is_ready, "the evicted one is back")


def test_an_upgrade_rolls_out_one_at_a_time_and_never_without_two(grown: Bundle) -> None:
    before = revisions(grown)
    grown.settings["alertmanager"] = {
        **grown.settings["alertmanager"],
        "env": {"ROLLED_OUT": "once"},
    }
    least = COUNT
    command = ["rollout", "status", f"statefulset/{ALERTMANAGER}", "--timeout=1s"]
    grown.install("--wait=hookOnly")

    def rolled_out() -> bool:
        nonlocal least
        least = min(least, ready(grown))
        try:
            grown.cluster.kubectl(*command, namespace=MIDWATCH)
        except CommandFailed:
            return False
        return True

    eventually(rolled_out, "the roll-out")
    assert before.isdisjoint(revisions(grown))
    assert least >= COUNT - 1
