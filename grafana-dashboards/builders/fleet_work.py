"""Fleet now, continued: what changed against before, and what came of the work."""

from __future__ import annotations

from builders.promql import NS, in_range, per_second, share
from builders.spec import Panel, Query, Row

_TURNS = f"increase(agent_turns_total{{{NS}}}"
_RUNS = f"increase(agent_invocations_total{{{NS}}}"
_COST = f"increase(agent_llm_cost_usd_total{{{NS}}}"

CHANGES = Row(
    40,
    "Against before",
    (
        Panel(
            41,
            "Turns against the hour before",
            "Turns of the last 5 minutes at an hour's pace, as a multiple of the hour before.",
            "percentunit",
            (
                Query(
                    f"12 * sum by (service_name) ({_TURNS}[5m])) / "
                    f"(sum by (service_name) ({_TURNS}[1h] offset 5m)) > 0)",
                    "{{service_name}}",
                ),
            ),
            threshold=0.9,
            worse="below",
            no_value="no hour to compare with",
        ),
        Panel(
            42,
            "Which agents are silent?",
            "Agents that ran at this hour yesterday and have not run for 30 minutes.",
            "short",
            (
                Query(
                    f"(sum by (service_name, agent) ({_RUNS}[30m] offset 1d)) > 0) unless "
                    f"(sum by (service_name, agent) ({_RUNS}[30m])) > 0)"
                ),
            ),
            kind="table",
            no_value="none is silent",
            renamed_columns=(
                ("service_name", "Service"),
                ("agent", "Agent"),
                ("Value", "Runs yesterday"),
            ),
        ),
        Panel(
            43,
            "Spend against the same hour of earlier days",
            "Cost of the last hour, of the same hour yesterday and of the one a week ago.",
            "currencyUSD",
            (
                Query(f"sum({_COST}[1h]))", "last hour"),
                Query(f"sum({_COST}[1h] offset 1d))", "a day before"),
                Query(f"sum({_COST}[1h] offset 1w))", "a week before"),
            ),
        ),
    ),
)

OUTCOMES = Row(
    50,
    "What came of it",
    (
        Panel(
            51,
            "Total cost",
            "Cost of all model calls in the time that the board shows.",
            "currencyUSD",
            (Query(in_range("agent_llm_cost_usd_total", "", NS)),),
            kind="stat",
            width=4,
        ),
        Panel(
            52,
            "Turns by outcome",
            "Turns a second, by how they ended.",
            "reqps",
            (Query(per_second("agent_turns_total", "outcome", NS), "{{outcome}}"),),
            width=7,
        ),
        Panel(
            53,
            "Outcomes wished for",
            "Share of the sessions with a business outcome whose outcome was the wished one.",
            "percentunit",
            (
                Query(
                    share("agent_outcomes_total", "service_name", NS, 'success="true"'),
                    "{{service_name}}",
                ),
            ),
            worse="below",
            width=6,
            no_value="no outcomes recorded",
        ),
        Panel(
            54,
            "Negative feedback",
            "Share of thumbs that point down and of one or two stars.",
            "percentunit",
            (
                Query(
                    share(
                        "agent_feedback_total",
                        "service_name",
                        f'{NS},kind=~"thumb|stars"',
                        'value=~"down|1|2"',
                    ),
                    "{{service_name}}",
                ),
            ),
            width=7,
            no_value="no feedback",
        ),
    ),
)
