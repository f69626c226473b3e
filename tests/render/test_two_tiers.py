"""The two tiers of the profile ha as processes: traces arrive whole, nobody waits for the dead."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.programs
LEDGER = "http://midwatch-ledger.midwatch.svc:8088"
TEMPO = "http://midwatch-tempo.midwatch.svc:4318"
SAMPLERS = ("midwatch-sampler-{}.midwatch-sampler-pods.midwatch.svc:4317").format
FIXED = {"replicas": 2, "autoscaling": {"enabled": False}}
TIERS = FIXED | {"sampler": FIXED | {"balanceBy": "shards"}}
VALUES: dict[str, Any] = {
    "profile": "ha",
    "collector": TIERS,
    "prometheus": {"enabled": False},
    "alertmanager": {"enabled": False},
    "tempo": {"enabled": False},
    "grafana": {"enabled": False},
    "ledger": {"replicas": 1},
}


@pytest.fixture
def tiers(tier, store) -> tuple[list[Any], list[Any], list[Any]]:
    """Two balancers before two samplers, each of which delivers to a store of its own."""
    samplers, stores = [tier("sampler") for _ in range(2)], [store() for _ in range(2)]
    for sampler, own in zip(samplers, stores, strict=True):
        sampler.start(VALUES, {LEDGER: own.url})
    places = {SAMPLERS(number): one.grpc_address for number, one in enumerate(samplers)}
    balancers = [tier("collector") for _ in range(2)]
    for balancer in balancers:
        balancer.start(VALUES, places)
    return balancers, samplers, stores


def spans_by_trace(store: Any) -> dict[str, int]:
    found: dict[str, set[str]] = {}
    for span in store.spans():
        found.setdefault(span["traceId"], set()).add(span["spanId"])
    return {trace: len(spans) for trace, spans in found.items()}


def test_a_trace_is_whole_at_one_sampler_whichever_balancer_got_its_spans(tiers, until):
    balancers, _, stores = tiers
    for trace in range(1, 17):
        for number in range(4):
            balancers[number % 2].send({}, trace=trace, number=trace * 100 + number)
    until(lambda: sum(len(spans_by_trace(one)) for one in stores) == 16, "all traces are there")
    until(lambda: sum(len(one.spans()) for one in stores) >= 64, "all spans are there")
    first, second = map(spans_by_trace, stores)
    assert first.keys() & second.keys() == set()
    assert set(first.values()) | set(second.values()) == {4}
    assert len(first) == len(second) == 8


@pytest.mark.parametrize("kill", [True, False], ids=["killed", "stopped"])
def test_a_sampler_that_restarts_gets_what_it_missed_and_the_other_does_not_wait(
    tiers, until, kill
):
    balancers, samplers, stores = tiers
    samplers[1].stop(kill=kill)
    for trace in range(1, 17):
        balancers[trace % 2].send({}, trace=trace)
    until(lambda: len(spans_by_trace(stores[0])) == 8, "the other sampler has its own")
    balancers[0].stop()
    balancers[0].start(VALUES, {SAMPLERS(n): one.grpc_address for n, one in enumerate(samplers)})
    assert spans_by_trace(stores[1]) == {}
    samplers[1].start(VALUES, {LEDGER: stores[1].url})
    until(lambda: len(spans_by_trace(stores[1])) == 8, "it has what waited for it")


def test_a_sampler_that_is_rolled_out_judges_what_it_holds_first(tier, store, until):
    waits = {
        "enabled": True,
        "percentage": 0,
        "decisionWait": "10m",
        "decisionWaitAfterRoot": "10m",
    }
    values = VALUES | {"tempo": {"enabled": True}, "collector": TIERS | {"tailSampling": waits}}
    ledger, tempo = store(), store()
    addresses = {LEDGER: ledger.url, TEMPO: tempo.url}
    sampler = tier("sampler")
    sampler.start(values, addresses)
    sampler.send({}, trace=1, failed=True)
    sampler.send({}, trace=2)
    until(lambda: len(ledger.spans()) == 2, "the ledger does not wait for the judgement")
    assert tempo.spans() == []
    sampler.stop()
    sampler.start(values, addresses)
    (kept,) = until(tempo.spans, "what is kept is in Tempo")
    assert kept["status"] == {"code": "STATUS_CODE_ERROR"}


def test_samplers_take_from_the_first_tier_only(objects):
    (policy,) = [
        item["spec"]["ingress"]
        for item in objects(VALUES)
        if item["kind"] == "NetworkPolicy" and item["metadata"]["name"] == "midwatch-sampler"
    ]
    (rule,) = [one for one in policy if one["ports"][0]["port"] == "otlp-grpc"]
    (source,) = rule["from"]
    assert source["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "collector"
