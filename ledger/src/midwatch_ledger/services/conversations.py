"""A turn as a conversation: what was asked, what models and tools said, what was decided."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from midwatch.registry import events

from midwatch_ledger.services import conventions as names
from midwatch_ledger.services.messages import Part, Said, as_text, read

Record = dict[str, Any]
ItemKind = Literal["user", "agent", "tool", "note"]

_NOTED = {
    events.ROUTE_SELECTED.name: ("routed to", "selected_agent"),
    events.HANDOFF.name: ("handed over to", "to_agent"),
    events.HANDOFF_LOOP.name: ("handoffs in a loop with", "to_agent"),
    events.GUARDRAIL_DECIDED.name: ("guardrail said", "decision"),
    events.SELFRAG_DECIDED.name: ("retrieval was judged", "decision"),
}


@dataclass(frozen=True)
class Item:
    """One thing that was said or done; `record` is the row that it comes from."""

    kind: ItemKind
    who: str
    time: datetime | None
    parts: tuple[Part, ...]
    span_id: str | None = None
    failed: bool = False
    record: Record = field(default_factory=dict)


def items(trace: Record, executions: list[Record], calls: list[Record]) -> list[Item]:
    """Return what happened in a turn, in order."""
    turn = _turn(trace, executions)
    middle = [
        *(_of_call(call) for call in calls),
        *(_of_tool(one) for one in executions if one["execution_step"] == names.TOOL_CALL),
        *_notes(trace),
    ]
    middle.sort(key=lambda item: (item.time is None, item.time))
    closing = _closing(turn, middle)
    return [*_opening(turn, calls), *middle, *closing]


def _turn(trace: Record, executions: list[Record]) -> Record | None:
    """Return the execution that is the turn itself: the one that nothing else is above."""
    roots = {span["span_id"] for span in trace["spans"]}
    for execution in executions:
        whole = execution["span_id"] in roots and execution["execution_step"] != names.TOOL_CALL
        if whole or execution["execution_step"] == names.TURN_STEP:
            return execution
    return None


def _opening(turn: Record | None, calls: list[Record]) -> list[Item]:
    asked = _last(read(turn["input_data"]), "user") if turn is not None else None
    source = turn
    if asked is None and calls:
        asked, source = _last(read(calls[0]["prompt"]), "user"), calls[0]
    if asked is None or source is None:
        return []
    return [Item("user", "User", source["start_time"], asked.parts, source["span_id"])]


def _closing(turn: Record | None, middle: list[Item]) -> list[Item]:
    if turn is None:
        return []
    answered = _last(read(turn["output_data"]), "assistant")
    if answered is None:
        return []
    told = {part.text.strip() for item in middle for part in item.parts if item.kind == "agent"}
    if answered.text.strip() in told:
        return []
    failed = turn["status"] == "failed"
    who = turn["agent_type"]
    return [Item("agent", who, turn["end_time"], answered.parts, turn["span_id"], failed, turn)]


def _of_call(call: Record) -> Item:
    parts = [part for said in read(call["response"]) for part in said.parts]
    if call["error_message"]:
        parts.append(Part("text", call["error_message"]))
    who = call["agent"] or call["provider"]
    failed = call["status"] == "failed"
    return Item("agent", who, call["start_time"], tuple(parts), call["span_id"], failed, call)


def _of_tool(execution: Record) -> Item:
    parts = []
    if execution["input_data"] is not None:
        parts.append(_content("call", execution["input_data"]))
    if execution["output_data"] is not None:
        parts.append(_content("result", execution["output_data"]))
    if execution["error_message"]:
        parts.append(Part("text", execution["error_message"]))
    failed = execution["status"] == "failed"
    who = execution["action_type"] or "tool"
    time = execution["start_time"]
    return Item("tool", who, time, tuple(parts), execution["span_id"], failed, execution)


def _content(kind: Literal["call", "result"], value: Any) -> Part:
    said = read(value)
    if said and said[0].parts and said[0].parts[0].kind == "hidden":
        return said[0].parts[0]
    return Part(kind, as_text(value))


def _notes(trace: Record) -> list[Item]:
    found = []
    waiting = [(span["span_id"], span) for span in trace["spans"]]
    told = [(None, event) for event in trace["events"]]
    while waiting:
        span_id, span = waiting.pop()
        told += [(span_id, event) for event in span["events"]]
        waiting += [(child["span_id"], child) for child in span["children"]]
    for span_id, event in told:
        if event["source"] == "log" and event["name"] in _NOTED:
            verb, name = _NOTED[event["name"]]
            what = event["attributes"].get(name)
            why = event["attributes"].get("reason")
            text = f"{verb} {what}" + (f" ({why})" if why else "")
            found.append(Item("note", event["name"], event["time"], (Part("text", text),), span_id))
    return found


def _last(messages: list[Said], role: str) -> Said | None:
    """Return the last message of a role; where roles aren't told, the last of all."""
    fitting = [said for said in messages if said.role in (role, "") and said.parts]
    return fitting[-1] if fitting else None
