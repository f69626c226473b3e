"""The bundle with TLS between its components: all still arrives, and nothing in the clear."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
import yaml
from bundle import CHART, MIDWATCH, VALUES, Bundle, eventually, passed_checks

PORTS = {"prometheus": 9090, "alertmanager": 9093, "collector": 4318}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def secured(bundle: Bundle, authority: trustme.CA, tmp_path_factory: Any) -> Iterator[Bundle]:
    """The bundle with TLS, with the certificates that it would ask cert-manager for."""
    values = tmp_path_factory.mktemp("tls") / "values.yaml"
    asked = {"mode": "certManager", "issuer": {"name": "any"}}
    values.write_text(yaml.safe_dump({**bundle.settings, "tls": asked}), encoding="utf-8")
    for certificate in _certificates(bundle, values):
        issued = authority.issue_cert(*certificate["dnsNames"])
        content = {
            "tls.crt": b"".join(one.bytes() for one in issued.cert_chain_pems),
            "tls.key": issued.private_key_pem.bytes(),
            "ca.crt": authority.cert_pem.bytes(),
        }
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {"name": certificate["secretName"], "namespace": MIDWATCH},
            "data": {name: base64.b64encode(one).decode() for name, one in content.items()},
        }
        bundle.cluster.kubectl("apply", "--filename=-", given=json.dumps(secret))
    bundle.settings["tls"] = {"mode": "secrets"}
    bundle.install()
    yield bundle
    del bundle.settings["tls"]


def test_a_turn_reaches_every_store_by_tls(secured: Bundle) -> None:
    assert passed_checks(secured) >= {
        "the metric is in Prometheus",
        "its exemplar leads to the trace",
        "the turn is in the ledger",
        "an alert fires in Alertmanager",
    }


def test_prometheus_reaches_all_that_it_scrapes_by_tls(
    secured: Bundle, authority: trustme.CA
) -> None:
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    health: dict[str, str] = {}

    # Its series still tell for minutes of pods that are gone; what it scrapes now are its targets.
    def all_are_up() -> bool:
        with secured.cluster.port(MIDWATCH, "service/midwatch-prometheus", 9090) as url:
            address = url.replace("http://127.0.0.1", "https://localhost")
            answer = httpx.get(f"{address}/api/v1/targets?state=active", verify=trusted)
        found = answer.raise_for_status().json()["data"]["activeTargets"]
        health.update({one["scrapeUrl"]: one["health"] for one in found})
        return all(one["health"] == "up" for one in found)

    eventually(all_are_up, "targets that are all up")
    assert any(url.startswith("https://") for url in health)


@pytest.mark.parametrize("component", PORTS)
def test_nothing_is_answered_in_the_clear(secured: Bundle, component: str) -> None:
    service = f"service/midwatch-{component}"
    with secured.cluster.port(MIDWATCH, service, PORTS[component]) as url:
        try:
            status = httpx.get(f"{url}/").status_code
        except httpx.RemoteProtocolError:
            return

    assert status == 400


def _certificates(bundle: Bundle, values: Path) -> list[dict[str, Any]]:
    arguments = ["template", "midwatch", str(CHART), "--namespace", MIDWATCH]
    for file in (*VALUES, values):
        arguments += ["--values", str(file)]
    objects = yaml.safe_load_all(bundle.cluster.helm(*arguments))
    return [item["spec"] for item in objects if item and item["kind"] == "Certificate"]
