"""The collector's figures in the page on sizing, between two marks."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.parts import measured_on, write_into

_MODES = {
    "off": "`off`",
    "redacted": "`redacted`",
    "off, tail sampling": "`off`, tail sampling that keeps one in ten",
}
_STORES = {
    "ledger": "the ledger",
    "tempo": "Tempo",
    "prometheus": "Prometheus (samples)",
    "destination": "a destination of your own",
}


def rewrite(page: Path, figures: Path, result: dict[str, Any]) -> None:
    """Put the figures into the page, which links to the file that has them all."""
    head = f"One collector with the memory limit of its pod. {measured_on(page, figures, result)}"
    write_into(page, "make bench-collector", [head, written(result)])


def written(result: dict[str, Any]) -> str:
    """The tables of what was measured."""
    parts = []
    if "steady" in result:
        parts.append(_steady(result["steady"]))
    if "outage" in result:
        parts.append(_outage(result["outage"]))
    if "tiers" in result:
        parts.append(_tiers(result["tiers"]))
    return "\n\n".join(parts)


def _steady(rows: list[dict[str, Any]]) -> str:
    first = rows[0]
    lines = [
        "### While all stores are well",
        "",
        f"Spans with twelve attributes, {first['bytes_each_json']:,.0f} bytes each as OTLP/JSON, a "
        "hundred a request, delivered to the ledger and Tempo with span metrics; the median of "
        f"{len({row['round'] for row in rows})} rounds of {first['spans']:,} spans. They come "
        "within the wait after a root span: with tail sampling nearly all are in memory at once.",
        "",
        "| content | spans a CPU second | most memory |",
        "| --- | ---: | ---: |",
    ]
    for mode in dict.fromkeys(row["mode"] for row in rows):
        own = [row for row in rows if row["mode"] == mode]
        rate = median(row["spans_per_cpu_second"] for row in own)
        memory = max(row["memory_mib"] for row in own)
        lines.append(f"| {_MODES[mode]} | {rate:,.0f} | {memory:,.0f} MiB |")
    return "\n".join(lines)


def _outage(rows: list[dict[str, Any]]) -> str:
    first = rows[0]
    lost = sum(one["lost"] for row in rows for one in row["arrived"].values())
    most = max(row["memory_mib"] for row in rows)
    lines = [
        "### While a store is away",
        "",
        f"Each store refused connections for {first['seconds_away']:,.0f} s, while "
        f"{first['rate']} spans a second and as many samples came. Lost of everything that was "
        f"sent, in all stores: **{lost}**. Most memory: {most:,.0f} MiB.",
        "",
        "| away | sent | waited for it | arrived | lost | twice | on disk, each | all there after "
        "| spans a CPU second |",
        f"| --- |{' ---: |' * 8}",
    ]
    for row in rows:
        name = row["store"]
        own = row["arrived"][name]
        sent = row["samples_sent"] if name == "prometheus" else row["spans_sent"]
        lines.append(
            f"| {_STORES[name]} | {sent:,} | {row['waiting_at_return']:,} | {own['arrived']:,} | "
            f"{own['lost']} | {own['twice']} | {row['queue_bytes_each']:,.0f} bytes | "
            f"{row['caught_up_seconds']:.1f} s | {row['spans_per_cpu_second']:,.0f} |"
        )
    behind = max(number for row in rows for number in row["others_behind_at_return"].values())
    lines += [
        "",
        "*Twice* is what a store got again because the answer to it was lost. When a store came "
        f"back, no other store was more than {behind} spans or samples behind.{_alone(rows)}",
        "",
        "![Queue and memory while a store is away](benchmarks/collector-outage.svg)",
    ]
    return "\n".join(lines)


def _alone(rows: list[dict[str, Any]]) -> str:
    """Which stores' outages were not measured at the same time as the others'."""
    names = [_STORES[row["store"]] for row in rows if row.get("alone")]
    return f" The outage of {' and '.join(names)} was measured later and alone." if names else ""


def _tiers(rows: list[dict[str, Any]]) -> str:
    lines = [
        "### While samplers come and go",
        "",
        f"Two collectors that receive and two samplers (`balanceBy: shards`), {rows[0]['rate']} "
        "spans a second, each trace of four spans under way for 1.5 s, tail sampling that keeps "
        "what has failed. The ledger gets every span. Tempo has *in part* what came to two "
        "samplers, or to one that was told to stop in between and judged what it had.",
        "",
        "| samplers | traces | spans lost | twice | whole at one sampler | at two | failed | whole "
        "in Tempo | in part | missing |",
        f"| --- |{' ---: |' * 9}",
    ]
    lines += [
        f"| {row['case']} | {row['traces']:,} | {row['lost']} | {row['twice']} | "
        f"{row['whole_at_one_sampler']:,} | {row['at_two_samplers']} | {row['failed']:,} | "
        f"{row['failed_kept_whole']:,} | {row['failed_kept_in_part']} | {row['failed_missing']} |"
        for row in rows
    ]
    return "\n".join(lines)
