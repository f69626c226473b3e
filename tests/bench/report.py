"""The figures as tables on a terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table


def show(result: dict[str, Any], console: Console) -> None:
    """Print a table for each part that was measured."""
    parts: dict[str, Callable[[Any], Table]] = {
        "comparison": _comparison,
        "demo": _demo,
        "outages": _outages,
        "memory": _memory,
    }
    for name, table in parts.items():
        if name in result:
            console.print(table(result[name]))


def _comparison(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="CPU added to a run, ms: median of the rounds (first to third quartile)")
    cases = list(dict.fromkeys(row["case"] for row in rows))
    table.add_column("contestant")
    for case in cases:
        table.add_column(case, justify="right")
    table.add_column("spans", justify="right")
    for label in dict.fromkeys(row["label"] for row in rows):
        of_label = {row["case"]: row for row in rows if row["label"] == label}
        spans = next((f"{row['spans']:.0f}" for row in of_label.values() if "spans" in row), "")
        table.add_row(label, *(_added(of_label[case]) for case in cases), spans)
    return table


def _added(row: dict[str, Any]) -> str:
    if "failed" in row:
        return "ended"
    if row["contestant"] == "bare":
        return f"({row['cpu_ms']:.2f} in all)"
    low, high = row["added_quartiles_ms"]
    promised = f" ≤ {row['promised_ms']:.1f}?" if row.get("promised_ms") else ""
    return f"+{row['added_ms']:.2f} ({low:.2f}-{high:.2f}){promised}"


def _demo(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="Turns of the demo")
    for name in ("application", "turn, ms", "with the shim", "added", "CPU, ms", "with the shim"):
        table.add_column(name, justify="left" if name == "application" else "right")
    for row in rows:
        table.add_row(
            row["application"],
            f"{row['turn_ms']:.1f}",
            f"{row['turn_with_shim_ms']:.1f}",
            f"{row['added_ms']:+.1f} ms ({row['added_percent']:+.1f} %)",
            f"{row['cpu_ms']:.1f}",
            f"{row['cpu_with_shim_ms']:.1f}",
        )
    return table


def _outages(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="Time of a turn while the collector is so, ms: median / 99th percentile")
    for name in ("collector", "bare", "opentelemetry", "midwatch", "p99 beyond the official"):
        table.add_column(name, justify="left" if name == "collector" else "right")
    for row in rows:
        if "failed" in row:
            table.add_row(row["mode"], row["failed"])
            continue
        shown = [
            f"{row[name]['p50_ms']:.2f} / {row[name]['p99_ms']:.2f}"
            for name in ("bare", "opentelemetry", "midwatch")
        ]
        table.add_row(row["mode"], *shown, f"{row['beyond_official_p99_ms']:+.2f}")
    return table


def _memory(found: dict[str, Any]) -> Table:
    table = Table(title=f"Memory over {found['turns']:,} turns")
    for name in ("turns", "allocated blocks", "resident, MB"):
        table.add_column(name, justify="right")
    for point in found["points"][:: max(1, len(found["points"]) // 10)]:
        table.add_row(f"{point['turns']:,}", f"{point['blocks']:,}", f"{point['rss_mb']:.1f}")
    table.caption = (
        f"second half: {found['blocks_per_turn']:+.4f} blocks and "
        f"{found['bytes_per_turn']:+.1f} bytes a turn"
    )
    return table
