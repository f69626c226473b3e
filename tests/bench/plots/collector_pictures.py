"""Pictures of the collector while its stores are away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ledger_pictures import NO_DATE, OURS, WARN
from matplotlib import pyplot  # type: ignore[import-not-found]


def outage(rows: list[dict[str, Any]], folder: Path) -> None:
    """The queue on disk and the memory over time, a panel for each store."""
    figure, axes = pyplot.subplots(1, len(rows), figsize=(9, 2.2), sharex=True, sharey=True)
    for axis, row in zip(axes, rows, strict=True):
        minutes = [point["seconds"] / 60 for point in row["points"]]
        axis.plot(minutes, [point["queue_mib"] for point in row["points"]], color=OURS)
        axis.plot(minutes, [point["memory_mib"] for point in row["points"]], color=WARN)
        axis.set_title(row["store"], fontsize=9)
        axis.set_xlabel("minutes")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylim(bottom=0)
    axes[0].set_ylabel("MiB")
    axes[0].legend(["queue on disk", "memory"], frameon=False, fontsize=7)
    figure.tight_layout()
    figure.savefig(folder / "collector-outage.svg", metadata=NO_DATE)
    pyplot.close(figure)
