"""Pipeline health, continued: inside the agents' processes, and the ledger's own service."""

from __future__ import annotations

from builders.promql import NS as _NS
from builders.promql import RANGE as _RANGE
from builders.promql import RATE as _RATE
from builders.promql import per_second, quantile
from builders.spec import Panel, Query, Row

_CREATED = f'sum by (service_name) (rate(midwatch_spans_total{{{_NS},result="created"}}{_RATE}))'
_DROPPED = f'sum by (service_name) (rate(midwatch_spans_total{{{_NS},result="dropped"}}{_RATE}))'

DELIVERY = Row(
    40,
    "In the agents: delivery",
    (
        Panel(
            41,
            "Spans kept",
            "Share of the created spans that were not dropped; sampled out is not dropped.",
            "percentunit",
            (Query(f"1 - ({_DROPPED} or 0 * {_CREATED}) / ({_CREATED} > 0)", "{{service_name}}"),),
            threshold=0.95,
            worse="below",
        ),
        Panel(
            42,
            "What waits on the agents' disks",
            "Bytes of telemetry that could not be sent yet; they leave when the way is free.",
            "bytes",
            (Query(f"sum by (service_name) (midwatch_spool_bytes{{{_NS}}})", "{{service_name}}"),),
            no_value="nothing waits",
        ),
        Panel(
            43,
            "Breakers of exports",
            "0 sends, 1 tries again, 2 has given up for now: the worst of a service's processes.",
            "short",
            (
                Query(
                    f"max by (service_name) (midwatch_export_breaker_state{{{_NS}}})",
                    "{{service_name}}",
                ),
            ),
            threshold=2,
        ),
        Panel(
            44,
            "Traces kept by sampling",
            "The lowest ratio of new turns that are traced; metrics count every turn.",
            "percentunit",
            (
                Query(
                    f"min by (service_name) (midwatch_sampling_ratio{{{_NS}}})", "{{service_name}}"
                ),
            ),
        ),
        Panel(
            45,
            "What became of deliveries",
            "Records a second, by destination and what became of them.",
            "short",
            (
                Query(
                    per_second("midwatch_delivery_items_total", "destination, result", _NS),
                    "{{destination}} {{result}}",
                ),
            ),
        ),
        Panel(
            46,
            "Why spans are dropped",
            "Dropped spans a second, by reason.",
            "short",
            (
                Query(
                    per_second("midwatch_spans_total", "reason", f'{_NS},result="dropped"'),
                    "{{reason}}",
                ),
            ),
            no_value="none is dropped",
        ),
    ),
)

CARE = Row(
    50,
    "In the agents: cost and care",
    (
        Panel(
            51,
            "Time that telemetry takes of a turn",
            "On average, and in 95 % of the turns at most (S5 asks for less than 100 ms).",
            "s",
            (
                Query(
                    quantile("midwatch_turn_overhead_seconds", "service_name", _NS),
                    "{{service_name}}: 95 % of the turns",
                    exemplar=True,
                ),
                Query(
                    f"service:midwatch_turn_overhead_seconds:mean5m{{{_NS}}}",
                    "{{service_name}}: on average",
                ),
            ),
            threshold=0.1,
        ),
        Panel(
            52,
            "Share of turns' time that telemetry takes",
            "Telemetry's own time as a share of the time of the turns (S2 asks for under 5 %).",
            "percentunit",
            (
                Query(
                    per_second("midwatch_overhead_seconds_total", "service_name", _NS)
                    + " / ("
                    + per_second("agent_turn_latency_seconds_sum", "service_name", _NS)
                    + " > 0)",
                    "{{service_name}}",
                ),
            ),
            threshold=0.05,
        ),
        Panel(
            53,
            "Redactions",
            "Personal data and secrets masked, a second, by kind.",
            "short",
            (Query(per_second("midwatch_redactions_total", "kind", _NS), "{{kind}}"),),
            no_value="nothing to mask",
        ),
        Panel(
            54,
            "Labels over their bound",
            "Values a second that became `other`, by metric and label.",
            "short",
            (
                Query(
                    per_second("midwatch_label_overflow_total", "metric, label", _NS),
                    "{{metric}} {{label}}",
                ),
            ),
            no_value="none",
        ),
        Panel(
            55,
            "Errors inside telemetry",
            "Errors that the shim kept away from the application, in the time shown, by place.",
            "short",
            (
                Query(
                    "sum by (service_name, where) "
                    f"(increase(midwatch_internal_errors_total{{{_NS}}}{_RANGE}))"
                ),
            ),
            kind="table",
            no_value="none",
            renamed_columns=(("service_name", "Service"), ("where", "Place"), ("Value", "Errors")),
        ),
        Panel(
            56,
            "Libraries not instrumented as they should be",
            "Present and not wrapped, or wrapped by a rival as well; run `midwatch doctor` there.",
            "short",
            (
                Query(
                    "max by (service_name, library, state) "
                    f'(midwatch_instrumented{{{_NS},state=~"failed|rival"}}) > 0'
                ),
            ),
            kind="table",
            no_value="all is well",
            hidden_columns=("Value",),
            renamed_columns=(
                ("service_name", "Service"),
                ("library", "Library"),
                ("state", "State"),
            ),
        ),
    ),
)

LEDGER = Row(
    60,
    "The ledger",
    (
        Panel(
            61,
            "Records taken",
            "Records a second that the ledger has committed, and those that it refused.",
            "short",
            (
                Query(f"sum(rate(midwatch_ledger_ingested_total{_RATE}))", "taken"),
                Query(
                    f"sum by (reason) (rate(midwatch_ledger_rejected_total{_RATE}))",
                    "refused: {{reason}}",
                ),
            ),
            no_value="no ledger",
        ),
        Panel(
            62,
            "Duration of requests (95th percentile)",
            "95 % of the requests to the ledger are faster, by route.",
            "s",
            (
                Query(
                    "histogram_quantile(0.95, sum by (route, le) "
                    f"(rate(midwatch_ledger_request_latency_seconds_bucket{_RATE})))",
                    "{{route}}",
                    exemplar=True,
                ),
            ),
            no_value="no ledger",
        ),
        Panel(
            63,
            "Minutes to be summed anew",
            "Minutes whose sums lag behind their records; grows when the ledger can't keep up.",
            "short",
            (Query("max(midwatch_ledger_stale_minutes)", "minutes"),),
            no_value="no ledger",
        ),
        Panel(
            64,
            "Alerts that nobody has acknowledged",
            "How long each firing alert has waited for somebody.",
            "s",
            (
                Query(
                    "max by (alert, severity, agent) (time() - "
                    "midwatch_ledger_alert_unacknowledged_since_timestamp_seconds)",
                    "{{alert}} {{agent}}",
                ),
            ),
            no_value="none waits",
        ),
        Panel(
            65,
            "Live clients",
            "Clients of the live WebSocket, which each replica limits.",
            "short",
            (Query("sum(midwatch_ledger_live_clients)", "clients"),),
            no_value="no ledger",
        ),
    ),
)
