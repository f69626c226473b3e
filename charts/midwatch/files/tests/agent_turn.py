"""What `helm test` runs: sends one agent's turn and asks every store for it.

Only the standard library is used: the ledger's image runs it. Addresses come from MIDWATCH_TEST_*
variables; a store without one is not asked. MIDWATCH_TEST_<STORE>_HEADERS says as JSON what a store
wants with each request: {header: {"value": it}} or {header: {"file": where it is}}. It ends with 0
when everything was found in time, and else says what was not.
"""

from __future__ import annotations

import json
import os
import secrets
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

SERVICE = "midwatch-helm-test"
METRIC = "midwatch_helm_test_turn_latency"


class Turn:
    """One synthetic turn of an agent, as OTLP/JSON, with ids of its own."""

    def __init__(self, *, failed: bool) -> None:
        self.trace_id = secrets.token_hex(16)
        self.run = self.trace_id[:8]
        self._failed = failed
        self._end = time.time_ns()

    def traces(self) -> dict[str, Any]:
        """The turn, the agent in it, and its model call."""
        turn, agent, chat = (secrets.token_hex(8) for _ in range(3))
        spans = [
            self._span(turn, "", "turn", 1200, {"midwatch.turn.outcome": "ok"}),
            self._span(agent, turn, "invoke_agent helm-test", 1100, _agent("invoke_agent")),
            self._span(chat, agent, "chat test-model", 900, _agent("chat") | _MODEL),
        ]
        return {"resourceSpans": [{"resource": _RESOURCE, "scopeSpans": [{"spans": spans}]}]}

    def metrics(self) -> dict[str, Any]:
        """The turn's latency, with an exemplar that leads to its trace."""
        point = {
            "startTimeUnixNano": str(self._end - 2 * 10**9),
            "timeUnixNano": str(self._end),
            "attributes": _attributes({"run": self.run}),
            "count": "1",
            "sum": 1.2,
            "bucketCounts": ["0", "1", "0"],
            "explicitBounds": [1.0, 5.0],
            "exemplars": [
                {
                    "timeUnixNano": str(self._end),
                    "asDouble": 1.2,
                    "traceId": self.trace_id,
                    "spanId": secrets.token_hex(8),
                }
            ],
        }
        histogram = {"aggregationTemporality": 2, "dataPoints": [point]}
        metric = {"name": METRIC, "unit": "s", "histogram": histogram}
        return {
            "resourceMetrics": [{"resource": _RESOURCE, "scopeMetrics": [{"metrics": [metric]}]}]
        }

    def _span(
        self, identity: str, parent: str, name: str, milliseconds: int, attributes: dict[str, Any]
    ) -> dict[str, Any]:
        return {
            "traceId": self.trace_id,
            "spanId": identity,
            "parentSpanId": parent,
            "name": name,
            "kind": 3 if name.startswith("chat") else 1,
            "startTimeUnixNano": str(self._end - milliseconds * 10**6),
            "endTimeUnixNano": str(self._end),
            # With tail sampling only what it always keeps is sure to be in Tempo: errors.
            "status": {"code": 2 if self._failed and not parent else 1},
            "attributes": _attributes(attributes),
        }


def _attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"key": key, "value": {"intValue" if isinstance(value, int) else "stringValue": value}}
        for key, value in values.items()
    ]


def _agent(operation: str) -> dict[str, Any]:
    return {
        "gen_ai.operation.name": operation,
        "gen_ai.agent.name": "helm-test",
        "gen_ai.conversation.id": SERVICE,
    }


_RESOURCE = {"attributes": _attributes({"service.name": SERVICE, "midwatch.project": "helm-test"})}
_MODEL = {
    "gen_ai.provider.name": "midwatch",
    "gen_ai.request.model": "test-model",
    "gen_ai.usage.input_tokens": 12,
    "gen_ai.usage.output_tokens": 7,
}


class Stores:
    """The addresses of the stores, and requests to them."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        authority = environment.get("MIDWATCH_TEST_CA_FILE")
        self._tls = ssl.create_default_context(cafile=authority) if authority else None

    def url(self, name: str) -> str:
        """Base URL of a store; empty when there is none to ask."""
        return self._environment.get(f"MIDWATCH_TEST_{name}_URL", "").rstrip("/")

    def send(self, path: str, body: dict[str, Any]) -> Any:
        """Give the collector something; an error of any kind is raised."""
        return self._answer("COLLECTOR", path, json.dumps(body).encode())

    def ask(self, name: str, path: str, **query: str) -> Any:
        """Body of an answer, parsed; an error of any kind is raised."""
        return self._answer(name, path + (f"?{urllib.parse.urlencode(query)}" if query else ""))

    def _answer(self, name: str, path: str, data: bytes | None = None) -> Any:
        url = f"{self.url(name)}{path}"
        if not url.startswith(("http:", "https:")):
            raise ValueError(f"MIDWATCH_TEST_{name}_URL is no http:// or https:// address: {url}")
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        key = self._environment.get("MIDWATCH_TEST_LEDGER_KEY_FILE")
        if name == "LEDGER" and key:
            headers["Authorization"] = f"Bearer {Path(key).read_text(encoding='utf-8').strip()}"
        told = json.loads(self._environment.get(f"MIDWATCH_TEST_{name}_HEADERS", "{}"))
        for header, given in told.items():
            value = given.get("value") or Path(given["file"]).read_text(encoding="utf-8").strip()
            headers[header] = value
        request = urllib.request.Request(url, data=data, headers=headers)  # noqa: S310
        context = self._tls if url.startswith("https:") else None
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:  # noqa: S310
            return json.loads(answer.read() or b"{}")


def questions(stores: Stores, turn: Turn) -> dict[str, Callable[[], bool]]:
    """What must come true, by the words in which it is told."""
    series = f'{METRIC}_seconds_count{{service_name="{SERVICE}",run="{turn.run}"}}'

    def metric() -> bool:
        found = stores.ask("PROMETHEUS", "/api/v1/query", query=series)["data"]["result"]
        return [one["value"][1] for one in found] == ["1"]

    def exemplar() -> bool:
        now = time.time()
        window = {"start": f"{now - 600:.0f}", "end": f"{now + 60:.0f}"}
        query = series.replace("_count{", "_bucket{")
        found = stores.ask("PROMETHEUS", "/api/v1/query_exemplars", query=query, **window)
        told = [one["labels"].get("trace_id") for row in found["data"] for one in row["exemplars"]]
        return turn.trace_id in told

    def trace() -> bool:
        return "chat test-model" in json.dumps(stores.ask("TEMPO", f"/api/traces/{turn.trace_id}"))

    def row() -> bool:
        found = stores.ask("LEDGER", f"/monitoring/traces/{turn.trace_id}")
        return turn.trace_id in json.dumps(found)

    def alert() -> bool:
        active = stores.ask("ALERTMANAGER", "/api/v2/alerts", filter='alertname="Watchdog"')
        return any(one["status"]["state"] == "active" for one in active)

    every = {
        "the metric is in Prometheus": ("PROMETHEUS", metric),
        "its exemplar leads to the trace": ("PROMETHEUS", exemplar),
        "the trace is in Tempo": ("TEMPO", trace),
        "the turn is in the ledger": ("LEDGER", row),
        "an alert fires in Alertmanager": ("ALERTMANAGER", alert),
    }
    return {words: ask for words, (name, ask) in every.items() if stores.url(name)}


def _true(ask: Callable[[], bool]) -> tuple[bool, str]:
    try:
        return ask(), "not there"
    except urllib.error.HTTPError as error:
        return False, f"answered {error.code}"
    except (OSError, ValueError, KeyError) as error:
        return False, f"{type(error).__name__}: {error}"


def run(environment: dict[str, str], say: Callable[[str], object]) -> int:
    """Send the turn and wait for its traces in the stores; give the exit status."""
    stores = Stores(environment)
    turn = Turn(failed=environment.get("MIDWATCH_TEST_KEEP") == "true")
    deadline = time.monotonic() + float(environment.get("MIDWATCH_TEST_TIMEOUT_SECONDS", "180"))
    waiting: dict[str, Callable[[], bool]] = {
        "the collector takes the turn": lambda: (
            stores.send("/v1/traces", turn.traces()) is not None
        ),
        "the collector takes its metric": lambda: (
            stores.send("/v1/metrics", turn.metrics()) is not None
        ),
    }
    waiting |= questions(stores, turn)
    say(f"turn {turn.trace_id}")
    why: dict[str, str] = {}
    while waiting and time.monotonic() < deadline:
        for words in list(waiting):
            found, why[words] = _true(waiting[words])
            if found:
                say(f"ok    {words}")
                del waiting[words]
        if waiting:
            time.sleep(1)
    for words in waiting:
        say(f"FAIL  {words}: {why.get(words, 'not asked in time')}")
    return 1 if waiting else 0


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(run(dict(os.environ), _print))
