"""The figures in the page on overhead, between two marks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.bench.parts import measured_on, write_into


def rewrite(page: Path, figures: Path, result: dict[str, Any]) -> None:
    """Put the figures into the page, which links to the file that has them all."""
    missing = "".join(f" Without {name}: {why}." for name, why in result.get("missing", {}).items())
    parts = [measured_on(page, figures, result) + missing]
    if "comparison" in result:
        parts += [_comparison(result["comparison"]), _pictures()]
    if "demo" in result:
        parts.append(_demo(result["demo"]))
    if "outages" in result:
        parts += [_outages(result["outages"]), "![The 99th percentile](../benchmarks/outages.svg)"]
    if "memory" in result:
        parts += [_memory(result["memory"]), "![Memory](../benchmarks/memory.svg)"]
    write_into(page, "make bench", parts)


def _comparison(rows: list[dict[str, Any]]) -> str:
    cases = list(dict.fromkeys(row["case"] for row in rows))
    lines = [
        "### CPU added to a run",
        "",
        "Milliseconds, the median of all rounds; below it from the first to the third quartile.",
        "",
        f"| contestant, content | {' | '.join(cases)} | spans a run |",
        f"| --- |{' ---: |' * (len(cases) + 1)}",
    ]
    for label in dict.fromkeys(row["label"] for row in rows):
        by_case = {row["case"]: row for row in rows if row["label"] == label}
        spans = next((f"{row['spans']:.0f}" for row in by_case.values() if "spans" in row), "")
        cells = " | ".join(_added(by_case[case]) for case in cases)
        lines.append(f"| {label} | {cells} | {spans} |")
    return "\n".join(lines)


def _added(row: dict[str, Any]) -> str:
    if "failed" in row:
        return "ended"
    if row["contestant"] == "bare":
        return f"*{row['cpu_ms']:.2f} in all*"
    low, high = row["added_quartiles_ms"]
    return f"+{row['added_ms']:.2f} ({low:.2f} to {high:.2f})"


def _pictures() -> str:
    return (
        "![CPU added, code that blocks](../benchmarks/added-cpu-sync.svg)\n\n"
        "![CPU added, code that awaits](../benchmarks/added-cpu-async.svg)"
    )


def _demo(rows: list[dict[str, Any]]) -> str:
    lines = [
        "### Turns of the demo",
        "",
        "| application | turn, ms | with the shim, ms | added | CPU, ms | with the shim, ms |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row['application']} | {row['turn_ms']:.1f} | {row['turn_with_shim_ms']:.1f} | "
        f"{row['added_ms']:+.1f} ms, {row['added_percent']:+.1f} % | {row['cpu_ms']:.1f} | "
        f"{row['cpu_with_shim_ms']:.1f} |"
        for row in rows
    ]
    return "\n".join(lines)


def _outages(rows: list[dict[str, Any]]) -> str:
    lines = [
        "### A turn while the collector is away",
        "",
        "Milliseconds of a run, median and 99th percentile.",
        "",
        "| collector | bare | official | Midwatch | Midwatch's 99th beyond the official |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        if "failed" in row:
            lines.append(f"| {row['mode']} | {row['failed']} | | | |")
            continue
        cells = " | ".join(
            f"{row[name]['p50_ms']:.2f}, {row[name]['p99_ms']:.2f}"
            for name in ("bare", "opentelemetry", "midwatch")
        )
        lines.append(f"| {row['mode']} | {cells} | {row['beyond_official_p99_ms']:+.2f} |")
    return "\n".join(lines)


def _memory(found: dict[str, Any]) -> str:
    first, last = found["points"][len(found["points"]) // 2], found["points"][-1]
    return (
        "### Memory\n\n"
        f"Over {found['turns']:,} turns of a thousand sessions, content redacted: "
        f"{first['rss_mb']:.1f} MB resident after half of them, {last['rss_mb']:.1f} MB at the "
        f"end; in the second half {found['blocks_per_turn']:+.4f} allocated blocks and "
        f"{found['bytes_per_turn']:+.1f} bytes a turn."
    )
