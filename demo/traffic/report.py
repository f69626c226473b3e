"""Tells how the load is doing: a live table on a terminal, JSON lines elsewhere."""

from __future__ import annotations

import asyncio
import json
import sys

from rich.console import Console
from rich.live import Live
from rich.table import Table

from traffic.driver import Driver
from traffic.statistics import Summary

_REFRESH_SECONDS = 0.5


async def report_until_cancelled(driver: Driver, every_seconds: float, console: Console) -> None:
    """Report as long as the driver runs."""
    if not console.is_terminal:
        while True:
            await asyncio.sleep(every_seconds)
            _write_line("traffic", driver.statistics.summary())
    with Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(as_table(driver.statistics.summary()), refresh=True)
            await asyncio.sleep(_REFRESH_SECONDS)


def tell_end(summary: Summary, console: Console) -> None:
    """Tell the figures of a run that has ended."""
    if console.is_terminal:
        console.print(as_table(summary))
    else:
        _write_line("traffic.finished", summary)


def _write_line(event: str, summary: Summary) -> None:
    sys.stdout.write(json.dumps({"event": event, **summary.as_dict()}) + "\n")
    sys.stdout.flush()


def as_table(summary: Summary) -> Table:
    """Return the figures as a table."""
    table = Table(title=f"traffic for {summary.elapsed_seconds:.0f} s", show_header=False)
    kinds = ", ".join(f"{kind} {count}" for kind, count in summary.kinds.items())
    rows = {
        "arrivals": f"{summary.arrivals} ({summary.in_flight} under way, {summary.shed} shed)",
        "requests": f"{summary.requests}: {summary.ok} ok, {summary.refused} refused, "
        f"{summary.failed} failed, {summary.unreachable} unreachable",
        "latency": f"p50 {summary.p50_seconds:.2f} s, p95 {summary.p95_seconds:.2f} s",
        "kinds": kinds or "none yet",
        "last failure": summary.last_failure or "none",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table
