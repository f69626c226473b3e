"""Whether what is kept in memory stays flat over very many turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.bench.processes import Entry, Process

_CHECKS = 20
_SESSIONS = 1_000


def watch_memory(turns: int, progress: Callable[[str], None]) -> dict[str, Any]:
    """Blocks that Python has allocated and resident memory, at even steps over so many turns.

    A turn is one run of the graph, of one of a thousand sessions. The slope is that of the straight
    line through the second half, after caches and arenas have found their sizes.
    """
    process = Process(Entry("midwatch", "redacted"), seconds=600.0)
    points: list[dict[str, float]] = []
    try:
        for number in range(_CHECKS + 1):
            told = process.order(
                memory=True, runs=turns // _CHECKS if number else 50, sessions=_SESSIONS, bytes=2048
            )
            done = number * (turns // _CHECKS)
            points.append({"turns": done, "blocks": told["blocks"], "rss_mb": told["rss_mb"]})
            if number % 5 == 0:
                progress(f"{done:,} turns: {told['blocks']:,} blocks, {told['rss_mb']:.1f} MB")
    finally:
        process.close()
    half = points[len(points) // 2 :]
    return {
        "turns": turns,
        "points": points,
        "blocks_per_turn": _slope([(point["turns"], point["blocks"]) for point in half]),
        "bytes_per_turn": _slope([(point["turns"], point["rss_mb"] * 1e6) for point in half]),
    }


def _slope(points: list[tuple[float, float]]) -> float:
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    across = sum((x - middle_x) ** 2 for x, _ in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / across
