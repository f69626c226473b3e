"""Prompts that come again word by word: digests of them, as the prompts themselves are content."""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    Select,
    Text,
    case,
    cast,
    func,
    select,
    type_coerce,
)

from midwatch_ledger.models import LlmCallLog
from midwatch_ledger.store.newest import since
from midwatch_ledger.store.records import records
from midwatch_ledger.store.sums import Question

Record = dict[str, Any]

_DIGITS = 16


def prompts(connection: Connection, question: Question, most: int) -> list[Record]:
    """Return the newest model calls, the newest first: by whom, of which model, for how much.

    `digest` is the beginning of the SHA-256 of the prompt. It is there for all prompts that another
    of these calls by the same agent to the same model has as well, and for some others.
    """
    time = LlmCallLog.start_time
    period = (question.start, question.end)
    begin = since(connection, _calls(question, time), time, most, *period)
    columns: list[Any] = [
        time,
        LlmCallLog.model_id.label("model"),
        func.coalesce(LlmCallLog.agent, "").label("agent"),
        type_coerce(LlmCallLog.prompt, Text).label("prompt"),
        LlmCallLog.total_cost.label("cost"),
    ]
    call = _calls(question, *columns).where(time >= begin).limit(most).subquery().c
    length = _bytes(connection, call.prompt)
    # Long prompts lie beside their rows, compressed, but how long they are is told by the rows:
    # what has a length of its own is like no other, and isn't read.
    alike = func.count().over(partition_by=(call.model, call.agent, length))
    rows = records(
        connection,
        select(
            *(call.model, call.agent, call.cost, (length > 0).label("has_prompt")),
            case((alike > 1, _digest(connection, call.prompt))).label("digest"),
        ).order_by(call.start_time.desc()),
    )
    return _digested(rows) if connection.dialect.name == "sqlite" else rows


def _calls(question: Question, *columns: Any) -> Select[Any]:
    """Return the calls of a period that were completed, the newest first."""
    time = LlmCallLog.start_time
    narrowed = {"service": LlmCallLog.service, "project": LlmCallLog.project}
    return (
        select(*columns)
        .where(
            *(time >= question.start, time < question.end, LlmCallLog.status == "completed"),
            *(
                column == question.equal[name]
                for name, column in narrowed.items()
                if question.equal.get(name) is not None
            ),
        )
        .order_by(time.desc())
    )


def _bytes(connection: Connection, prompt: ColumnElement[str]) -> ColumnElement[int]:
    if connection.dialect.name == "sqlite":
        return func.coalesce(func.length(cast(prompt, LargeBinary)), 0)
    return func.coalesce(func.octet_length(prompt), 0)


def _digest(connection: Connection, prompt: ColumnElement[str]) -> ColumnElement[str]:
    """Return the digest; on SQLite, which can't make it, what is to be digested."""
    if connection.dialect.name == "sqlite":
        return prompt
    return func.left(func.encode(func.sha256(func.convert_to(prompt, "UTF8")), "hex"), _DIGITS)


def _digested(rows: list[Record]) -> list[Record]:
    for row in rows:
        if row["digest"] is not None:
            row["digest"] = hashlib.sha256(row["digest"].encode()).hexdigest()[:_DIGITS]
    return rows
