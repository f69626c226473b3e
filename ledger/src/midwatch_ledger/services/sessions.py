"""Sessions, the newest first, and one of them turn by turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from midwatch_ledger.services import conversations, trees, waterfalls
from midwatch_ledger.store import sessions as store
from midwatch_ledger.store.reading import Criteria
from midwatch_ledger.store.sessions import TraceMark

Record = dict[str, Any]

_TRACES_PER_READ = 200
_MOST_READS = 10


@dataclass(frozen=True)
class SessionPage:
    """Some sessions, and after which trace the next page begins; None: there is none."""

    sessions: list[Record]
    following: TraceMark | None


def page(
    connection: Connection, criteria: Criteria, *, limit: int, after: TraceMark | None = None
) -> SessionPage:
    """Return sessions by their newest matching turn.

    A trace without a session stands for itself. A session is where its newest turn is, so that
    pages give each once.
    """
    found: list[Record] = []
    told: set[str] = set()
    for _ in range(_MOST_READS):
        traces = store.traces(connection, criteria, _TRACES_PER_READ, after)
        ids = sorted({trace["session_id"] for trace in traces if trace["session_id"]})
        sums = store.sums(connection, criteria, ids)
        for trace in traces:
            after = TraceMark(trace["start_time"], trace["trace_id"])
            session_id = trace["session_id"]
            if not session_id:
                found.append({**_alone(trace), **_about(trace)})
            # Of turns that begin at once, the first tells of the session.
            elif session_id not in told and sums[session_id]["last_time"] == trace["start_time"]:
                told.add(session_id)
                found.append({**sums[session_id], **_about(trace)})
            if len(found) == limit:
                return SessionPage(found, after)
        if len(traces) < _TRACES_PER_READ:
            return SessionPage(found, None)
    return SessionPage(found, after)


def turns(connection: Connection, identifier: str, *, limit: int) -> list[Record] | None:
    """Return the newest turns of a session, or a trace, in the order in which they happened.

    Each is the trace with what was said (`items`) and how its time was spent (`rows`). None if
    there is nothing of this name.
    """
    found = trees.find(connection, identifier, limit=limit)
    if found is None:
        return None
    return [_turn(connection, trace) for trace in reversed(found["traces"])]


def _turn(connection: Connection, trace: Record) -> Record:
    executions, calls = store.rows_of(connection, trace)
    return {
        **trace,
        "items": conversations.items(trace, executions, calls),
        "rows": waterfalls.rows(trace),
    }


def _alone(trace: Record) -> Record:
    return {
        "turns": 1,
        "failed": int(trace["status"] == "failed"),
        "first_time": trace["start_time"],
        "last_time": trace["start_time"],
        **{name: trace[name] for name in ("llm_calls", "tool_calls", "total_tokens", "total_cost")},
    }


def _about(trace: Record) -> Record:
    copied = ("session_id", "trace_id", "project", "service", "entry_agent", "outcome", "status")
    return {name: trace[name] for name in copied}
