"""Incidents of the watch itself: what the people behind the platform are called for."""

from __future__ import annotations

from incidents.background import ProgramRunsIncident
from incidents.configuration import ConfigurationIncident
from incidents.faults import Fault, FaultIncident
from incidents.model import Incident
from incidents.programs import ProgramDownIncident
from incidents.quota import FullDiskIncident

# Each looks at every second of two weeks, and all of them are due every second.
_DEAR_RULES = """\
groups:
- name: incident-dear
  interval: 1s
  rules:
""" + "".join(
    f"  - record: job:absent:dear{number}\n    expr: count_over_time(absent(up)[14d:1s])\n"
    for number in range(20)
)

PLATFORM: tuple[Incident, ...] = (
    ProgramRunsIncident(
        "ledger-locked",
        "Another program holds the ledger's database for minutes: nothing is stored or summed up.",
        (
            "CollectorQueueFilling",
            "CollectorDataRefused",
            "ExportBreakerOpen",
            "SpoolGrowing",
            "LedgerSumsStale",
        ),
        "held_lock",
        ("--late-minutes", "180"),
        (("--ledger", "ledger"),),
    ),
    ProgramRunsIncident(
        "ledger-slow",
        "Another program holds the ledger's database again and again: it falls behind.",
        ("LedgerLagHigh",),
        "held_lock",
        ("--hold", "75"),
    ),
    ProgramRunsIncident(
        "nameless-spans",
        "A client sends spans whose trace has no id.",
        ("LedgerRecordsRejected",),
        "stray_client",
        ("nameless",),
        (("--collector", "collector"),),
    ),
    ProgramRunsIncident(
        "late-clock",
        "A client whose clock is a day late sends measurements, and Prometheus refuses them.",
        ("CollectorDataLost",),
        "stray_client",
        ("yesterday",),
        (("--collector", "collector"),),
    ),
    FaultIncident(
        "slack-down",
        "The appliance is down, and Slack answers each message with an error.",
        ("AlertmanagerNotificationsFailing",),
        (
            Fault("slack", "refused", {"times": 1_000_000, "status": 503}),
            Fault("appliance", "unavailable"),
        ),
    ),
    ProgramDownIncident(
        "alertmanager-down",
        "Alertmanager is away: Prometheus finds nobody to tell.",
        ("PrometheusNotificationsFailing", "ComponentDown"),
        "alertmanager",
    ),
    ConfigurationIncident(
        "dear-rules",
        "Somebody adds rules that take longer than the time to the next evaluation.",
        ("PrometheusEvaluationSlow",),
        "prometheus",
        "etc/midwatch/prometheus/rules/dear.rules.yaml",
        _DEAR_RULES,
    ),
    ProgramRunsIncident(
        "prompts-around-collector",
        "A client sends long prompts to Tempo itself, past the collector.",
        ("TempoAttributesTruncated",),
        "around_collector",
        (),
        (("--tempo", "tempo.otlp-grpc"),),
        ("tempo",),
    ),
    ProgramRunsIncident(
        "endless-trace",
        "An agent that comes to no end puts all it does into one trace.",
        ("TempoSpansDiscarded",),
        "stray_client",
        ("endless",),
        (("--collector", "collector"),),
        ("tempo",),
    ),
    FullDiskIncident(
        "disk-full",
        "The disk takes nothing more from Prometheus.",
        ("PrometheusStorageFailing",),
        "prometheus",
    ),
)
