"""Further incidents of the agents: what their teams, and those who watch the telemetry, are told.

Some alerts compare with earlier hours and days: their incidents need a stack that has a past, its
own or one that `python -m incidents past` gives it.
"""

from __future__ import annotations

from incidents.background import ProgramRunsIncident
from incidents.budgets import ForecastIncident
from incidents.faults import Fault, FaultIncident
from incidents.model import Incident
from incidents.packages import PackageIncident
from incidents.spools import SpoolIncident

# An instrumentation that a package brings along, and that does not fit: it fails as it begins.
_BROKEN_PACKAGE = {
    "orchid_telemetry/__init__.py": """\
class OrchidInstrumentor:
    def instrument(self):
        raise RuntimeError("orchid 3 has no attribute to wrap")
""",
    "orchid_telemetry-3.0.dist-info/METADATA": """\
Metadata-Version: 2.1
Name: orchid-telemetry
Version: 3.0
""",
    "orchid_telemetry-3.0.dist-info/entry_points.txt": """\
[opentelemetry_instrumentor]
orchid = orchid_telemetry:OrchidInstrumentor
""",
}

AGENT_INCIDENTS: tuple[Incident, ...] = (
    FaultIncident(
        "one-sided-routing",
        "The supervisor sends every turn to the same specialist, whatever is asked.",
        ("AgentRouteSkew",),
        (Fault("model-server", "one-sided-routing"),),
    ),
    FaultIncident(
        "sluggish-model",
        "Each answer of the model takes a little longer, and a turn needs many of them.",
        ("AgentTurnLatencyHigh",),
        (Fault("model-server", "slow", {"extra_seconds": 1.5}),),
    ),
    FaultIncident(
        "failing-turns",
        "Three of four model calls fail, so that hardly a turn ends well.",
        ("AgentErrorBudgetBurn",),
        (
            Fault(
                "model-server",
                "server-error",
                {"status": 500, "probability": 0.75, "skill": "security"},
            ),
        ),
    ),
    FaultIncident(
        "builds-as-models",
        "The provider names another build of its model in each answer.",
        ("MetricLabelOverflow",),
        (
            Fault(
                "model-server",
                "renamed",
                {"probability": 0.5, "name": "orchid-1-build", "builds": 5000},
            ),
        ),
    ),
    PackageIncident(
        "broken-instrumentation",
        "The security agent is deployed with an instrumentation that fails as it begins.",
        ("InstrumentationFailed",),
        "security-agent",
        _BROKEN_PACKAGE,
    ),
    ForecastIncident(
        "budget-will-not-last",
        "The supervisor spends its budget faster than the period passes.",
        ("LlmBudgetForecastExceeded",),
        "supervisor",
        1.25,
    ),
    ProgramRunsIncident(
        "starved-agent",
        "The security agent's CPU limit is far too low: it stands still most of the time.",
        ("TracingOverheadHigh",),
        "starved",
        ("security-agent", "--run", "0.02", "--pause", "0.1"),
    ),
    SpoolIncident(
        "telemetry-not-kept",
        "The security agent's disk takes nothing while the collector is away for three minutes.",
        ("TraceSuccessLow",),
        "security-agent",
        "files/var/lib/midwatch/security-agent/spool",
        180.0,
    ),
    FaultIncident(
        "unhappy-people",
        "People are content with no answer any more, and say so.",
        ("AgentNegativeFeedbackSurge", "AgentOutcomeDrop"),
        (Fault("traffic", "unhappy-people"),),
    ),
    FaultIncident(
        "people-away",
        "Hardly anybody comes any more.",
        ("AgentThroughputDrop",),
        (Fault("traffic", "people-away", {"probability": 0.95}),),
    ),
    FaultIncident(
        "simulation-unasked",
        "Nobody asks the simulation for anything any more, unlike yesterday.",
        ("AgentSilent",),
        (Fault("traffic", "simulation-unasked"),),
    ),
    FaultIncident(
        "unlike-other-days",
        "Another model is behind the same name: slower, dearer, and it sends turns elsewhere.",
        (
            "AgentCostAnomaly",
            "AgentTokensAnomaly",
            "AgentLatencyAnomaly",
            "AgentRouteMixAnomaly",
            "AgentHandoffAnomaly",
        ),
        (
            Fault("model-server", "expensive", {"factor": 8.0}),
            Fault("model-server", "slow", {"extra_seconds": 1.5}),
            Fault("model-server", "one-sided-routing"),
            # The one that gets each turn hands it back.
            Fault("model-server", "handoff-loop", {"skill": "security.monitor"}),
        ),
    ),
)

PAST_NEEDED = frozenset(
    {"unhappy-people", "people-away", "simulation-unasked", "unlike-other-days"}
)
"""The incidents that only a stack with a past tells of."""
