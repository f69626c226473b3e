"""What incidents must set off in a stack of the suite, and how such a stack is set."""

from __future__ import annotations

from incidents.model import Incident
from stack.demo.run import PAGE_SECONDS

from tests.bench.incident_report import LATE, WAYS, Alarm
from tests.bench.incident_times import promised_seconds

# Only that a group's *next* message comes sooner: each incident shall begin with no group open.
# And that nobody's answer is missed after seconds, not after a quarter of an hour.
ESCALATION_SECONDS = 20.0
_SUFFIX = "Escalated"
_ESCALATED = (
    "AgentErrorBudgetBurn",
    "AgentToolFailureRatioHigh",
    "AgentReadinessChatFailureCorrelation",
    "LlmErrorRateHigh",
    "CollectorDown",
)
# So that a queue is full after minutes, and the spool of those whose telemetry is then refused is
# large, not after hours.
QUEUE_SIZE = "3Mi"
SPOOL_BYTES = 500_000
SETTINGS = (
    "alertmanager.timing.groupInterval=20s",
    "alertmanager.timing.page.groupInterval=20s",
    f"collector.queue.size={QUEUE_SIZE}",
    f"prometheus.thresholds.SpoolGrowing={SPOOL_BYTES}",
    *(f"prometheus.thresholds.{name}{_SUFFIX}={ESCALATION_SECONDS:g}" for name in _ESCALATED),
)


def alarms_of(incident: Incident) -> list[Alarm]:
    """What must fire: what the incident says, and the escalations of what nobody acknowledges.

    An escalation's time begins when the ledger has the alert, which is when the page is out.
    """
    late = PAGE_SECONDS + ESCALATION_SECONDS
    escalated = [name for name in incident.alerts if name in _ESCALATED]
    ways, told_late = WAYS.get(incident.name, {}), LATE.get(incident.name, set())
    return [
        Alarm(name, promised_seconds(name), ways=ways.get(name), late=name in told_late)
        for name in incident.alerts
    ] + [Alarm(f"{name}{_SUFFIX}", promised_seconds(name) + late) for name in escalated]
