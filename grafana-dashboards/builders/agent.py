"""One agent: what is wrong with it. Row by row the alerts of S3 and of the models."""

from __future__ import annotations

from builders import links
from builders.agent_models import MODELS_AND_COST
from builders.agent_usual import USUAL
from builders.agent_work import FEEDBACK, TRACES, WORK
from builders.promql import AGENT as _AGENT
from builders.promql import AGENTS, NAMESPACE, SERVICES, marks, quantile, spread
from builders.promql import RATE as _RATE
from builders.promql import SERVICE as _SERVICE
from builders.spec import Board, Panel, Query, Row

UID = "midwatch-agent"

_USERS = Row(
    10,
    "What users see",
    (
        Panel(
            11,
            "Failed chats",
            "Share of chat requests that end in a server error, over 30 s. Together with a service "
            "that is not ready it pages (AgentReadinessChatFailureCorrelation).",
            "percentunit",
            (Query(f"service:chat_failures:ratio_increase30s{{{_SERVICE}}}", "{{service_name}}"),),
        ),
        Panel(
            12,
            "Is the service ready?",
            "1 while every instance says that it is ready, 0 when one does not.",
            "short",
            (Query(f"service:service_ready:min{{{_SERVICE}}}", "{{service_name}}"),),
        ),
        Panel(
            13,
            "Turn duration",
            "95 % of the turns are faster than p95, half of them than p50. The dots are single "
            "turns; click one for its trace.",
            "s",
            spread("agent_turn_latency_seconds", "service_name", _SERVICE, "{{service_name}}"),
            threshold=30,
            links=(links.traces(links.of_service(), "span.midwatch.turn.outcome!=nil"),),
        ),
        Panel(
            14,
            "Runs by outcome",
            "Runs of the agent a second, by how they ended.",
            "reqps",
            (
                Query(
                    f"sum by (agent, status) (rate(agent_invocations_total{{{_AGENT}}}{_RATE}))",
                    "{{agent}} {{status}}",
                ),
            ),
            links=(links.traces(links.of_agent(), links.FAILED),),
        ),
        Panel(
            15,
            "Run duration",
            "95 % of the agent's runs are faster than p95, half of them than p50. The dots are "
            "single runs with their traces.",
            "s",
            spread("agent_invocation_latency_seconds", "agent", _AGENT, "{{agent}}"),
            links=(links.traces(links.of_agent()),),
        ),
        Panel(
            16,
            "Model calls of a turn (95th percentile)",
            "Grows when agents go in circles, before anything else does.",
            "short",
            (Query(quantile("agent_turn_llm_calls", "entry_agent", _SERVICE), "{{entry_agent}}"),),
        ),
    ),
)

_TOOLS = Row(
    20,
    "Tools",
    (
        Panel(
            21,
            "Failed tool calls",
            "Share of the tool's calls that end in an error or a timeout, over 30 s; refused calls "
            "do not count. Pages (AgentToolFailureRatioHigh).",
            "percentunit",
            (
                Query(
                    f"service_agent_tool:agent_tool_failures:ratio_increase30s{{{_AGENT}}}",
                    "{{agent}} {{tool}}",
                ),
            ),
            links=(
                links.traces(
                    links.of_agent(),
                    'span.gen_ai.tool.name="${__field.labels.tool}"',
                    links.FAILED,
                ),
            ),
        ),
        Panel(
            22,
            "Tool calls by outcome",
            "Tool calls a second, by how they ended.",
            "reqps",
            (
                Query(
                    f"sum by (tool, status) (rate(agent_tool_calls_total{{{_AGENT}}}{_RATE}))",
                    "{{tool}} {{status}}",
                ),
            ),
        ),
        Panel(
            23,
            "Tool duration (95th percentile)",
            "95 % of the tool's calls are faster. The dots are single calls with their traces.",
            "s",
            (
                Query(
                    quantile("agent_tool_latency_seconds", "tool", _AGENT),
                    "{{tool}}",
                    exemplar=True,
                ),
            ),
        ),
    ),
)

_JUDGEMENT = Row(
    30,
    "Grounding and guardrails",
    (
        Panel(
            31,
            "Escalated answers",
            "Share of self-RAG's verdicts that are escalations, over 2 minutes; retries are no "
            "verdict (AgentSelfRagEscalationSurge).",
            "percentunit",
            (
                Query(
                    f"service:agent_selfrag_escalations:ratio_increase2m{{{_SERVICE}}}",
                    "{{service_name}}",
                ),
            ),
        ),
        Panel(
            32,
            "Guardrail denials",
            "Share of the gate's decisions that deny, over 2 minutes (AgentGuardrailDenySurge).",
            "percentunit",
            (
                Query(
                    f"service_gate:agent_guardrail_denials:ratio_increase2m{{{_SERVICE}}}",
                    "{{gate}}",
                ),
            ),
        ),
        Panel(
            33,
            "Reasons of denials",
            "Denials a second, by gate and reason.",
            "reqps",
            (
                Query(
                    "sum by (gate, reason) "
                    f'(rate(agent_guardrail_total{{{_SERVICE},decision="deny"}}{_RATE}))',
                    "{{gate}} {{reason}}",
                ),
            ),
        ),
    ),
)

_FLOW = Row(
    40,
    "Handoffs and routes",
    (
        Panel(
            41,
            "Handoff loops",
            "Handoffs that a turn repeats, in 2 minutes (AgentHandoffLoop).",
            "short",
            (
                Query(
                    f"service_from_to:agent_handoff_loops:increase2m{{{_SERVICE}}}",
                    "{{from_agent}} to {{to_agent}}",
                ),
            ),
            links=(links.traces(links.of_agent("${__field.labels.from_agent}")),),
        ),
        Panel(
            42,
            "Shift of routes",
            "Each agent's share of the routes now, less its share in the hour before "
            "(AgentRouteSkew).",
            "percentunit",
            (
                Query(
                    f"service_agent:agent_route:share_increase5m{{{_SERVICE}}} - "
                    f"service_agent:agent_route_baseline:share_increase1h{{{_SERVICE}}}",
                    "{{selected_agent}}",
                ),
            ),
            minimum=None,
        ),
        Panel(
            43,
            "Handoffs",
            "Handoffs a second, by who hands over to whom.",
            "reqps",
            (
                Query(
                    "sum by (from_agent, to_agent) "
                    f"(rate(agent_handoff_total{{{_SERVICE}}}{_RATE}))",
                    "{{from_agent}} to {{to_agent}}",
                ),
            ),
        ),
    ),
)

AGENT = Board(
    UID,
    "Midwatch / Agent",
    "What is wrong with this agent? Each alert has its panel here.",
    (NAMESPACE, SERVICES, AGENTS),
    (_USERS, _TOOLS, _JUDGEMENT, _FLOW, *MODELS_AND_COST, WORK, FEEDBACK, USUAL, TRACES),
    marks(_SERVICE),
)
