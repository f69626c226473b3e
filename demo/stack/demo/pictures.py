"""What the demo shows: one trace as a tree, the messages as received, where to look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from stack.client import ProgramStatus
from stack.demo.paging import Page, headline
from stack.demo.steps import Outcome, Verdict
from stack.invocation import command

_SINK_NAMES = {"slack": "Slack", "smtp": "Email"}


def trace_tree(trace: Mapping[str, Any]) -> Tree:
    """Return a trace with durations, tokens and cost."""
    cost = trace["total_cost"]
    tree = Tree(
        f"[bold]trace {trace['trace_id']}[/]  {trace['duration_ms'] or 0} ms  "
        f"{trace['span_count']} spans  {trace['input_tokens']}+{trace['output_tokens']} tokens"
        + (f"  ${float(cost):.6f}" if cost is not None else "")
    )
    for span in trace["spans"]:
        _grow(tree, span)
    return tree


def _grow(parent: Tree, span: Mapping[str, Any]) -> None:
    parts = [f"[bold]{escape(span['name'])}[/]", f"[dim]{span['duration_ms']:.0f} ms[/]"]
    if span["input_tokens"] is not None:
        parts.append(f"[cyan]{span['input_tokens']}+{span['output_tokens'] or 0} tokens[/]")
    if span["cost"] is not None:
        parts.append(f"[green]${float(span['cost']):.6f}[/]")
    if span["status"].lower() == "error":
        parts.append(f"[red]{escape(span['error_type'] or 'error')}[/]")
    branch = parent.add("  ".join(parts))
    for child in span["children"]:
        _grow(branch, child)


def page_panel(page: Page) -> Panel:
    """Return a message as the person on call sees it."""
    if page.sink == "slack":
        body = _slack_text(page.message)
    else:
        headers = page.message["headers"]
        body = "\n".join(
            [
                f"From: {headers.get('From', '')}",
                f"To: {headers.get('To', '')}",
                f"Subject: {page.message['subject']}",
                "",
                (page.message["text"] or "(HTML only)").strip(),
            ]
        )
    title = f"{_SINK_NAMES[page.sink]}, {page.seconds:.1f} s after the fault"
    return Panel(Text(body), title=title, title_align="left", expand=False)


def _slack_text(message: Mapping[str, Any]) -> str:
    payload = message["payload"]
    lines = [str(payload.get("channel") or ""), headline(dict(message))]
    for attachment in payload.get("attachments") or []:
        lines += [str(attachment.get(key) or "").strip() for key in ("pretext", "text")]
        for field in attachment.get("fields") or []:
            lines.append(f"{field.get('title')}: {field.get('value')}")
        for action in attachment.get("actions") or []:
            lines.append(f"[{action.get('text')}] {action.get('url')}")
    return "\n".join(line for line in lines if line)


PLACES: Mapping[str, tuple[str, str]] = {
    "grafana": ("boards", ""),
    # Prometheus as the Go proxy has it comes without its pages; its answers it has.
    "prometheus": ("alerts as rules see them", "/api/v1/alerts"),
    "alertmanager": ("alerts", ""),
    "ledger": ("what agents did, as conversations", "/console/sessions"),
    "security-agent": ("an agent's own metrics", "/metrics"),
    "slack": ("what Slack got", "/messages"),
    "smtp": ("what came by mail", "/messages"),
}
"""What there is to see, and at which path of which program."""


def where_to_look(
    programs: Mapping[str, ProgramStatus], directory: str, trace: Mapping[str, Any] | None
) -> Group:
    """Return addresses and commands for what comes next."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, (what, path) in PLACES.items():
        if name in programs and programs[name].url:
            table.add_row(what, f"{programs[name].url}{path}")
    if trace is not None and "ledger" in programs:
        url = f"{programs['ledger'].url}/console/sessions/{trace['trace_id']}"
        table.add_row("the trace above", url)
    for what, line in {
        "all programs": command("stack", "status", "--directory", directory),
        "a program's log": command("stack", "logs", "collector", "-f", "--directory", directory),
        "what can go wrong": command("incidents", "list"),
        "another incident": command("incidents", "start", "handoff-loop", "--stack", directory),
    }.items():
        table.add_row(what, line)
    return Group(Text("Where to look", style="bold"), table)


def closing_words(pages: Sequence[Page], again: str) -> Text:
    """Return what remains on the screen: how fast the page came, and how to see it once more.

    Args:
        pages: as they arrived; empty when none did.
        again: the command that ran this demo.
    """
    lines = [f"once more: {again}"]
    if pages:
        said = ", ".join(f"{_SINK_NAMES[page.sink]} {page.seconds:.1f} s" for page in pages)
        lines.insert(0, f"from fault to page: {said} ({pages[0].alert})")
    return Text("\n".join(lines), overflow="ignore", no_wrap=True)


def failure_table(outcomes: list[Outcome], logs: Mapping[str, str]) -> Table:
    """Return what was not seen to work, and which logs to read."""
    table = Table(title="Not seen to work", title_justify="left")
    for heading in ("step", "what happened", "logs"):
        table.add_column(heading, overflow="fold")
    for outcome in outcomes:
        if outcome.verdict is not Verdict.SEEN:
            paths = "\n".join(logs[name] for name in outcome.programs if name in logs)
            words = outcome.words.splitlines()[0] if outcome.words else ""
            table.add_row(escape(outcome.title), escape(words), escape(paths))
    return table
