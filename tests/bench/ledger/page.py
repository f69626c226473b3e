"""The figures in the page on what the ledger costs, between two marks."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.parts import measured_on, write_into

_LABELS = {"midwatch": "the ledger", "mlflow": "MLflow", "phoenix": "Arize Phoenix"}


def middle_of(measured: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Each server's medians over the rounds, by what was measured."""
    names = dict.fromkeys(one["name"] for one in measured)
    return {
        name: {
            key: median(one[key] for one in measured if one["name"] == name)
            for key in measured[0]
            if key not in ("name", "round")
        }
        for name in names
    }


def rewrite(page: Path, figures: Path, result: dict[str, Any]) -> None:
    """Put the figures into the page, which links to the file that has them all."""
    parts = [measured_on(page, figures, result)]
    if "ingest" in result:
        parts += [_ingest(result["ingest"]), "![Servers](../benchmarks/ledger-ingest.svg)"]
    if "postgresql" in result:
        parts.append(_postgresql(result["postgresql"]))
    if "scale" in result:
        parts += [_scale(result["scale"]), "![Routes](../benchmarks/ledger-scale.svg)"]
    write_into(page, "make bench-ledger", parts)


def _ingest(measured: list[dict[str, Any]]) -> str:
    middle = middle_of(measured)
    ours = middle.get("midwatch", {}).get("spans_per_cpu_second")
    lines = [
        "### Into an empty SQLite file",
        "",
        "| | spans | spans a CPU second | in ours | memory | ready in | bytes a span |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, one in middle.items():
        rate = one["spans_per_cpu_second"]
        ratio = f"{ours / rate:.0f} times" if ours and name != "midwatch" else ""
        lines.append(
            f"| {_LABELS[name]} | {one['spans']:,.0f} | {rate:,.0f} | {ratio} | "
            f"{one['memory_mib']:,.0f} MiB | {one['ready_seconds']:.1f} s | "
            f"{one['bytes_per_span']:,.0f} |"
        )
    return "\n".join(lines)


def _postgresql(found: dict[str, Any]) -> str:
    return (
        "### Into PostgreSQL\n\n"
        f"{found['ledger_microseconds']:.0f} µs of CPU a span in the ledger and "
        f"{found['database_microseconds']:.0f} µs in the database: "
        f"{found['spans_per_two_cpu_seconds']:,.0f} spans a second with two cores of its own, "
        f"{found['spans_per_second']:,.0f} seen on the machine's shared ones. At "
        f"{found['rate']:,} spans a second the last span of a request was committed "
        f"{found['lag_seconds']:.2f} s after it was due, at most."
    )


def _scale(found: dict[str, Any]) -> str:
    lines = [
        f"### Routes over {found['model_calls']:,} model calls",
        "",
        f"Milliseconds; each route was asked {found['times']} times, a very slow one less often.",
        "",
        "| route | least | median | 95th percentile |",
        "| --- | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {name} | {one['least']:.0f} | {one['p50']:.0f} | {one['p95']:.0f} |"
        for name, one in found["routes"].items()
    ]
    return "\n".join(lines)
