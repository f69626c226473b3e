"""What is told of turns beyond their sums: where each kind of detail is read from.

Each query gives one row for each thing that is counted between `START` and `END`, with columns
named as the dimensions and measures of the sums. What belongs to a turn counts in the minute in
which the turn began, also when it comes days later, as feedback does; what belongs to no turn that
is kept counts when it happened. Putting a query together costs more than running it on a minute, so
each is put together once.
"""

from __future__ import annotations

from typing import Any

from midwatch.registry import events
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    type_coerce,
)

from midwatch_ledger.models import (
    AgentTransition,
    Event,
    Feedback,
    LlmCallLog,
    Span,
    WorkflowTrace,
)
from midwatch_ledger.models.types import JsonDocument, UtcTime

OUTCOME = events.OUTCOME_RECORDED.name
"""The event that tells a business outcome."""

_INVOKE_AGENT = "invoke_agent"
_NANOSECONDS = 1_000_000
_YES, _NO = ("true", "1"), ("false", "0")
_GOOD_SCORE, _BAD_SCORE = 0.6, 0.4

# Of each event that is counted: whom it is of, whom or what it is about, what says how it went.
_OTHER_EVENTS = {
    events.DECISION_MADE.name: ("agent", "decision", "correct"),
    events.MESSAGE_SENT.name: ("from_agent", "to_agent", None),
    events.COLLABORATION_FINISHED.name: (None, "workflow_type", "outcome"),
    events.CONFLICT_DETECTED.name: (None, "conflict_type", None),
    events.CONFLICT_RESOLVED.name: (None, "conflict_type", None),
}

COUNTED_EVENTS = frozenset(
    {
        *_OTHER_EVENTS,
        OUTCOME,
        events.FEEDBACK_RECORDED.name,
        events.ROUTE_SELECTED.name,
        events.HANDOFF.name,
        events.HANDOFF_LOOP.name,
        events.STATE_CHANGED.name,
    }
)
"""The events whose minute is to be worked out anew when they come."""

Rows = Select[Any]


START = bindparam("start", type_=UtcTime())
END = bindparam("end", type_=UtcTime())
SINCE = bindparam("since", type_=BigInteger())
"""As `START`, in nanoseconds: nothing of a turn began before it, on no earlier day either."""


def sources() -> dict[str, list[Rows]]:
    """Return the queries of each kind of detail; `START` and `END` are theirs to be given."""
    return {
        "flow": [_flows()],
        "transition": [_transitions()],
        "event": [_events(name, *read) for name, read in _OTHER_EVENTS.items()],
        "outcome": _outcomes(),
        "feedback": _feedback(),
        "prompt_turn": [_with_prompts(_turns())],
        "prompt_outcome": [_with_prompts(_outcomes()[0])],
        "prompt_feedback": [_with_prompts(_feedback()[0])],
    }


def _began() -> ColumnElement[bool]:
    return and_(WorkflowTrace.start_time >= START, WorkflowTrace.start_time < END)


def _of_turn() -> list[ColumnElement[Any]]:
    """Return what a turn says of all that belongs to it."""
    return [
        WorkflowTrace.service.label("service"),
        WorkflowTrace.service_version.label("service_version"),
        WorkflowTrace.project.label("project"),
    ]


def _flows() -> Rows:
    """Each run of an agent, and the agent that began next in its turn (none: the turn ended)."""
    order: dict[str, Any] = {
        "partition_by": Span.trace_id,
        "order_by": (Span.start_unix_nanoseconds, Span.span_id),
    }
    runs = (
        select(
            *_of_turn(),
            WorkflowTrace.status.label("status"),
            WorkflowTrace.outcome.label("step"),
            Span.agent.label("agent"),
            func.lead(Span.agent).over(**order).label("target"),
            func.coalesce(
                func.lead(Span.start_unix_nanoseconds).over(**order), Span.end_unix_nanoseconds
            ).label("until"),
            Span.start_unix_nanoseconds.label("since"),
        )
        .join(Span, Span.trace_id == WorkflowTrace.trace_id)
        .where(_began(), Span.start_unix_nanoseconds >= SINCE)
        .where(Span.operation == _INVOKE_AGENT, Span.agent.is_not(None))
        .subquery()
    )
    kept = [column for column in runs.c if column.name not in ("until", "since")]
    return select(*kept, ((runs.c.until - runs.c.since) // _NANOSECONDS).label("duration_ms"))


def _transitions() -> Rows:
    columns: list[ColumnElement[Any]] = [
        AgentTransition.service.label("service"),
        AgentTransition.project.label("project"),
        AgentTransition.from_agent.label("agent"),
        AgentTransition.to_agent.label("target"),
        AgentTransition.kind.label("step"),
    ]
    return select(*columns).where(
        AgentTransition.occurred_at >= START, AgentTransition.occurred_at < END
    )


def _events(name: str, agent: str | None, target: str, told: str | None) -> Rows:
    return select(
        Event.service.label("service"),
        Event.project.label("project"),
        (literal(None) if agent is None else _said(agent)).label("agent"),
        _said(target).label("target"),
        Event.name.label("step"),
        (literal("completed") if told is None else _went(_said(told))).label("status"),
    ).where(Event.name == name, Event.occurred_at >= START, Event.occurred_at < END)


def _outcomes() -> list[Rows]:
    told = [_said("outcome").label("step"), _went(_said("success")).label("status")]
    of_turns = (
        select(*_of_turn(), WorkflowTrace.trace_id, WorkflowTrace.entry_agent.label("agent"), *told)
        .join(Event, Event.trace_id == WorkflowTrace.trace_id)
        .where(_began(), Event.name == OUTCOME)
    )
    alone = (
        select(Event.service.label("service"), Event.project.label("project"), *told)
        .outerjoin(WorkflowTrace, WorkflowTrace.trace_id == Event.trace_id)
        .where(
            Event.name == OUTCOME,
            Event.occurred_at >= START,
            Event.occurred_at < END,
            WorkflowTrace.start_time.is_(None),
        )
    )
    return [of_turns, alone]


def _feedback() -> list[Rows]:
    good = or_(Feedback.score >= _GOOD_SCORE, Feedback.value.in_(("up", "4", "5")))
    bad = or_(Feedback.score < _BAD_SCORE, Feedback.value.in_(("down", "1", "2")))
    told = [
        Feedback.kind.label("step"),
        Feedback.value.label("target"),
        case((good, "completed"), (bad, "failed"), else_="").label("status"),
    ]
    of_turns = (
        select(*_of_turn(), WorkflowTrace.trace_id, WorkflowTrace.entry_agent.label("agent"), *told)
        .join(Feedback, Feedback.trace_id == WorkflowTrace.trace_id)
        .where(_began())
    )
    alone = (
        select(Feedback.service.label("service"), Feedback.project.label("project"), *told)
        .outerjoin(WorkflowTrace, WorkflowTrace.trace_id == Feedback.trace_id)
        .where(
            Feedback.given_at >= START,
            Feedback.given_at < END,
            WorkflowTrace.start_time.is_(None),
        )
    )
    return [of_turns, alone]


def _turns() -> Rows:
    return select(
        *_of_turn(),
        WorkflowTrace.trace_id,
        WorkflowTrace.entry_agent.label("agent"),
        WorkflowTrace.outcome.label("step"),
        WorkflowTrace.status.label("status"),
        WorkflowTrace.duration_ms.label("duration_ms"),
        WorkflowTrace.input_tokens.label("input_tokens"),
        WorkflowTrace.output_tokens.label("output_tokens"),
        WorkflowTrace.total_cost.label("cost"),
    ).where(_began())


def _with_prompts(rows: Rows) -> Rows:
    """Return the rows once for each prompt, version and variant that their turn used."""
    turns = rows.subquery()
    uses = (
        select(
            LlmCallLog.trace_id,
            LlmCallLog.prompt_name.label("prompt"),
            LlmCallLog.prompt_version.label("prompt_version"),
            LlmCallLog.prompt_label.label("label"),
            LlmCallLog.prompt_variant.label("variant"),
        )
        .where(
            LlmCallLog.prompt_name.is_not(None),
            LlmCallLog.start_time >= START,
            LlmCallLog.trace_id.in_(select(turns.c.trace_id)),
        )
        .distinct()
        .subquery()
    )
    kept = [column for column in turns.c if column.name != "trace_id"]
    named = [column for column in uses.c if column.name != "trace_id"]
    return select(*kept, *named).join(uses, uses.c.trace_id == turns.c.trace_id)


def _said(name: str) -> ColumnElement[Any]:
    # By the plain type: what the column's own type hides is content, and these words are none.
    return cast(type_coerce(Event.attributes, JsonDocument)[name].as_string(), Text)


def _went(told: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return completed, failed, or nothing where it isn't known."""
    word = func.lower(told)
    return case(
        (word.in_((*_YES, "ok")), "completed"), (word.in_((*_NO, "error")), "failed"), else_=""
    )
