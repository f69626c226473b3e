"""Pictures of what the ledger costs."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

from matplotlib import pyplot  # type: ignore[import-not-found]

OURS, OTHERS, WARN = "#1f6f8b", "#b8c4cc", "#c0392b"
NO_DATE: dict[str, Any] = {"Date": None}
_PANELS = {
    "spans_per_cpu_second": "spans a CPU second",
    "memory_mib": "memory, MiB",
    "ready_seconds": "ready in, s",
    "bytes_per_span": "bytes a span",
}


def ingest(measured: list[dict[str, Any]], folder: Path) -> None:
    """Servers beside each other, a panel for each figure."""
    names = list(dict.fromkeys(one["name"] for one in measured))
    figure, axes = pyplot.subplots(1, len(_PANELS), figsize=(9, 1.8), sharey=True)
    for axis, (key, label) in zip(axes, _PANELS.items(), strict=True):
        values = [median(one[key] for one in measured if one["name"] == name) for name in names]
        colours = [OURS if name == "midwatch" else OTHERS for name in names]
        bars = axis.barh(names, values, color=colours)
        axis.bar_label(bars, [f"{value:,.4g}" for value in values], padding=2, fontsize=7)
        axis.margins(x=0.35)
        axis.set_xticks([])
        axis.set_xlabel(label)
        axis.spines[["top", "right", "bottom"]].set_visible(False)
    axes[0].invert_yaxis()
    figure.tight_layout()
    figure.savefig(folder / "ledger-ingest.svg", metadata=NO_DATE)
    pyplot.close(figure)


def scale(found: dict[str, Any], folder: Path) -> None:
    """The 95th percentile of each route, with what is promised of it."""
    routes = found["routes"]
    figure, axis = pyplot.subplots(figsize=(9, 0.19 * len(routes) + 0.8))
    for number, (name, one) in enumerate(routes.items()):
        promised = 300 if "30 days" in name else 100
        axis.barh(number, one["p95"], color=OURS if one["p95"] <= promised else WARN)
        axis.plot([promised] * 2, [number - 0.45, number + 0.45], color="black", linewidth=1)
    axis.set_yticks(range(len(routes)), list(routes), fontsize=7)
    axis.set_xscale("log")
    axis.set_xlabel("95th percentile, ms; the line is what is promised")
    axis.invert_yaxis()
    axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(folder / "ledger-scale.svg", metadata=NO_DATE)
    pyplot.close(figure)
