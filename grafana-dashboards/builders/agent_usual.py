"""One agent, continued: its promises, and what is unlike before or unlike other days."""

from __future__ import annotations

from builders.promql import AGENT as _AGENT
from builders.promql import SERVICE as _SERVICE
from builders.spec import Panel, Query, Row


def _widths(panel: int, signal: str, title: str, what: str) -> Panel:
    """How far a signal is from what is usual, in widths of its band."""
    chosen = f'{{signal="{signal}",{_AGENT}}}'
    return Panel(
        panel,
        title,
        f"{what} against the same hour of earlier days: 0 is usual, 1 the edge of the band.",
        "short",
        (
            Query(
                f"(signal:midwatch_anomaly:value{chosen}"
                f" - signal:midwatch_anomaly_usual:mean{chosen})"
                f" / (signal:midwatch_anomaly_spread:max{chosen} > 0)",
                "{{service_name}} {{agent}} {{model}}{{midwatch_project}}",
            ),
        ),
        minimum=None,
        no_value="it still learns: three days are needed",
    )


USUAL = Row(
    100,
    "Promises, and what is usual",
    (
        Panel(
            102,
            "Error budgets burn",
            "How many times as fast as it lasts each error budget burned in the last hour.",
            "short",
            (
                Query(
                    f"slo:midwatch_slo_burn:factor1h{{{_AGENT}}}",
                    "{{slo}} {{agent}} {{tool}}",
                ),
            ),
        ),
        Panel(
            109,
            "Error budgets left",
            "What is left of the error budgets of 30 days; below 0 the promise is broken.",
            "percentunit",
            (
                Query(
                    f"slo:midwatch_slo_budget_left:ratio30d{{{_AGENT}}}",
                    "{{slo}} {{agent}} {{tool}}",
                ),
            ),
            threshold=0,
            worse="below",
            minimum=None,
        ),
        Panel(
            101,
            "Fewer wished outcomes than before",
            "By how much the share of wished outcomes fell against the six hours before.",
            "percentunit",
            (
                Query(
                    f"service:agent_outcomes_success:ratio_drop{{{_SERVICE}}}", "{{service_name}}"
                ),
            ),
            minimum=None,
            no_value="no outcomes recorded",
        ),
        Panel(
            103,
            "Tokens of a turn against the hour before",
            "How many times as many tokens a turn takes of an agent as in the hour before.",
            "short",
            (Query(f"service_agent:agent_llm_tokens:factor2m{{{_AGENT}}}", "{{agent}}"),),
        ),
        _widths(104, "cost", "Unusual cost", "USD an hour"),
        _widths(105, "tokens", "Unusual use of tokens", "Tokens an hour"),
        _widths(106, "latency", "Unusual run duration", "95th percentile of run durations"),
        _widths(107, "routes", "Unusual routes", "Share of the routes that an agent gets"),
        _widths(108, "handoffs", "Unusual handoffs", "Handoffs of an agent for each turn"),
    ),
)
