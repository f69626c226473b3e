"""The bundle's NetworkPolicies, enforced: strangers reach what is meant for them and no more.

That the bundle works under them, all other tests here show: the node always enforces them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import pytest
from bundle import AGENTS, MIDWATCH, Bundle, eventually, has_tempo, passed_checks
from strangers import DENIED, NOBODY, REACHED, Stranger

Ports = Mapping[str, tuple[int, ...]]
MEANT: Ports = {"collector": (4317, 4318), "ledger": (8088,)}
CLOSED: Ports = {"collector": (8888,), "prometheus": (9090,), "alertmanager": (9093,)}
if has_tempo():
    CLOSED = {**CLOSED, "tempo": (3200, 4317, 4318)}


@pytest.fixture(scope="module", params=[AGENTS, MIDWATCH], ids=["elsewhere", "beside it"])
def stranger(request: pytest.FixtureRequest, bundle: Bundle) -> Iterator[Stranger]:
    pod = Stranger(bundle.cluster, request.param)
    pod.start()
    yield pod
    pod.remove()


def addresses(bundle: Bundle, ports: Ports) -> list[str]:
    """Each port by the Service's address, and by the pod's, which no proxy stands before."""
    of_pods = {
        pod["metadata"]["labels"]["app.kubernetes.io/component"]: pod["status"]["podIP"]
        for pod in bundle.pods(MIDWATCH)
        if "app.kubernetes.io/component" in pod["metadata"].get("labels", {})
    }
    services = {
        each["metadata"]["name"]: {port["port"] for port in each["spec"]["ports"]}
        for each in bundle.cluster.json("services", namespace=MIDWATCH)["items"]
    }
    by_pod = [f"{of_pods[name]}:{port}" for name, several in ports.items() for port in several]
    by_service = [
        f"midwatch-{name}.{MIDWATCH}.svc:{port}"
        for name, several in ports.items()
        for port in several
        if port in services[f"midwatch-{name}"]
    ]
    assert len(by_service) >= len(ports) - 1
    return by_pod + by_service


def test_a_stranger_reaches_what_is_meant_for_everybody(bundle: Bundle, stranger: Stranger) -> None:
    asked = addresses(bundle, MEANT)

    def all_reached() -> bool:
        return stranger.reaches(asked) == dict.fromkeys(asked, REACHED)

    eventually(all_reached, "OTLP and the ledger for a pod that is not Midwatch's", 20)


def test_a_stranger_reaches_nothing_else(bundle: Bundle, stranger: Stranger) -> None:
    asked = addresses(bundle, CLOSED)
    assert stranger.reaches(asked) == dict.fromkeys(asked, DENIED)


def test_a_policy_beside_the_charts_lets_more_in(bundle: Bundle, stranger: Stranger) -> None:
    asked = addresses(bundle, {"prometheus": (9090,)})
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "visitors"},
        "spec": {
            "podSelector": {"matchLabels": {"app.kubernetes.io/component": "prometheus"}},
            "ingress": [{"from": [{"namespaceSelector": {}}]}],
        },
    }
    bundle.cluster.kubectl("apply", "--filename=-", given=json.dumps(policy), namespace=MIDWATCH)
    try:
        eventually(
            lambda: stranger.reaches(asked) == dict.fromkeys(asked, REACHED),
            "Prometheus for everybody, as the other policy allows",
            20,
        )
        unused = [asked[0].replace(":9090", ":9099")]
        assert stranger.reaches(unused) == dict.fromkeys(unused, NOBODY)
    finally:
        bundle.cluster.kubectl("delete", "networkpolicy", "visitors", namespace=MIDWATCH)
    eventually(
        lambda: stranger.reaches(asked) == dict.fromkeys(asked, DENIED),
        "Prometheus closed again",
        20,
    )


@pytest.fixture(scope="module")
def confined(bundle: Bundle) -> Iterator[Bundle]:
    """The bundle whose pods may call each other, and Alertmanager the receiver of pages."""
    pages = {"namespace": AGENTS, "ports": {"8080": True}, "components": {"alertmanager": True}}
    egress = {"restricted": True, "allow": {"pages": pages}}
    bundle.settings["networkPolicy"] = {"egress": egress}
    bundle.install()
    yield bundle
    del bundle.settings["networkPolicy"]


def test_confined_the_bundle_still_works_whole(confined: Bundle) -> None:
    assert passed_checks(confined) >= {
        "the metric is in Prometheus",
        "its exemplar leads to the trace",
        "the turn is in the ledger",
        "an alert fires in Alertmanager",
    }


def test_confined_it_calls_its_own_and_nobody_else(confined: Bundle) -> None:
    ledger = Stranger(confined.cluster, MIDWATCH, "midwatch-ledger-0")
    own = addresses(confined, {"prometheus": (9090,)})
    pages = confined.cluster.json("service", "pages", namespace=AGENTS)["spec"]["clusterIP"]
    foreign = [f"pages.{AGENTS}.svc:8080", f"{pages}:8080"]
    expected = {**dict.fromkeys(own, REACHED), **dict.fromkeys(foreign, DENIED)}
    eventually(
        lambda: ledger.reaches([*own, *foreign]) == expected, "the ledger kept to its own", 20
    )
