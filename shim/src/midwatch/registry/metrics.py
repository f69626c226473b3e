"""Every metric of Midwatch: the agents' own, the shim's and the ledger's."""

from __future__ import annotations

from midwatch.registry import attributes as a
from midwatch.registry.llm_metrics import LLM_METRICS
from midwatch.registry.model import Attribute, Instrument, Metric

_COUNTER = Instrument.COUNTER
_HISTOGRAM = Instrument.HISTOGRAM

_S1 = "S1 (cost and feedback)"
_S2 = "S2 (call monitoring)"
_S3 = "S3 (multi-agent observability)"
_S5 = "S5 (simulation tracing)"

_TOOL_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_TURN_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0, 300.0)
_STEPS = (1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0, 34.0, 55.0)
_COST_USD = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
_CONFIDENCE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def _each(attribute: Attribute) -> tuple[tuple[tuple[str, str], ...], ...]:
    """The zero series of a metric with one attribute of known values."""
    return tuple(((attribute.name, value),) for value in attribute.values)


AGENT_ROUTE = Metric(
    "agent.route",
    _COUNTER,
    "{route}",
    "Routes, by the agent chosen.",
    (a.SELECTED_AGENT,),
    origin=_S3,
)
AGENT_HANDOFF = Metric(
    "agent.handoff",
    _COUNTER,
    "{handoff}",
    "Handoffs from one agent to another.",
    (a.FROM_AGENT, a.TO_AGENT),
    origin=_S3,
)
AGENT_HANDOFF_LOOPS = Metric(
    "agent.handoff.loops",
    _COUNTER,
    "{loop}",
    "Handoffs that repeat within a turn what was handed over before.",
    (a.FROM_AGENT, a.TO_AGENT),
    origin=_S3,
)
AGENT_TOOL_CALLS = Metric(
    "agent.tool.calls",
    _COUNTER,
    "{call}",
    "Tool calls, by how they ended.",
    (a.AGENT, a.TOOL, a.TOOL_STATUS),
    siblings=_each(a.TOOL_STATUS),
    origin=_S3,
)
AGENT_TOOL_LATENCY = Metric(
    "agent.tool.latency",
    _HISTOGRAM,
    "s",
    "How long tool calls took.",
    (a.AGENT, a.TOOL),
    _TOOL_SECONDS,
    origin=_S3,
)
AGENT_GUARDRAIL = Metric(
    "agent.guardrail",
    _COUNTER,
    "{decision}",
    "Decisions of guardrails.",
    (a.GATE, a.GUARDRAIL_DECISION, a.REASON),
    origin=_S3,
)
AGENT_SELFRAG_DECISION = Metric(
    "agent.selfrag.decision",
    _COUNTER,
    "{decision}",
    "Decisions of self-RAG after grading what it retrieved.",
    (a.SELFRAG_DECISION, a.REASON),
    origin=_S3,
)
AGENT_TURNS = Metric(
    "agent.turns",
    _COUNTER,
    "{turn}",
    "Turns, by how they ended.",
    (a.ENTRY_AGENT, a.TURN_OUTCOME),
    siblings=_each(a.TURN_OUTCOME),
    origin=_S3,
)
AGENT_TURN_LATENCY = Metric(
    "agent.turn.latency", _HISTOGRAM, "s", "How long turns took.", (), _TURN_SECONDS, origin=_S3
)
AGENT_ACTIVE_TURNS = Metric(
    "agent.active_turns", Instrument.UP_DOWN_COUNTER, "{turn}", "Turns that run right now."
)
AGENT_TURN_STEPS = Metric(
    "agent.turn.steps",
    _HISTOGRAM,
    "{step}",
    "Agent invocations of a turn.",
    (a.ENTRY_AGENT,),
    _STEPS,
)
AGENT_TURN_LLM_CALLS = Metric(
    "agent.turn.llm_calls",
    _HISTOGRAM,
    "{call}",
    "Model calls of a turn.",
    (a.ENTRY_AGENT,),
    _STEPS,
)
AGENT_TURN_COST_USD = Metric(
    "agent.turn.cost_usd",
    _HISTOGRAM,
    "{USD}",
    "Cost of a turn in US dollars.",
    (a.ENTRY_AGENT,),
    _COST_USD,
)
AGENT_INVOCATIONS = Metric(
    "agent.invocations",
    _COUNTER,
    "{invocation}",
    "Runs of an agent, by how they ended.",
    (a.AGENT, a.INVOCATION_STATUS),
    siblings=_each(a.INVOCATION_STATUS),
    origin=_S2,
)
AGENT_INVOCATION_LATENCY = Metric(
    "agent.invocation.latency",
    _HISTOGRAM,
    "s",
    "How long an agent ran.",
    (a.AGENT,),
    _TURN_SECONDS,
    origin=_S2,
)
AGENT_DECISIONS = Metric(
    "agent.decisions",
    _COUNTER,
    "{decision}",
    "Decisions of agents.",
    (a.AGENT, a.AGENT_DECISION),
    origin=_S5,
)
AGENT_DECISION_CONFIDENCE = Metric(
    "agent.decision.confidence",
    _HISTOGRAM,
    "1",
    "How sure agents were of their decisions, from 0 to 1.",
    (a.AGENT, a.AGENT_DECISION),
    _CONFIDENCE,
    origin=_S5,
)
AGENT_MESSAGES = Metric(
    "agent.messages",
    _COUNTER,
    "{message}",
    "Messages between agents.",
    (a.FROM_AGENT, a.TO_AGENT),
    origin=_S5,
)
AGENT_COLLABORATIONS = Metric(
    "agent.collaborations",
    _COUNTER,
    "{collaboration}",
    "Collaborations of agents, by how they ended.",
    (a.WORKFLOW_TYPE, a.COLLABORATION_OUTCOME),
    origin=_S5,
)
AGENT_CONFLICTS = Metric(
    "agent.conflicts",
    _COUNTER,
    "{conflict}",
    "Conflicts between agents, by how they were settled.",
    (a.CONFLICT_TYPE, a.RESOLUTION),
    origin=_S5,
)
AGENT_OUTCOMES = Metric(
    "agent.outcomes",
    _COUNTER,
    "{outcome}",
    "Business outcomes of sessions.",
    (a.OUTCOME, a.SUCCESS),
    origin=_S2,
)
AGENT_FEEDBACK = Metric(
    "agent.feedback",
    _COUNTER,
    "{feedback}",
    "Feedback of users.",
    (a.FEEDBACK_KIND, a.FEEDBACK_VALUE),
    origin=_S1,
)
AGENT_PROMPT_USES = Metric(
    "agent.prompt.uses",
    _COUNTER,
    "{use}",
    "Uses of managed prompts.",
    (a.PROMPT, a.VERSION, a.VARIANT),
    origin=_S1,
)

AGENT_METRICS: tuple[Metric, ...] = (
    AGENT_ROUTE,
    AGENT_HANDOFF,
    AGENT_HANDOFF_LOOPS,
    AGENT_TOOL_CALLS,
    AGENT_TOOL_LATENCY,
    AGENT_GUARDRAIL,
    AGENT_SELFRAG_DECISION,
    AGENT_TURNS,
    AGENT_TURN_LATENCY,
    AGENT_ACTIVE_TURNS,
    AGENT_TURN_STEPS,
    AGENT_TURN_LLM_CALLS,
    AGENT_TURN_COST_USD,
    AGENT_INVOCATIONS,
    AGENT_INVOCATION_LATENCY,
    *LLM_METRICS,
    AGENT_DECISIONS,
    AGENT_DECISION_CONFIDENCE,
    AGENT_MESSAGES,
    AGENT_COLLABORATIONS,
    AGENT_CONFLICTS,
    AGENT_OUTCOMES,
    AGENT_FEEDBACK,
    AGENT_PROMPT_USES,
)
"""The agents' own metrics, in the order in which they are documented."""
