"""Models and spend, continued: the money, budgets, and what has no price."""

from __future__ import annotations

from builders import links
from builders.promql import AGENT as _AGENT
from builders.promql import SERVICE as _SERVICE
from builders.promql import in_range, per_second, quantile
from builders.spec import Panel, Query, Row

_MODEL = f'{_AGENT},model=~"$model"'
_CALLS = "agent_llm_requests_total"
_COST = "agent_llm_cost_usd_total"


def _hourly(panel: int, by: str, title: str) -> Panel:
    return Panel(
        panel,
        title,
        "Cost of model calls at the rate of that moment.",
        "currencyUSD",
        (Query(f"3600 * {per_second(_COST, by, _MODEL)}", f"{{{{{by}}}}}"),),
    )


SPEND = Row(
    40,
    "Spend",
    (
        _hourly(41, "model", "Spend an hour by model"),
        _hourly(42, "agent", "Spend an hour by agent"),
        _hourly(43, "midwatch_project", "Spend an hour by project"),
        Panel(
            44,
            "Cost of a call",
            "Mean of what one call costs; calls without a price count as nothing.",
            "currencyUSD",
            (
                Query(
                    f"{per_second(_COST, 'model', _MODEL)} / "
                    f"({per_second(_CALLS, 'model', _MODEL)} > 0)",
                    "{{model}}",
                ),
            ),
        ),
        Panel(
            45,
            "Cost of a turn (95th percentile)",
            "95 % of the turns that begin with this agent cost less.",
            "currencyUSD",
            (Query(quantile("agent_turn_cost_usd", "entry_agent", _SERVICE), "{{entry_agent}}"),),
        ),
        Panel(
            46,
            "Spend of an hour against the same hour of earlier days",
            "Cost of the last hour, and of the same hour a day and a week before.",
            "currencyUSD",
            (
                Query(f"sum(increase({_COST}{{{_MODEL}}}[1h]))", "last hour"),
                Query(f"sum(increase({_COST}{{{_MODEL}}}[1h] offset 1d))", "a day before"),
                Query(f"sum(increase({_COST}{{{_MODEL}}}[1h] offset 1w))", "a week before"),
            ),
        ),
        Panel(
            47,
            "Who uses what?",
            "Cost, calls and tokens of each agent and model in the time shown, dearest first.",
            "short",
            (
                Query(f"sort_desc({in_range(_COST, 'service_name, agent, model', _MODEL)})"),
                Query(in_range(_CALLS, "service_name, agent, model", _MODEL)),
                Query(
                    in_range(
                        "agent_llm_tokens_total",
                        "service_name, agent, model",
                        f'{_MODEL},token_type=~"input|output"',
                    )
                ),
            ),
            kind="table",
            width=24,
            renamed_columns=(
                ("service_name", "Service"),
                ("agent", "Agent"),
                ("model", "Model"),
                ("Value #A", "USD"),
                ("Value #B", "Calls"),
                ("Value #C", "Tokens"),
            ),
            column_units=(("USD", "currencyUSD"),),
            links=(
                links.board(
                    "midwatch-agent",
                    "Open the agent",
                    service="${__data.fields.Service}",
                    agent="${__data.fields.Agent}",
                ),
            ),
            link_column="Agent",
        ),
    ),
)

_BUDGET = "max by (scope, scope_value, period)"

BUDGETS = Row(
    50,
    "Budgets",
    (
        Panel(
            51,
            "Budget spent",
            "Share of each budget that its period has used.",
            "percentunit",
            (
                Query(
                    f"{_BUDGET} (agent_budget_spent_usd) / ({_BUDGET} (agent_budget_usd) > 0)",
                    "{{scope}} {{scope_value}} {{period}}",
                ),
            ),
            threshold=1,
            no_value="no budgets",
        ),
        Panel(
            52,
            "Budget left",
            "US dollars left until the period ends.",
            "currencyUSD",
            (
                Query(
                    f"{_BUDGET} (agent_budget_usd) - {_BUDGET} (agent_budget_spent_usd)",
                    "{{scope}} {{scope_value}} {{period}}",
                ),
            ),
            minimum=None,
            worse="below",
            threshold=0,
            no_value="no budgets",
        ),
        Panel(
            53,
            "When is it used up?",
            "Time until nothing is left, at the pace of the last hour.",
            "s",
            (
                Query(
                    f"({_BUDGET} (agent_budget_usd) - {_BUDGET} (agent_budget_spent_usd)) / "
                    f"({_BUDGET} (deriv(agent_budget_spent_usd[1h])) > 0)",
                    "{{scope}} {{scope_value}} {{period}}",
                ),
            ),
            minimum=None,
            no_value="no budget is being used",
        ),
    ),
)

UNKNOWN = Row(
    60,
    "What has no price",
    (
        Panel(
            61,
            "Tokens without a price",
            "Tokens a second of models that no price list knows: the cost shown lacks them.",
            "short",
            (
                Query(
                    per_second(
                        "agent_llm_unpriced_tokens_total",
                        "provider, model",
                        f'{_SERVICE},model=~"$model"',
                    ),
                    "{{provider}} {{model}}",
                ),
            ),
            width=12,
            no_value="all is priced",
        ),
        Panel(
            62,
            "Calls without usage",
            "Calls a second whose provider did not say how many tokens they took.",
            "reqps",
            (
                Query(
                    per_second(
                        "midwatch_llm_usage_missing_total",
                        "provider, model",
                        f'{_SERVICE},model=~"$model"',
                    ),
                    "{{provider}} {{model}}",
                ),
            ),
            width=12,
            no_value="all say their usage",
        ),
    ),
)

PROMPTS = Row(
    70,
    "Prompts",
    (
        Panel(
            71,
            "Uses by version",
            "Uses a second of managed prompts, by version and variant of an experiment.",
            "reqps",
            (
                Query(
                    per_second("agent_prompt_uses_total", "prompt, version, variant", _SERVICE),
                    "{{prompt}} {{version}} {{variant}}",
                ),
            ),
            width=12,
            no_value="no managed prompts",
        ),
        Panel(
            72,
            "Feedback",
            "Feedback a second, by kind and value.",
            "reqps",
            (Query(per_second("agent_feedback_total", "kind, value", _SERVICE), "{{value}}"),),
            width=12,
            no_value="no feedback",
        ),
    ),
)
