"""What the ledger keeps for months, from its PostgreSQL; the chart leaves this board out without.

`$__timeFilter` and `$__timeGroup` are Grafana's; they become conditions on the time shown.
"""

from __future__ import annotations

from builders import links
from builders.spec import Board, Panel, Query, Row

UID = "midwatch-ledger"

_LEDGER_TRACE = (
    links.ledger_trace("${__value.raw}"),
    links.board("midwatch-sessions", "Trace", trace="${__value.raw}"),
)


def _table(
    panel: int,
    title: str,
    description: str,
    sql: str,
    column_units: tuple[tuple[str, str], ...] = (),
    link_column: str = "",
    links: tuple[tuple[str, str], ...] = (),
) -> Panel:
    return Panel(
        panel,
        title,
        description,
        "short",
        (Query(" ".join(sql.split())),),
        kind="table",
        source="ledger",
        width=12,
        height=9,
        no_value="nothing in this time",
        column_units=column_units,
        link_column=link_column,
        links=links,
    )


_SESSIONS = Row(
    10,
    "Sessions and tasks",
    (
        _table(
            11,
            "Sessions",
            "Sessions with turns in the time shown, dearest first.",
            """SELECT session_id AS "Session", count(*) AS "Turns",
            sum(error_count) AS "Errors", sum(llm_calls) AS "Model calls",
            sum(total_tokens) AS "Tokens", sum(total_cost) AS "USD", max(end_time) AS "Last"
            FROM workflow_traces
            WHERE $__timeFilter(start_time) AND session_id IS NOT NULL
            GROUP BY session_id ORDER BY sum(total_cost) DESC NULLS LAST LIMIT 50""",
            column_units=(("USD", "currencyUSD"),),
            links=(links.board("midwatch-sessions", "Turns", session="${__value.raw}"),),
            link_column="Session",
        ),
        _table(
            12,
            "Dearest turns",
            "Single turns by what they cost.",
            """SELECT trace_id AS "Trace", service AS "Service", entry_agent AS "Agent",
            status AS "Status", duration_ms / 1000.0 AS "Seconds", llm_calls AS "Model calls",
            total_tokens AS "Tokens", total_cost AS "USD", start_time AS "Start"
            FROM workflow_traces WHERE $__timeFilter(start_time)
            ORDER BY total_cost DESC NULLS LAST LIMIT 50""",
            column_units=(("USD", "currencyUSD"), ("Seconds", "s")),
            links=_LEDGER_TRACE,
            link_column="Trace",
        ),
        _table(
            13,
            "Steps of agents",
            "Executions by agent and step: how often, how long, how many failed.",
            """SELECT agent_type AS "Agent", execution_step AS "Step", count(*) AS "Runs",
            count(*) FILTER (WHERE error_message IS NOT NULL) AS "Failed",
            avg(duration_ms) / 1000 AS "Mean",
            percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_ms) / 1000 AS "p95"
            FROM execution_logs WHERE $__timeFilter(start_time)
            GROUP BY agent_type, execution_step ORDER BY count(*) DESC LIMIT 50""",
            column_units=(("Mean", "s"), ("p95", "s")),
        ),
        _table(
            14,
            "Failed executions",
            "The newest failures with what was said.",
            """SELECT trace_id AS "Trace", start_time AS "Start", agent_type AS "Agent",
            execution_step AS "Step", error_message AS "Error"
            FROM execution_logs
            WHERE $__timeFilter(start_time) AND error_message IS NOT NULL
            ORDER BY start_time DESC LIMIT 50""",
            links=_LEDGER_TRACE,
            link_column="Trace",
        ),
    ),
)

_MODELS = Row(
    20,
    "Models and cost",
    (
        _table(
            21,
            "Models",
            "Calls, tokens and cost by provider and model, exact to the call.",
            """SELECT provider AS "Provider", model_id AS "Model", count(*) AS "Calls",
            count(*) FILTER (WHERE error_message IS NOT NULL) AS "Failed",
            avg(duration_ms) / 1000 AS "Mean",
            percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_ms) / 1000 AS "p95",
            sum(total_tokens) AS "Tokens", sum(total_cost) AS "USD"
            FROM llm_call_logs WHERE $__timeFilter(start_time)
            GROUP BY provider, model_id ORDER BY sum(total_cost) DESC NULLS LAST LIMIT 50""",
            column_units=(("USD", "currencyUSD"), ("Mean", "s"), ("p95", "s")),
        ),
        _table(
            22,
            "Prompt versions",
            "Calls, duration, tokens and cost by version of managed prompts.",
            """SELECT prompt_name AS "Prompt", prompt_version AS "Version",
            prompt_variant AS "Variant", count(*) AS "Calls", avg(duration_ms) / 1000 AS "Mean",
            avg(total_tokens) AS "Tokens of a call", avg(total_cost) AS "USD of a call"
            FROM llm_call_logs WHERE $__timeFilter(start_time) AND prompt_name IS NOT NULL
            GROUP BY prompt_name, prompt_version, prompt_variant ORDER BY count(*) DESC LIMIT 50""",
            column_units=(("USD of a call", "currencyUSD"), ("Mean", "s")),
        ),
    ),
)

_PEOPLE = Row(
    30,
    "Feedback and alerts",
    (
        _table(
            31,
            "Feedback to review",
            "What people said and nobody has reviewed, newest first.",
            """SELECT trace_id AS "Trace", given_at AS "Given", service AS "Service",
            kind AS "Kind", value AS "Feedback", comment AS "Comment", state AS "State"
            FROM feedback WHERE $__timeFilter(given_at)
            ORDER BY given_at DESC LIMIT 50""",
            links=_LEDGER_TRACE,
            link_column="Trace",
        ),
        _table(
            32,
            "Alerts",
            "What Alertmanager told, newest first.",
            """SELECT starts_at AS "Since", ends_at AS "Until", alert_name AS "Alert",
            severity AS "Severity", status AS "Status", labels ->> 'service_name' AS "Service",
            labels ->> 'agent' AS "Agent"
            FROM alert_history WHERE $__timeFilter(starts_at)
            ORDER BY starts_at DESC LIMIT 50""",
        ),
    ),
)

LEDGER_BOARD = Board(
    UID,
    "Midwatch / Ledger",
    "What did it cost and what did people say, exact to the call, for as long as it is kept?",
    (),
    (_SESSIONS, _MODELS, _PEOPLE),
)
