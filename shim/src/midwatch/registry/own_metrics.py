"""Every metric about the service and about Midwatch itself: the shim's and the ledger's."""

from __future__ import annotations

from midwatch.registry import attributes as a
from midwatch.registry.model import Instrument, Metric

_COUNTER = Instrument.COUNTER
_GAUGE = Instrument.GAUGE
_HISTOGRAM = Instrument.HISTOGRAM

_S2 = "S2 (call monitoring)"
_S3 = "S3 (multi-agent observability)"
_S5 = "S5 (simulation tracing)"

_OVERHEAD_SECONDS = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)
_REQUEST_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

AGENT_BUDGET_USD = Metric(
    "agent.budget_usd",
    _GAUGE,
    "{USD}",
    "The budget in US dollars.",
    (a.SCOPE, a.SCOPE_VALUE, a.PERIOD),
    origin=_S2,
)
AGENT_BUDGET_SPENT_USD = Metric(
    "agent.budget.spent_usd",
    _GAUGE,
    "{USD}",
    "What of the budget is spent, in US dollars.",
    (a.SCOPE, a.SCOPE_VALUE, a.PERIOD),
    origin=_S2,
)
CHAT_REQUESTS = Metric(
    "chat.requests", _COUNTER, "{request}", "Requests to the chat routes.", origin=_S3
)
CHAT_FAILURES = Metric(
    "chat.failures",
    _COUNTER,
    "{request}",
    "Requests to the chat routes that ended in a server error.",
    origin=_S3,
)
SERVICE_READY = Metric(
    "service.ready",
    _GAUGE,
    "{status}",
    "1 if the last answer of the readiness route was a success, else 0.",
    origin=_S3,
)
SPANS = Metric(
    "midwatch.spans",
    _COUNTER,
    "{span}",
    "Spans, by what became of them: created are the sampled out, exported, spooled, dropped and in "
    "flight; spooled are the replayed, those dropped for a reason that begins with `spool_`, and "
    "those that wait on disk.",
    (a.SPAN_RESULT, a.SPAN_REASON),
    origin=_S5,
)
DELIVERY_ITEMS = Metric(
    "midwatch.delivery.items",
    _COUNTER,
    "{item}",
    "Spans, events and data points, by what became of them at each receiver.",
    (a.DESTINATION, a.DELIVERED_SIGNAL, a.DELIVERY_RESULT, a.SPAN_REASON),
    origin=_S5,
)
SPOOL_BYTES = Metric(
    "midwatch.spool", _GAUGE, "By", "Bytes that wait in the spool on disk.", origin=_S2
)
EXPORT_BREAKER_STATE = Metric(
    "midwatch.export.breaker_state",
    _GAUGE,
    "{state}",
    "The export's circuit breaker, of all receivers the worst: 0 closed, 1 half open, 2 open.",
    origin=_S5,
)
SAMPLING_RATIO = Metric(
    "midwatch.sampling_ratio", _GAUGE, "1", "The share of turns that is traced.", origin=_S5
)
OVERHEAD = Metric(
    "midwatch.overhead", _COUNTER, "s", "Time the shim spent in the application.", origin=_S2
)
TURN_OVERHEAD = Metric(
    "midwatch.turn.overhead",
    _HISTOGRAM,
    "s",
    "Time the shim spent in a turn.",
    (),
    _OVERHEAD_SECONDS,
    origin=_S2,
)
REDACTIONS = Metric(
    "midwatch.redactions",
    _COUNTER,
    "{redaction}",
    "Pieces of content that were redacted.",
    (a.REDACTION_KIND,),
    origin="S1 (cost and feedback)",
)
LABEL_OVERFLOW = Metric(
    "midwatch.label.overflow",
    _COUNTER,
    "{value}",
    "Label values that became `other` because the label's bound was reached.",
    (a.OVERFLOW_METRIC, a.OVERFLOW_LABEL),
)
INSTRUMENTED = Metric(
    "midwatch.instrumented",
    _GAUGE,
    "{library}",
    "1 for the state an instrumented library is in.",
    (a.LIBRARY, a.INSTRUMENTED_STATE),
)
INTERNAL_ERRORS = Metric(
    "midwatch.internal.errors",
    _COUNTER,
    "{error}",
    "Failures inside the shim, none of which reached the application.",
    (a.WHERE,),
)
LEDGER_INGESTED = Metric(
    "midwatch.ledger.ingested",
    _COUNTER,
    "{record}",
    "Records that the ledger committed.",
    (a.SIGNAL,),
    origin=_S2,
)
LEDGER_REJECTED = Metric(
    "midwatch.ledger.rejected",
    _COUNTER,
    "{record}",
    "Records that the ledger refused.",
    (a.SIGNAL, a.REJECT_REASON),
    origin=_S2,
)
LEDGER_LAG = Metric(
    "midwatch.ledger.lag",
    _GAUGE,
    "s",
    "The age of the newest record at the moment it was committed.",
    origin=_S2,
)
LEDGER_REQUEST_LATENCY = Metric(
    "midwatch.ledger.request.latency",
    _HISTOGRAM,
    "s",
    "How long the ledger's requests took.",
    (a.METHOD, a.ROUTE, a.HTTP_STATUS),
    _REQUEST_SECONDS,
    origin=_S2,
)
LEDGER_STALE_MINUTES = Metric(
    "midwatch.ledger.stale_minutes",
    _GAUGE,
    "{minute}",
    "Minutes whose sums the ledger has yet to make anew.",
    origin=_S2,
)
LEDGER_LIVE_CLIENTS = Metric(
    "midwatch.ledger.live_clients",
    _GAUGE,
    "{client}",
    "Clients of the live WebSocket that this ledger tells what is new.",
    origin=_S2,
)
LEDGER_ALERT_UNACKNOWLEDGED_SINCE = Metric(
    "midwatch.ledger.alert.unacknowledged_since_timestamp",
    _GAUGE,
    "s",
    "When an alert began that fires and that nobody has acknowledged, in Unix time.",
    (a.ALERT, a.SEVERITY, a.TEAM, a.ALERT_SERVICE, a.ALERT_AGENT),
    origin=_S2,
)

OWN_METRICS: tuple[Metric, ...] = (
    AGENT_BUDGET_USD,
    AGENT_BUDGET_SPENT_USD,
    CHAT_REQUESTS,
    CHAT_FAILURES,
    SERVICE_READY,
    SPANS,
    DELIVERY_ITEMS,
    SPOOL_BYTES,
    EXPORT_BREAKER_STATE,
    SAMPLING_RATIO,
    OVERHEAD,
    TURN_OVERHEAD,
    REDACTIONS,
    LABEL_OVERFLOW,
    INSTRUMENTED,
    INTERNAL_ERRORS,
    LEDGER_INGESTED,
    LEDGER_REJECTED,
    LEDGER_LAG,
    LEDGER_REQUEST_LATENCY,
    LEDGER_STALE_MINUTES,
    LEDGER_LIVE_CLIENTS,
    LEDGER_ALERT_UNACKNOWLEDGED_SINCE,
)
"""The metrics about the service, the shim and the ledger."""
