"""Fleet now: is anything wrong, where, and since when."""

from __future__ import annotations

from builders.spec import Board, Panel, Query, Row, Variable

UID = "midwatch-fleet"

_NS = 'k8s_namespace_name=~"$namespace"'
_RATE = "[$__rate_interval]"

NAMESPACE = Variable(
    "namespace",
    "Namespace",
    "label_values(agent_turns_total, k8s_namespace_name)",
    "Kubernetes namespace; All also shows what runs outside of Kubernetes.",
)

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
            "One line per firing alert; the runbooks are in docs/runbooks.",
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
                (
                    "Open the agent",
                    "/d/midwatch-agent?var-datasource=${datasource}"
                    "&var-service=${__data.fields.Service}&var-agent=${__data.fields.Agent}"
                    "&${__url_time_range}",
                ),
            ),
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
            "Turn duration by service (95th percentile)",
            "95 % of the turns are faster. The dots are single turns; click one for its trace.",
            "s",
            (
                Query(
                    "histogram_quantile(0.95, sum by (service_name, le) "
                    f"(rate(agent_turn_latency_seconds_bucket{{{_NS}}}{_RATE})))",
                    "{{service_name}}",
                    exemplar=True,
                ),
            ),
            threshold=30,
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
        ),
    ),
)

FLEET = Board(
    UID,
    "Midwatch / Fleet now",
    "Is the fleet all right at this moment, and if not, which agent?",
    (NAMESPACE,),
    (_STATUS, _ALERTS, _TRENDS),
)
