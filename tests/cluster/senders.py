"""Pods that send traces to the bundle while something happens to it, and what became of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bundle import AGENTS, MIDWATCH, Bundle
from databases import PostgreSql
from strangers import Stranger

# Sends one trace after the other, each until it is taken, and prints those that were.
ONE_BY_ONE = """
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
    time.sleep(float(os.environ["PAUSE"]))
"""
# Ten times a second the first spans of a hundred traces with the last ones of those before. A
# trace's id says in milliseconds when it began, before a number of two digits.
MANY = """
import json, os, time, urllib.request
url = os.environ["URL"] + "/v1/traces"
headers = {"Authorization": "Bearer " + os.environ["KEY"], "Content-Type": "application/json"}
def span(trace, part, now):
    named = {"traceId": f"{trace:032x}", "spanId": f"{trace * 2 + part:016x}", "name": "turn"}
    return named | {"kind": 1, "startTimeUnixNano": str(now), "endTimeUnixNano": str(now + 1000)}
under_way = []
while True:
    now = time.time_ns()
    begun = [now // 10**6 * 100 + number for number in range(100)]
    spans = [span(each, 0, now) for each in begun] + [span(each, 1, now) for each in under_way]
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()
    while True:
        try:
            urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=5).close()
            break
        except OSError:
            time.sleep(0.1)
    print("\\n".join(f"{each:032x}" for each in under_way), flush=True)
    under_way = begun
    time.sleep(max(0, 0.1 - (time.time_ns() - now) / 10**9))
"""
# A destination that remembers which address told it of each trace of a sender.
_WITNESS = r"""
import gzip, http.server, json, re, time
ids = re.compile(rb"\x0a\x10(\0{8}.{8})", re.DOTALL)
told = {}
class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        packed = self.headers.get("Content-Encoding") == "gzip"
        for trace in ids.findall(gzip.decompress(body) if packed else body):
            told.setdefault(trace.hex(), set()).add(self.client_address[0])
        self.answer(b"")
    def do_GET(self):
        self.answer(json.dumps({trace: sorted(by) for trace, by in told.copy().items()}).encode())
    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("", 8080), Receiver).serve_forever()
"""
WITNESS = "witness"


@contextmanager
def sending(
    bundle: Bundle,
    component: str,
    port: int,
    command: str = ONE_BY_ONE,
    first: int = 0,
    pause_seconds: float = 0.01,
) -> Iterator[Stranger]:
    """A pod that sends traces to a component, with ids that no other such pod has."""
    key = {"name": "midwatch-ledger-keys", "key": "ingest-key"}
    env: list[dict[str, Any]] = [{"name": "KEY", "valueFrom": {"secretKeyRef": key}}]
    env += [{"name": "URL", "value": f"http://midwatch-{component}.{MIDWATCH}.svc:{port}"}]
    env += [{"name": "FIRST", "value": str(first or port * 10**6)}]
    env += [{"name": "PAUSE", "value": str(pause_seconds)}]
    sender = Stranger(bundle.cluster, MIDWATCH, f"sender-{component}")
    sender.start(command=command, env=env)
    try:
        yield sender
    finally:
        sender.remove()


def taken(sender: Stranger, least: int) -> int:
    """How many traces were taken; 0 as long as there are fewer than `least`."""
    count = len(sender.said().split())
    return count if count >= least else 0


def kept(database: PostgreSql, spans: int = 1) -> set[str]:
    """The traces of which the ledger has as many spans."""
    asked = "SELECT trace_id FROM spans GROUP BY trace_id HAVING count(*) >= %s"
    with database.connection() as connection:
        return {row[0] for row in connection.execute(asked, (spans,)).fetchall()}


@contextmanager
def witness(bundle: Bundle) -> Iterator[None]:
    """A destination that remembers who told it of a trace: `told`."""
    pod = Stranger(bundle.cluster, AGENTS, WITNESS)
    pod.start(labels={"app": WITNESS}, command=_WITNESS)
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": WITNESS}}
    spec = {"selector": {"app": WITNESS}, "ports": [{"port": 8080}]}
    given = json.dumps(service | {"spec": spec})
    bundle.cluster.kubectl("apply", "--filename=-", given=given, namespace=AGENTS)
    try:
        yield
    finally:
        pod.remove()
        bundle.cluster.kubectl("delete", "service", WITNESS, namespace=AGENTS)


def told(bundle: Bundle) -> dict[str, list[str]]:
    """By trace, the addresses of the samplers that told the witness of it."""
    found: dict[str, list[str]] = bundle.ask(AGENTS, WITNESS, 8080, "/").raise_for_status().json()
    return found
