"""Where the time of turns goes, by agent, tool, model and what they call, from sampled traces."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection

from midwatch_ledger.services import conventions as names
from midwatch_ledger.services.time_use import Stretch, critical_path, own_times, tree
from midwatch_ledger.store import rollups, samples
from midwatch_ledger.store.places import places
from midwatch_ledger.store.sums import Question, sums

Record = dict[str, Any]

_MOST_SPANS = 10_000
_MOST_PARTS = 50
_NANOSECONDS = 1_000_000


@dataclass
class _Use:
    """What one part took in all sampled traces, in nanoseconds."""

    spans: int = 0
    own: int = 0
    critical: int = 0


def bottlenecks(connection: Connection, question: Question, sample: int) -> Record:
    """Return where the time of turns goes: by part and by agent, the most critical first.

    Traces are taken at places that divide the period's traffic evenly. Traces of more than 1,000
    spans are left out.
    """
    begins = begins_of(connection, question)
    sampled = samples.traces(connection, begins, question.end, question.equal, sample)
    rows = samples.spans(connection, sampled, _MOST_SPANS)
    parts: dict[tuple[str, str], _Use] = defaultdict(_Use)
    agents: dict[str, _Use] = defaultdict(_Use)
    durations: list[int] = []
    for _, trace in groupby(rows, key=lambda row: row["trace_id"]):
        found = list(trace)
        stretches = [stretch(row) for row in found]
        root, _ = tree(stretches)
        durations.append(root.end - root.start)
        own, critical = own_times(stretches), critical_path(stretches)
        for row in found:
            for use in (parts[part_of(row)], agents[row["nearest_agent"] or ""]):
                use.spans += 1
                use.own += own[row["span_id"]]
                use.critical += critical.get(row["span_id"], 0)
    return {
        "start_date": question.start,
        "end_date": question.end,
        "sampled_traces": len(durations),
        "sampled_spans": len(rows),
        "avg_turn_ms": sum(durations) / len(durations) / _NANOSECONDS if durations else None,
        "parts": list(
            _told([({"kind": kind, "name": name}, use) for (kind, name), use in parts.items()])
        ),
        "agents": list(_told([({"agent": name}, use) for name, use in agents.items()])),
    }


def begins_of(connection: Connection, question: Question) -> list[datetime]:
    """Return the places of a period that divide its turns evenly."""
    asked = replace(question, kind="trace", equal={}, group_by=(), over_time=True, columns=())
    return begins_among(sums(connection, asked), question)


def begins_among(turns: Iterable[Record], question: Question) -> list[datetime]:
    """Return the places that divide these turns evenly, which are sums over time of the period."""
    length = rollups.MINUTE if question.resolution == "minute" else rollups.HOUR
    # The first and the last hour can have less of the period than an hour.
    return places(
        [
            (max(start, question.start), min(start + length, question.end), int(row["count"]))
            for row in turns
            for start in (row["bucket"],)
        ]
    )


def stretch(row: Record) -> Stretch:
    """Return a span as time; a span that ends before it begins takes none."""
    start = int(row["start_unix_nanoseconds"])
    end = max(start, int(row["end_unix_nanoseconds"]))
    return Stretch(row["span_id"], row["parent_span_id"], start, end)


def part_of(row: Record) -> tuple[str, str]:
    """Return what a span is: a model, a tool, an agent, a call over the network, or else."""
    if row["role"] == names.LLM_CALL_ROLE:
        return "model", row["model"] or "unknown"
    if row["operation"] == names.TOOL_CALL:
        return "tool", row["tool"] or row["name"]
    if row["operation"] == "invoke_agent":
        return "agent", row["agent"] or row["name"]
    if row["kind"] == "client":
        return "http", row["address"] or row["name"]
    return "other", row["name"]


def _told(uses: list[tuple[Record, _Use]]) -> Iterator[Record]:
    own = sum(use.own for _, use in uses) or 1
    critical = sum(use.critical for _, use in uses) or 1
    uses.sort(key=lambda one: (-one[1].critical, -one[1].own, str(one[0])))
    for named, use in uses[:_MOST_PARTS]:
        yield {
            **named,
            "spans": use.spans,
            "own_ms": use.own / _NANOSECONDS,
            "own_share": use.own / own,
            "critical_ms": use.critical / _NANOSECONDS,
            "critical_share": use.critical / critical,
            "avg_own_ms": use.own / use.spans / _NANOSECONDS,
        }
