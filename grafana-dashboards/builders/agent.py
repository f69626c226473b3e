"""One agent: what is wrong with it. Row by row the alerts of S3 and of the models."""

from __future__ import annotations

from builders.fleet import NAMESPACE
from builders.spec import Board, Panel, Query, Row, Variable

UID = "midwatch-agent"

_SERVICE = 'k8s_namespace_name=~"$namespace",service_name=~"$service"'
_AGENT = f'{_SERVICE},agent=~"$agent"'
_RATE = "[$__rate_interval]"

_VARIABLES = (
    NAMESPACE,
    Variable(
        "service",
        "Service",
        'label_values(agent_invocations_total{k8s_namespace_name=~"$namespace"}, service_name)',
        "The service that the agents belong to.",
    ),
    Variable(
        "agent",
        "Agent",
        f"label_values(agent_invocations_total{{{_SERVICE}}}, agent)",
        "The agent; panels on turns, chats, routes and guardrails concern its whole service.",
    ),
)


def _quantile(metric: str, by: str, matchers: str) -> str:
    return (
        f"histogram_quantile(0.95, sum by ({by}, le) (rate({metric}_bucket{{{matchers}}}{_RATE})))"
    )


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
            alert="AgentReadinessChatFailureCorrelation",
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
            "Turn duration (95th percentile)",
            "95 % of the turns are faster. The dots are single turns; click one for its trace.",
            "s",
            (
                Query(
                    _quantile("agent_turn_latency_seconds", "service_name", _SERVICE),
                    "{{service_name}}",
                    exemplar=True,
                ),
            ),
            threshold=30,
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
        ),
        Panel(
            15,
            "Run duration (95th percentile)",
            "95 % of the agent's runs are faster. The dots are single runs with their traces.",
            "s",
            (
                Query(
                    _quantile("agent_invocation_latency_seconds", "agent", _AGENT),
                    "{{agent}}",
                    exemplar=True,
                ),
            ),
        ),
        Panel(
            16,
            "Model calls of a turn (95th percentile)",
            "Grows when agents go in circles, before anything else does.",
            "short",
            (Query(_quantile("agent_turn_llm_calls", "entry_agent", _SERVICE), "{{entry_agent}}"),),
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
            alert="AgentToolFailureRatioHigh",
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
                    _quantile("agent_tool_latency_seconds", "tool", _AGENT),
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
            alert="AgentSelfRagEscalationSurge",
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
            alert="AgentGuardrailDenySurge",
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
            alert="AgentHandoffLoop",
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
            alert="AgentRouteSkew",
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

_MODELS = Row(
    50,
    "Models",
    (
        Panel(
            51,
            "Failed model calls",
            "Share of the calls that fail, rate limits not counted, over 30 s. Pages "
            "(LlmErrorRateHigh).",
            "percentunit",
            (
                Query(
                    f"service_model:agent_llm_errors:ratio_increase30s{{{_SERVICE}}}",
                    "{{service_name}} {{model}}",
                ),
            ),
            alert="LlmErrorRateHigh",
        ),
        Panel(
            52,
            "Calls over the rate limit",
            "Share of the calls that the provider refused for their rate, over 1 minute "
            "(LlmProviderRateLimited).",
            "percentunit",
            (
                Query(
                    f"service_model:agent_llm_rate_limits:ratio_increase1m{{{_SERVICE}}}",
                    "{{service_name}} {{model}}",
                ),
            ),
            alert="LlmProviderRateLimited",
        ),
        Panel(
            53,
            "Model call duration (95th percentile)",
            "95 % of the calls are faster. The line is the bound for any model; three times the "
            "hour before and 2 s alert as well (LlmLatencyHigh). The dots are single calls.",
            "s",
            (
                Query(
                    _quantile("agent_llm_latency_seconds", "model", _AGENT),
                    "{{model}}",
                    exemplar=True,
                ),
            ),
            alert="LlmLatencyHigh",
        ),
    ),
)

_COST = Row(
    60,
    "Tokens and cost",
    (
        Panel(
            61,
            "Cost of a turn against the hour before",
            "How many times as much a turn costs as it did (LlmCostSpike).",
            "short",
            (Query(f"service:agent_llm_cost_usd:factor2m{{{_SERVICE}}}", "{{service_name}}"),),
            alert="LlmCostSpike",
        ),
        Panel(
            62,
            "Spend an hour by model",
            "Cost of the agent's model calls at the rate of that moment.",
            "currencyUSD",
            (
                Query(
                    "3600 * sum by (agent, model) "
                    f"(rate(agent_llm_cost_usd_total{{{_AGENT}}}{_RATE}))",
                    "{{agent}} {{model}}",
                ),
            ),
        ),
        Panel(
            63,
            "Tokens by kind",
            "Tokens a second; cached and reasoning tokens are part of input and output.",
            "short",
            (
                Query(
                    f"sum by (token_type) (rate(agent_llm_tokens_total{{{_AGENT}}}{_RATE}))",
                    "{{token_type}}",
                ),
            ),
        ),
    ),
)

AGENT = Board(
    UID,
    "Midwatch / Agent",
    "What is wrong with this agent? Each alert has its panel here.",
    _VARIABLES,
    (_USERS, _TOOLS, _JUDGEMENT, _FLOW, _MODELS, _COST),
)
