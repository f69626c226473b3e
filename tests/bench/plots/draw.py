"""Draws the figures of a benchmark: `python draw.py FIGURES.json` writes SVG files beside it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import collector_pictures
import ledger_pictures
import matplotlib  # type: ignore[import-not-found]
from ledger_pictures import NO_DATE, OTHERS, OURS, WARN
from matplotlib import pyplot

PLAIN = "#5b6b7f"


def comparison(rows: list[dict[str, Any]], folder: Path) -> None:
    """Bars of added CPU, one picture for blocking code and one for awaiting code."""
    for is_async in (False, True):
        cases = sorted({row["bytes"] for row in rows if row["async"] is is_async})
        figure, axes = pyplot.subplots(1, len(cases), figsize=(9, 4.2), sharey=True)
        for axis, size in zip(axes, cases, strict=True):
            _bars(axis, [row for row in rows if row["async"] is is_async and row["bytes"] == size])
            axis.set_title(f"{size >> 10} KB of history")
            axis.set_xlabel("CPU added to a run, ms")
        axes[0].invert_yaxis()
        kind = "async" if is_async else "sync"
        figure.tight_layout()
        figure.savefig(folder / f"added-cpu-{kind}.svg", metadata=NO_DATE)
        pyplot.close(figure)


def _bars(axis: Any, rows: list[dict[str, Any]]) -> None:
    shown = [row for row in rows if row["contestant"] != "bare" and "failed" not in row]
    colours = [OURS if row["contestant"] == "midwatch" else OTHERS for row in shown]
    added = [row["added_ms"] for row in shown]
    spread = [
        [max(0.0, row["added_ms"] - row["added_quartiles_ms"][0]) for row in shown],
        [max(0.0, row["added_quartiles_ms"][1] - row["added_ms"]) for row in shown],
    ]
    axis.barh([row["label"] for row in shown], added, xerr=spread, color=colours, ecolor=PLAIN)
    for number, row in enumerate(shown):
        if row.get("promised_ms"):
            axis.plot([row["promised_ms"]] * 2, [number - 0.45, number + 0.45], color=WARN)
    axis.spines[["top", "right"]].set_visible(False)


def outages(rows: list[dict[str, Any]], folder: Path) -> None:
    """The 99th percentile of turns in each mode."""
    shown = [row for row in rows if "failed" not in row]
    figure, axis = pyplot.subplots(figsize=(7, 3.2))
    kinds = (("bare", PLAIN), ("opentelemetry", OTHERS), ("midwatch", OURS))
    for number, (name, colour) in enumerate(kinds):
        places = [place + (number - 1) * 0.27 for place in range(len(shown))]
        axis.bar(places, [row[name]["p99_ms"] for row in shown], 0.25, color=colour, label=name)
    axis.set_xticks(range(len(shown)), [row["mode"] for row in shown])
    axis.set_ylabel("99th percentile of a turn, ms")
    axis.legend(frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(folder / "outages.svg", metadata=NO_DATE)
    pyplot.close(figure)


def memory(found: dict[str, Any], folder: Path) -> None:
    """Resident memory and allocated blocks over the turns."""
    turns = [point["turns"] for point in found["points"]]
    figure, axis = pyplot.subplots(figsize=(7, 2.8))
    axis.plot(turns, [point["rss_mb"] for point in found["points"]], color=OURS)
    axis.set_ylim(bottom=0)
    axis.set_ylabel("resident, MB", color=OURS)
    axis.set_xlabel("turns")
    other = axis.twinx()
    other.plot(turns, [point["blocks"] / 1e3 for point in found["points"]], color=PLAIN)
    other.set_ylim(bottom=0)
    other.set_ylabel("allocated blocks, thousands", color=PLAIN)
    figure.tight_layout()
    figure.savefig(folder / "memory.svg", metadata=NO_DATE)
    pyplot.close(figure)


PARTS: dict[str, Callable[[Any, Path], None]] = {
    "comparison": comparison,
    "outages": outages,
    "memory": memory,
    "ingest": ledger_pictures.ingest,
    "scale": ledger_pictures.scale,
    "outage": collector_pictures.outage,
}


def main(path: Path) -> None:
    """Draw every part that was measured."""
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "midwatch", "font.size": 9, "svg.fonttype": "none"})
    found = json.loads(path.read_text())
    for name, draw in PARTS.items():
        if name in found:
            draw(found[name], path.parent)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
