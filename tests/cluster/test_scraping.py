"""Agents that serve /metrics and send nothing: found by annotation, in the namespaces named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from bundle import AGENTS, MIDWATCH, SHOP, Bundle, eventually
from cluster.access import CommandFailed
from strangers import pod_of_python

# A name of the application's own before the metric's, as S3 has it.
SERVING = """
import http.server
class Metrics(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        if self.path == "/stats":
            name = b"packer_boxes_packed_total"
            self.wfile.write(b"# TYPE " + name + b" counter\\n" + name + b" 3\\n")
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("", 9000), Metrics).serve_forever()
"""
ASKED = {
    "midwatch.dev/scrape": "true",
    "midwatch.dev/port": "9000",
    "midwatch.dev/path": "/stats",
    "midwatch.dev/metrics-namespace": "packer",
    "midwatch.dev/inject": "false",
}
PODS = {
    "packer": (AGENTS, ASKED),
    "not-asked": (AGENTS, {**ASKED, "midwatch.dev/scrape": "false"}),
    "elsewhere": (SHOP, ASKED),
}


@pytest.fixture(scope="module")
def scraping(bundle: Bundle) -> Iterator[Bundle]:
    """The bundle that scrapes and names pods in one namespace; three pods serve metrics."""
    for name, (namespace, asked) in PODS.items():
        pod = pod_of_python(name, SERVING, {"app.kubernetes.io/name": name})
        pod["metadata"]["annotations"] = asked
        bundle.cluster.kubectl("apply", "--filename=-", given=json.dumps(pod), namespace=namespace)
    for name, (namespace, _) in PODS.items():
        ready = ["wait", f"pod/{name}", "--for=condition=Ready", "--timeout=60s"]
        bundle.cluster.kubectl(*ready, namespace=namespace)
    former = bundle.settings.get("collector", {})
    scrape = {"enabled": True, "pods": {"namespaces": {AGENTS: True}}}
    named = {"namespace": AGENTS}
    bundle.settings["collector"] = {**former, "scrape": scrape, "kubernetesAttributes": named}
    bundle.install()
    yield bundle
    bundle.settings["collector"] = former
    for name, (namespace, _) in PODS.items():
        bundle.cluster.kubectl("delete", "pod", name, "--grace-period=1", namespace=namespace)


def test_only_pods_that_ask_for_it_in_the_named_namespace_are_scraped(scraping: Bundle) -> None:
    def found() -> list[dict[str, Any]]:
        return scraping.query("boxes_packed_total")

    series = eventually(found, "the metric of the pod, without the application's own prefix")
    (own,) = [(each["metric"], each["value"][1]) for each in series]
    assert own[1] == "3"
    assert own[0]["k8s_namespace_name"] == AGENTS
    assert own[0]["service_name"] == "packer"
    # The others would have come with it: all are looked for at once.
    assert scraping.query("packer_boxes_packed_total") == []


@pytest.mark.parametrize(
    ("what", "namespace", "allowed"),
    [
        ("pods", AGENTS, True),
        ("pods", SHOP, False),
        ("secrets", AGENTS, False),
        ("secrets", MIDWATCH, False),
    ],
)
def test_it_may_read_pods_there_and_nothing_elsewhere(
    scraping: Bundle, what: str, namespace: str, allowed: bool
) -> None:
    account = f"--as=system:serviceaccount:{MIDWATCH}:midwatch-collector"
    ask = ["auth", "can-i", "list", what, account]
    if allowed:
        assert "yes" in scraping.cluster.kubectl(*ask, namespace=namespace)
    else:
        with pytest.raises(CommandFailed):
            scraping.cluster.kubectl(*ask, namespace=namespace)
