"""S4's questions about executions and model calls."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import Connection

from midwatch_ledger.store import reading, writing
from midwatch_ledger.store.reading import Criteria, Page, Record


def list_executions(
    connection: Connection, criteria: Criteria, page: Page, *, include_llm_calls: bool
) -> list[Record]:
    """Return executions, newest first, with their direct model calls if asked for."""
    records = reading.executions(connection, criteria, page)
    return _with_calls(connection, records) if include_llm_calls else records


def one_execution(
    connection: Connection, execution_id: str, *, include_llm_calls: bool
) -> list[Record]:
    """Return all executions of an execution id in order of time."""
    records = reading.executions_of(connection, execution_id)
    return _with_calls(connection, records) if include_llm_calls else records


def delete_execution(connection: Connection, execution_id: str) -> dict[str, int]:
    """Delete all that is kept of an execution; return the number of rows by table.

    Executions of one id may lie in several traces. These go as a whole: their spans and events tell
    the same story.
    """
    deleted: Counter[str] = Counter()
    found = {row["trace_id"] for row in reading.executions_of(connection, execution_id)}
    for trace_id in sorted({execution_id, *found}):
        deleted.update(writing.delete_trace(connection, trace_id))
    return dict(deleted)


def _with_calls(connection: Connection, records: list[Record]) -> list[Record]:
    calls = reading.llm_calls_of(connection, records)
    return [{**record, "llm_calls": calls.get(record["id"], [])} for record in records]
