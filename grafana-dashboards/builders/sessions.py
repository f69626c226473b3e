"""Sessions and traces: from a session or a symptom to the one trace that explains it."""

from __future__ import annotations

from builders import links
from builders.promql import AGENTS, NAMESPACE, SERVICES, marks, per_second
from builders.promql import SERVICE as _SERVICE
from builders.spec import Board, Panel, Query, Row, TextVariable

UID = "midwatch-sessions"

_SCOPE = 'resource.service.name=~"${service:regex}"'
_TURN = f"{_SCOPE} && span.midwatch.turn.outcome != nil"
_SHOWN = (
    "select(span.midwatch.turn.outcome, span.midwatch.turn.llm_calls, "
    "span.midwatch.turn.cost_usd, span.session.id)"
)
_LEDGER = (links.ledger_trace("${__value.raw}"),)


def _search(panel: int, title: str, description: str, conditions: str, no_value: str) -> Panel:
    return Panel(
        panel,
        title,
        description,
        "short",
        (Query(f"{{ {conditions} }} | {_SHOWN}"),),
        kind="table",
        source="tempo",
        width=12,
        height=9,
        no_value=no_value,
        links=_LEDGER,
        link_column="traceID",
    )


_WHAT_HAPPENED = Row(
    10,
    "Where to look",
    (
        Panel(
            11,
            "Turns by outcome",
            "Turns a second, by entry agent and how they ended. The marks are alerts and new "
            "versions; drag over a time to see only its traces.",
            "reqps",
            (
                Query(
                    per_second("agent_turns_total", "entry_agent, outcome", _SERVICE),
                    "{{entry_agent}} {{outcome}}",
                ),
            ),
            width=24,
            links=(links.board("midwatch-agent", "Agent", agent="${__field.labels.entry_agent}"),),
        ),
        _search(
            12,
            "Failed turns",
            "The newest turns that ended in an error. Click one to read it.",
            f'{_TURN} && span.midwatch.turn.outcome = "error"',
            "none failed",
        ),
        _search(
            13,
            "Slow turns",
            "Turns of 10 seconds or more. Click one to read it.",
            f"{_TURN} && duration >= 10s",
            "none was slow",
        ),
        _search(
            14,
            "Turns with many model calls",
            "Turns with 8 model calls or more: agents that may go in circles.",
            f"{_TURN} && span.midwatch.turn.llm_calls >= 8",
            "none had many",
        ),
        _search(
            15,
            "Dear turns",
            "Turns that cost 10 cents or more.",
            f"{_TURN} && span.midwatch.turn.cost_usd >= 0.1",
            "none was dear",
        ),
        _search(
            16,
            "Traces of the agent",
            "The newest traces in which the agent above ran.",
            f'{_SCOPE} && span.gen_ai.agent.name =~ "${{agent:regex}}"',
            "it did not run",
        ),
        _search(
            17,
            "Feedback that points down",
            "Turns that a person was not content with.",
            f'{_SCOPE} && span.midwatch.feedback.value =~ "down|1|2"',
            "none",
        ),
    ),
)

_ONE = Row(
    20,
    "One session, one trace",
    (
        _search(
            21,
            "Turns of the session",
            "All turns of the session whose id stands above.",
            'span.session.id = "$session" && span.midwatch.turn.outcome != nil',
            "type a session id above",
        ),
        _search(
            22,
            "Errors in the session",
            "Traces of the session in which anything failed, a tool or a model call among it.",
            'span.session.id = "$session" && status = error',
            "none, or no session id above",
        ),
        Panel(
            23,
            "The trace",
            "The trace whose id stands above, span by span.",
            "short",
            (Query("$trace"),),
            kind="traces",
            source="tempo",
            width=24,
            height=18,
        ),
    ),
)

SESSIONS = Board(
    UID,
    "Midwatch / Sessions and traces",
    "Which turns went wrong, and what happened in them?",
    (
        NAMESPACE,
        SERVICES,
        AGENTS,
        TextVariable("session", "Session", "The session.id of a conversation."),
        TextVariable("trace", "Trace", "A trace id, as alerts, logs and the ledger show it."),
    ),
    (_WHAT_HAPPENED, _ONE),
    marks(_SERVICE),
)
