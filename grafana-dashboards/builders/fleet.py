"""Fleet now: is anything wrong, where, and since when."""

from __future__ import annotations

from builders import links
from builders.fleet_work import CHANGES, OUTCOMES
from builders.promql import NAMESPACE, marks, spread
from builders.promql import NS as _NS
from builders.promql import RATE as _RATE
from builders.spec import Board, Panel, Query, Row
from builders.thresholds import runbook

UID = "midwatch-fleet"

_STATUS = Row(
    10,
    "Right now",
    (
        Panel(
            11,
            "Firing alerts",
            "Critical and warning alerts that fire at this moment.",
            "short",
            (
                Query(
                    'count(ALERTS{alertstate="firing",severity=~"critical|warning"}) or vector(0)'
                ),
            ),
            kind="stat",
            threshold=1,
            width=4,
            height=5,
        ),
        Panel(
            12,
            "Turns a second",
            "Turns that ended, all agents together.",
            "reqps",
            (Query(f"sum(rate(agent_turns_total{{{_NS}}}{_RATE}))"),),
            kind="stat",
            width=4,
            height=5,
        ),
        Panel(
            13,
            "Failed turns",
            "Share of turns that ended in an error; interrupted and cancelled ones did not fail.",
            "percentunit",
            (
                Query(
                    f'(sum(rate(agent_turns_total{{{_NS},outcome="error"}}{_RATE})) or vector(0))'
                    f" / (sum(rate(agent_turns_total{{{_NS}}}{_RATE})) > 0)"
                ),
            ),
            kind="stat",
            threshold=0.05,
            width=4,
            height=5,
        ),
        Panel(
            14,
            "Turn duration (95th percentile)",
            "95 % of the turns are faster.",
            "s",
            (
                Query(
                    "histogram_quantile(0.95, sum by (le) "
                    f"(rate(agent_turn_latency_seconds_bucket{{{_NS}}}{_RATE})))"
                ),
            ),
            kind="stat",
            threshold=30,
            width=4,
            height=5,
        ),
        Panel(
            15,
            "Spend an hour",
            "Cost of model calls at the present rate.",
            "currencyUSD",
            (Query(f"3600 * sum(rate(agent_llm_cost_usd_total{{{_NS}}}{_RATE}))"),),
            kind="stat",
            width=4,
            height=5,
        ),
        Panel(
            16,
            "Turns in progress",
            "Turns that run at this moment.",
            "short",
            (Query(f"sum(agent_active_turns{{{_NS}}})"),),
            kind="stat",
            width=4,
            height=5,
        ),
    ),
)

_ALERTS = Row(
    20,
    "What fires",
    (
        Panel(
            21,
            "Which alerts fire?",
            "One line per firing alert; click its name for the runbook.",
            "short",
            (
                Query(
                    "count by (severity, alertname, service_name, agent) "
                    '(ALERTS{alertstate="firing",severity=~"critical|warning"})'
                ),
            ),
            kind="table",
            width=10,
            height=8,
            no_value="nothing fires",
            renamed_columns=(("Value", "Instances"),),
            links=(("Runbook", runbook("${__value.raw}")),),
            link_column="alertname",
        ),
        Panel(
            22,
            "How are the agents?",
            "Runs a second, failed share, duration and cost an hour of every agent. Click an agent "
            "for its board.",
            "short",
            (
                Query(
                    f"sum by (service_name, agent) (rate(agent_invocations_total{{{_NS}}}{_RATE}))"
                ),
                Query(
                    "sum by (service_name, agent) "
                    f'(rate(agent_invocations_total{{{_NS},status="error"}}{_RATE})) / '
                    "(sum by (service_name, agent) "
                    f"(rate(agent_invocations_total{{{_NS}}}{_RATE})) > 0)"
                ),
                Query(
                    "histogram_quantile(0.95, sum by (service_name, agent, le) "
                    f"(rate(agent_invocation_latency_seconds_bucket{{{_NS}}}{_RATE}))) >= 0"
                ),
                Query(
                    "3600 * sum by (service_name, agent) "
                    f"(rate(agent_llm_cost_usd_total{{{_NS}}}{_RATE}))"
                ),
            ),
            kind="table",
            width=14,
            height=8,
            renamed_columns=(
                ("service_name", "Service"),
                ("agent", "Agent"),
                ("Value #A", "Runs a second"),
                ("Value #B", "Failed"),
                ("Value #C", "p95"),
                ("Value #D", "USD an hour"),
            ),
            column_units=(
                ("Runs a second", "reqps"),
                ("Failed", "percentunit"),
                ("p95", "s"),
                ("USD an hour", "currencyUSD"),
            ),
            links=(
                links.board(
                    "midwatch-agent",
                    "Open the agent",
                    datasource="${datasource}",
                    service="${__data.fields.Service}",
                    agent="${__data.fields.Agent}",
                ),
                links.traces(
                    links.of_service("${__data.fields.Service}"),
                    links.of_agent("${__data.fields.Agent}"),
                ),
            ),
            link_column="Agent",
        ),
    ),
)

_TRENDS = Row(
    30,
    "Over time",
    (
        Panel(
            31,
            "Turns by service",
            "Turns that ended, by service.",
            "reqps",
            (
                Query(
                    f"sum by (service_name) (rate(agent_turns_total{{{_NS}}}{_RATE}))",
                    "{{service_name}}",
                ),
            ),
        ),
        Panel(
            32,
            "Turn duration by service",
            "95 % of the turns are faster than p95, half of them than p50. The dots are single "
            "turns; click one for its trace.",
            "s",
            spread("agent_turn_latency_seconds", "service_name", _NS, "{{service_name}}"),
            threshold=30,
            links=(links.traces(links.of_service(), "span.midwatch.turn.outcome!=nil"),),
        ),
        Panel(
            33,
            "Spend an hour by service",
            "Cost of model calls at the rate of that moment.",
            "currencyUSD",
            (
                Query(
                    "3600 * sum by (service_name) "
                    f"(rate(agent_llm_cost_usd_total{{{_NS}}}{_RATE}))",
                    "{{service_name}}",
                ),
            ),
            links=(
                links.board(
                    "midwatch-models", "Models and spend", service="${__field.labels.service_name}"
                ),
            ),
        ),
    ),
)

FLEET = Board(
    UID,
    "Midwatch / Fleet now",
    "Is the fleet all right at this moment, and if not, which agent?",
    (NAMESPACE,),
    (_STATUS, _ALERTS, _TRENDS, CHANGES, OUTCOMES),
    marks(_NS),
)
