"""All incidents by name."""

from __future__ import annotations

import difflib

from incidents.agents import AGENT_INCIDENTS
from incidents.budgets import BudgetIncident
from incidents.configuration import ConfigurationIncident
from incidents.faults import Fault, FaultIncident
from incidents.model import Incident, IncidentError
from incidents.platform import PLATFORM
from incidents.programs import ProgramDownIncident

# Many series on both sides of a match: an error that only the evaluation finds.
_FAILING_RULE = """\
groups:
- name: incident
  rules:
  - record: job:up:incident
    expr: up * on () up
"""

_ALL: tuple[Incident, ...] = (
    FaultIncident(
        "tool-outage",
        "The appliance is down, so the security agent's tools fail.",
        ("AgentToolFailureRatioHigh",),
        (Fault("appliance", "unavailable"),),
    ),
    FaultIncident(
        "handoff-loop",
        "Supervisor and specialists send each other the same turn, again and again.",
        ("AgentHandoffLoop",),
        (Fault("model-server", "handoff-loop"),),
    ),
    FaultIncident(
        "guardrail-storm",
        "Many people try to break the guardrails.",
        ("AgentGuardrailDenySurge",),
        (Fault("traffic", "guardrail-storm", {"probability": 0.8, "rate_factor": 2.0}),),
    ),
    FaultIncident(
        "self-rag-escalation",
        "No passage is found relevant any more, so answers are escalated.",
        ("AgentSelfRagEscalationSurge",),
        (Fault("model-server", "irrelevant-retrieval"),),
    ),
    FaultIncident(
        "provider-rate-limit",
        "The model provider answers most calls with 429.",
        ("LlmProviderRateLimited",),
        (Fault("model-server", "rate-limit", {"probability": 0.9, "retry_after_seconds": 1.0}),),
    ),
    FaultIncident(
        "slow-model",
        "The model takes three seconds longer for each answer.",
        ("LlmLatencyHigh",),
        (Fault("model-server", "slow", {"extra_seconds": 3.0}),),
    ),
    FaultIncident(
        "cost-spike",
        "Each model call uses twelve times the tokens.",
        ("LlmCostSpike", "LlmTokenSurge"),
        (Fault("model-server", "expensive", {"factor": 12.0}),),
    ),
    FaultIncident(
        "not-ready-with-failing-chats",
        "The model provider is down: the security agent is not ready and its chats fail.",
        ("AgentReadinessChatFailureCorrelation", "LlmErrorRateHigh"),
        (Fault("model-server", "server-error", {"status": 503}),),
    ),
    ProgramDownIncident(
        "collector-down",
        "The collector is away; the agents must keep their telemetry until it is back.",
        ("CollectorDown",),
        "collector",
    ),
    ProgramDownIncident(
        "store-down",
        "The ledger is away; the collector must keep what is meant for it.",
        ("LedgerDown", "TelemetryBackendUnreachable"),
        "ledger",
    ),
)

# Of spending, and of the watch itself: nothing that a demo would open with.
_FURTHER: tuple[Incident, ...] = (
    BudgetIncident(
        "budgets-spent",
        "Today's budget is spent twice over and this month's nearly.",
        ("LlmBudgetExceeded", "LlmBudgetNearlySpent"),
        {"day": 2.0, "month": 0.84},
    ),
    FaultIncident(
        "unpriced-model",
        "The provider answers with a model that no price list knows.",
        ("LlmTokensUnpriced",),
        (Fault("model-server", "renamed", {"probability": 0.5, "name": "orchid-1-preview"}),),
    ),
    FaultIncident(
        "uncounted-answers",
        "Half of the answers come without their token counts.",
        ("LlmUsageMissing",),
        (Fault("model-server", "uncounted", {"probability": 0.5}),),
    ),
    ConfigurationIncident(
        "configuration-refused",
        "Alertmanager gets a configuration that it refuses, and goes on with the old one.",
        ("ConfigReloadFailed",),
        "alertmanager",
        "etc/midwatch/alertmanager/config/alertmanager.yml",
        "\nno_such_setting: of an incident\n",
    ),
    ConfigurationIncident(
        "failing-rule",
        "Somebody adds a rule that Prometheus takes and can not evaluate.",
        ("PrometheusRuleFailures",),
        "prometheus",
        "etc/midwatch/prometheus/rules/incident.rules.yaml",
        _FAILING_RULE,
    ),
    *PLATFORM,
    *AGENT_INCIDENTS,
)

# What a demo can open with: each breaks the agents or what they need.
INCIDENTS: dict[str, Incident] = {incident.name: incident for incident in _ALL}
FURTHER_INCIDENTS: dict[str, Incident] = {incident.name: incident for incident in _FURTHER}
ALL_INCIDENTS: dict[str, Incident] = {**INCIDENTS, **FURTHER_INCIDENTS}


def find_incident(name: str) -> Incident:
    """Return the incident of that name.

    Raises:
        IncidentError: There is none; the message names the nearest ones, or all.
    """
    incident = ALL_INCIDENTS.get(name)
    if incident is not None:
        return incident
    near = difflib.get_close_matches(name, ALL_INCIDENTS, n=3, cutoff=0.5)
    if near:
        raise IncidentError(f"there is no incident {name!r}; did you mean {' or '.join(near)}?")
    raise IncidentError(f"there is no incident {name!r}; there are {', '.join(ALL_INCIDENTS)}")
