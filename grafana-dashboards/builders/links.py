"""Links of panels: to traces in Tempo, to another board, to the ledger.

`${...}` stands in them for what Grafana knows when somebody clicks.
"""

from __future__ import annotations

import json
import re
from urllib.parse import quote

from builders.thresholds import ledger_root

FIELD_AGENT = "${__field.labels.agent}"
FIELD_SERVICE = "${__field.labels.service_name}"
FAILED = "status=error"

_KEPT = re.compile(r"(\$\{[^}]+\})")
_RANGE = "from=${__from}&to=${__to}"


def explore(traceql: str) -> str:
    """Grafana Explore with a TraceQL search over the time that the board shows."""
    panes = {
        "traces": {
            "datasource": "tempo",
            "queries": [
                {"refId": "A", "queryType": "traceql", "query": traceql, "limit": 50},
            ],
            "range": {"from": "${__from}", "to": "${__to}"},
        }
    }
    text = json.dumps(panes, separators=(",", ":"), sort_keys=True)
    return "/explore?schemaVersion=1&panes=" + "".join(
        part if _KEPT.fullmatch(part) else quote(part, safe="") for part in _KEPT.split(text)
    )


def traces(*conditions: str) -> tuple[str, str]:
    """A link to the traces that have a span of which all conditions hold."""
    return "Traces", explore("{" + " && ".join(conditions) + "}")


def of_agent(agent: str = FIELD_AGENT) -> str:
    """The TraceQL condition that a span is of an agent."""
    return f'span.gen_ai.agent.name="{agent}"'


def of_service(service: str = FIELD_SERVICE) -> str:
    """The TraceQL condition that a span is of a service."""
    return f'resource.service.name="{service}"'


def board(uid: str, title: str, **variables: str) -> tuple[str, str]:
    """A link to another board at the same time, with values for its variables."""
    chosen = "".join(f"&var-{name}={value}" for name, value in variables.items())
    return title, f"/d/{uid}?{_RANGE}{chosen}"


def ledger_trace(trace_id: str) -> tuple[str, str]:
    """A link to everything that the ledger keeps of a trace."""
    return "Ledger", f"{ledger_root()}/monitoring/traces/{trace_id}"
