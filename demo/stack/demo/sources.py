"""Reads what the programs of the stack know."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx

from stack.client import StackClient

_ANSWER_SECONDS = 5.0


class Sources:
    """Asks Prometheus, the ledger, Tempo, the sinks, the load driver, and reads the event lines.

    Args:
        client: of the running stack.
    """

    def __init__(self, client: StackClient) -> None:
        self._client = client
        self._http = httpx.Client(timeout=_ANSWER_SECONDS, trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def has(self, program: str) -> bool:
        """Return whether the stack runs a program."""
        return program in self._client.record.programs

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the samples of an instant query; a refused query is an error of ours."""
        answer = self._get("prometheus", "/api/v1/query", {"query": expression})
        answer.raise_for_status()
        result: list[dict[str, Any]] = answer.json()["data"]["result"]
        return result

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that Prometheus knows now, pending or firing."""
        answer = self._get("prometheus", "/api/v1/alerts", {})
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()["data"]["alerts"]
        return found

    def ledger_trace(self, trace_id: str) -> dict[str, Any] | None:
        """Return a trace as the ledger has it, None while it has none."""
        answer = self._get("ledger", f"/monitoring/traces/{trace_id}", {})
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        answer.raise_for_status()
        traces: list[dict[str, Any]] = answer.json()["traces"]
        return traces[0] if traces else None

    def tempo_span_count(self, trace_id: str) -> int:
        """Return how many spans of a trace Tempo has."""
        answer = self._get("tempo", f"/api/v2/traces/{trace_id}", {})
        if answer.status_code == httpx.codes.NOT_FOUND:
            return 0
        answer.raise_for_status()
        body = answer.json()
        batches = body.get("trace", body).get("resourceSpans", [])
        return sum(
            len(scope.get("spans", [])) for batch in batches for scope in batch["scopeSpans"]
        )

    def messages(self, sink: str) -> list[dict[str, Any]]:
        """Return what a sink has received."""
        answer = self._get(sink, "/messages", {})
        answer.raise_for_status()
        messages: list[dict[str, Any]] = answer.json()["messages"]
        return messages

    def load(self) -> dict[str, Any]:
        """Return the load driver's figures."""
        answer = self._get("traffic", "/control/state", {})
        answer.raise_for_status()
        summary: dict[str, Any] = answer.json()["summary"]
        return summary

    def event_files(self) -> list[Path]:
        """Return the files of event lines that agents have written."""
        programs = Path(self._client.record.directory) / "programs"
        return sorted(programs.glob("*/**/agent-traces.jsonl"))

    def events(self) -> Iterable[dict[str, Any]]:
        """Yield the event lines that are complete."""
        for path in self.event_files():
            for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
                if line.endswith("\n"):
                    yield json.loads(line)

    def _get(self, program: str, path: str, parameters: dict[str, str]) -> httpx.Response:
        return self._http.get(self._client.url(program) + path, params=parameters)
