"""One agent, continued: its model calls and their cost."""

from __future__ import annotations

from builders import links
from builders.promql import AGENT as _AGENT
from builders.promql import RATE as _RATE
from builders.promql import SERVICE as _SERVICE
from builders.promql import in_range, per_second, quantile
from builders.spec import Panel, Query, Row

_OF_AGENT = links.traces(links.of_agent())

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
        ),
        Panel(
            53,
            "Model call duration",
            "95 % of the calls are faster. The line is the bound for any model; three times the "
            "hour before and 2 s alert as well (LlmLatencyHigh). The dots are single calls.",
            "s",
            (
                Query(
                    quantile("agent_llm_latency_seconds", "model", _AGENT),
                    "{{model}}",
                    exemplar=True,
                ),
            ),
        ),
    ),
)

_TOKENS = f'{_AGENT},token_type=~"input|output"'

_COST = Row(
    60,
    "Tokens and cost",
    (
        Panel(
            61,
            "Cost of a turn against the hour before and other days",
            "How many times as much a turn costs as it did (LlmCostSpike).",
            "short",
            (
                Query(f"service:agent_llm_cost_usd:factor2m{{{_SERVICE}}}", "{{service_name}}"),
                Query(
                    f"service:agent_llm_cost_usd_days:factor2m{{{_SERVICE}}}",
                    "{{service_name}}: against this hour of other days",
                ),
            ),
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
        Panel(
            64,
            "Tokens of a run",
            "Mean of the tokens that one run of the agent uses (S1: tokens per agent and task).",
            "short",
            (
                Query(
                    f"{per_second('agent_llm_tokens_total', 'agent', _TOKENS)} / "
                    f"({per_second('agent_invocations_total', 'agent', _AGENT)} > 0)",
                    "{{agent}}",
                ),
            ),
        ),
        Panel(
            65,
            "Cost of a run",
            "Mean of what one run of the agent costs (S1: cost per agent and task).",
            "currencyUSD",
            (
                Query(
                    f"{per_second('agent_llm_cost_usd_total', 'agent', _AGENT)} / "
                    f"({per_second('agent_invocations_total', 'agent', _AGENT)} > 0)",
                    "{{agent}}",
                ),
            ),
        ),
        Panel(
            66,
            "Cost and tokens in the time shown",
            "What each agent has used in the time that the board shows.",
            "short",
            (
                Query(in_range("agent_llm_cost_usd_total", "service_name, agent", _AGENT)),
                Query(in_range("agent_llm_tokens_total", "service_name, agent", _TOKENS)),
                Query(in_range("agent_invocations_total", "service_name, agent", _AGENT)),
            ),
            kind="table",
            renamed_columns=(
                ("service_name", "Service"),
                ("agent", "Agent"),
                ("Value #A", "USD"),
                ("Value #B", "Tokens"),
                ("Value #C", "Runs"),
            ),
            column_units=(("USD", "currencyUSD"),),
        ),
    ),
)

MODELS_AND_COST = (_MODELS, _COST)
