"""A daily report as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

Record = dict[str, Any]

_MEASURES = {
    "failure_ratio": "Failed turns",
    "avg_ms": "Average turn",
    "p50_ms": "Median turn",
    "p95_ms": "95th percentile of turns",
    "cost_usd": "Cost of a turn",
    "input_tokens": "Input tokens of a turn",
    "output_tokens": "Output tokens of a turn",
}


def subject(report: Record) -> str:
    """Return a line that says the most important."""
    turns, calls = report["turns"], report["calls"]
    if turns is None:
        return f"Midwatch {report['day']}: no turns"
    failed = f"{turns['failure_ratio']:.1%} failed"
    cost = _dollars(calls["cost_usd"] if calls else 0.0)
    return f"Midwatch {report['day']}: {turns['count']:,} turns, {failed}, {cost}"


def markdown(report: Record) -> str:
    """Return the report (`reports.as_document`) as Markdown."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Record) -> Iterator[str]:
    yield f"# Midwatch, {report['day']} (UTC)"
    yield ""
    if not report["complete"]:
        yield "*Not complete: the day isn't over, or sums are still being made.*"
        yield ""
    yield from _turns(report)
    yield from _section("Changes", _changes(report))
    yield from _section("Alerts", [_alert(one) for one in report["alerts"]])
    yield from _costs("Cost by agent", report["cost_by_agent"])
    yield from _costs("Cost by model", report["cost_by_model"])
    yield from _costs("Dearest sessions", report["dearest_sessions"])
    yield from _section("Outcomes", [_outcome(one) for one in report["outcomes"]])
    feedback = report["feedback"]
    if any(feedback.values()):
        told = ", ".join(f"{count} {name}" for name, count in feedback.items())
        yield from _section("Feedback", [told])
    yield from _section("Budgets", [_budget(one) for one in report["budgets"]])
    yield from _section("What could be saved", [_advice(one) for one in report["recommendations"]])


def _turns(report: Record) -> Iterator[str]:
    turns, before, calls = report["turns"], report["turns_before"], report["calls"]
    if turns is None:
        yield "No turns."
        return
    earlier = f" (the day before {before['count']:,})" if before else ""
    yield f"- {turns['count']:,} turns{earlier}, {turns['failed']:,} failed"
    if calls:
        yield f"- {calls['count']:,} model calls for {_dollars(calls['cost_usd'])}"
        if calls["priced"] < calls["count"]:
            yield f"- {calls['count'] - calls['priced']:,} calls without a known cost"
    for one in report["against_day_before"]:
        if one["verdict"] in ("better", "worse"):
            old, new = one["baseline"]["estimate"], one["candidate"]["estimate"]
            name = _MEASURES.get(one["measure"], one["measure"])
            told = f"{_number(one['measure'], old)} to {_number(one['measure'], new)}"
            yield f"- {name}: {one['verdict']} than the day before, {told}"


def _changes(report: Record) -> list[str]:
    return [
        f"{_text(one['at'])}: {one['measure']} of {one['kind']} moved from "
        f"{_number(one['measure'], one['before'])} to {_number(one['measure'], one['after'])} "
        f"({one['confidence']:.1%} sure)"
        for one in report["changes"]
    ]


def _costs(title: str, items: list[Record]) -> Iterator[str]:
    if not items:
        return
    yield from (
        "",
        f"## {title}",
        "",
        "| | cost | share | model calls |",
        "| --- | ---: | ---: | ---: |",
    )
    for item in items:
        yield (
            f"| {_text(item['subject']) or '(none)'} | {_dollars(item['cost_usd'])} "
            f"| {item['share']:.1%} | {item['llm_calls']:,} |"
        )


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    found = [f"- {line}" for line in lines]
    if found:
        yield from ("", f"## {title}", "", *found)


def _alert(one: Record) -> str:
    return (
        f"{_text(one['alert'])} ({_text(one['severity']) or 'no severity'}): {one['times']} times"
    )


def _outcome(one: Record) -> str:
    success = one["success"]
    told = f"{success['ratio']:.1%} succeeded" if success else "success unknown"
    agent = _text(one["group"].get("agent") or "(no agent)")
    return f"{agent}: {one['count']:,} outcomes, {told}"


def _budget(one: Record) -> str:
    return (
        f"{one['scope']} {_text(one['scope_value'])}, {one['period']}: "
        f"{_dollars(one['spent_usd'])} of {_dollars(one['amount_usd'])} spent, "
        f"{_dollars(one['forecast_usd'])} at its end"
    )


def _advice(one: Record) -> str:
    about = ", ".join(f"{name} {_text(value)}" for name, value in one["subject"].items() if value)
    saving = "" if one["monthly_usd"] is None else f", {_dollars(one['monthly_usd'])} a month"
    return f"{one['kind'].replace('_', ' ')} ({about}){saving}: {one['advice']}"


def _number(measure: str, value: float) -> str:
    if measure.endswith("_ms"):
        return f"{value:,.0f} ms"
    if measure.endswith("_usd"):
        return _dollars(value)
    return f"{value:.1%}" if measure.endswith("_ratio") else f"{value:,.0f}"


def _dollars(value: float) -> str:
    return f"${value:,.2f}" if abs(value) >= 1 else f"${value:,.4f}"


def _text(value: str) -> str:
    """Return what others have named, on one line and without Markdown of its own."""
    kept = " ".join(str(value).split())
    for sign in "\\`*_[]<>|#":
        kept = kept.replace(sign, f"\\{sign}")
    return kept
