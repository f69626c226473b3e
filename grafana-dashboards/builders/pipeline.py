"""Pipeline health: can the other boards be believed?"""

from __future__ import annotations

from builders.pipeline_sources import CARE, DELIVERY, LEDGER
from builders.promql import NAMESPACE, marks
from builders.promql import NS as _NS
from builders.spec import Board, Panel, Query, Row

UID = "midwatch-pipeline"

_RATE = "[$__rate_interval]"


def _collector(name: str) -> str:
    """A counter of the collector, whose reader writes `_total` or does not."""
    return f'{{__name__=~"{name}(_total)?"}}'


_COMPONENTS = Row(
    10,
    "Components",
    (
        Panel(
            11,
            "Which components answer?",
            "Replicas that answer Prometheus, by component (CollectorDown, LedgerDown).",
            "short",
            (Query("job:up:sum", "{{job}}"),),
            width=12,
            no_value="no component is scraped",
        ),
        Panel(
            12,
            "Spans by what became of them",
            "Spans a second in the agents' own processes: exported, sampled out, spooled, dropped.",
            "short",
            (Query(f"sum by (result) (rate(midwatch_spans_total{{{_NS}}}{_RATE}))", "{{result}}"),),
            width=12,
        ),
    ),
)

_COLLECTOR = Row(
    20,
    "Collector",
    (
        Panel(
            21,
            "How full are the queues?",
            "Share of the sending queue in use, by destination (CollectorQueueFilling).",
            "percentunit",
            (Query("job_exporter:otelcol_exporter_queue:ratio", "{{exporter}} {{data_type}}"),),
            no_value="no queue",
        ),
        Panel(
            22,
            "What waits",
            "Batches that have waited for 30 s, by destination; with nothing sent beside them the "
            "destination is unreachable (TelemetryBackendUnreachable).",
            "short",
            (Query("job_exporter:otelcol_exporter_queue:min30s", "{{exporter}} {{data_type}}"),),
            no_value="nothing waits",
        ),
        Panel(
            23,
            "What is lost",
            "Records a second that no store took and no queue kept (CollectorDataLost).",
            "short",
            (Query("job:otelcol_lost:rate1m", "{{job}}"),),
            no_value="nothing is lost",
        ),
        Panel(
            24,
            "What is delivered",
            "Records a second that the destinations took.",
            "short",
            (Query("job_exporter:otelcol_exporter_sent:rate1m", "{{exporter}} {{data_type}}"),),
            width=12,
        ),
        Panel(
            25,
            "What arrives",
            "Spans a second that the collector accepted, and those that it refused.",
            "short",
            (
                Query(
                    f"sum(rate({_collector('otelcol_receiver_accepted_spans')}{_RATE}))", "accepted"
                ),
                Query(
                    f"sum(rate({_collector('otelcol_receiver_refused_spans')}{_RATE}))", "refused"
                ),
            ),
            width=12,
        ),
    ),
)

_ALERTING = Row(
    30,
    "Alerting and the ledger",
    (
        Panel(
            31,
            "Failed evaluations of rules",
            "In 5 minutes, by group (PrometheusRuleFailures).",
            "short",
            (
                Query(
                    "sum by (rule_group) (increase(prometheus_rule_evaluation_failures_total[5m]))",
                    "{{rule_group}}",
                ),
            ),
            no_value="no rule fails",
        ),
        Panel(
            32,
            "Failed notifications",
            "In 5 minutes, by integration (AlertmanagerNotificationsFailing).",
            "short",
            (
                Query(
                    "sum by (integration) (increase(alertmanager_notifications_failed_total[5m]))",
                    "{{integration}}",
                ),
            ),
            no_value="none fails",
        ),
        Panel(
            33,
            "Age of what the ledger commits",
            "How old the newest record was when it was committed.",
            "s",
            (Query("max(midwatch_ledger_lag_seconds)", "lag"),),
            no_value="no ledger",
        ),
    ),
)

PIPELINE = Board(
    UID,
    "Midwatch / Pipeline health",
    "Is the watch itself awake: collector, stores, rules, messages?",
    (NAMESPACE,),
    (_COMPONENTS, _COLLECTOR, _ALERTING, DELIVERY, CARE, LEDGER),
    marks(_NS),
)
