"""The benchmark of the collector: `make bench-collector`, or `make bench-collector ARGS=--quick`.

Runs the chart's rendered configuration with the real collector between stores that count, all on
loopback. Prints what it found, keeps the figures under `docs/benchmarks/` and writes them into the
page on sizing. It judges nothing by its exit code, except that what was lost is told as such.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from tests.bench.collector.outage import measure_outages
from tests.bench.collector.page import rewrite, written
from tests.bench.collector.steady import measure_steady
from tests.bench.collector.tiers import measure_tiers
from tests.bench.parts import DOCS, chosen, machine, measure, say
from tests.bench.parts import keep as keep_figures

PAGE = DOCS / "sizing.md"
PARTS = ("steady", "outage", "tiers")
SPANS_PER_SECOND = 200
_console = Console(width=130)


def run(
    quick: Annotated[bool, typer.Option(help="Short outages: a look, not a figure.")] = False,
    only: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(PARTS)}.")] = None,
    keep: Annotated[bool, typer.Option(help="Keep the figures.")] = True,
) -> None:
    """Measure, print and keep."""
    parts = chosen(only, PARTS, PARTS)
    with tempfile.TemporaryDirectory(prefix="midwatch-bench-") as place:
        folder = Path(place)
        measures: dict[str, Callable[[], Any]] = {
            "steady": lambda: measure_steady(
                5_000 if quick else 60_000, 1 if quick else 3, folder / "steady", say
            ),
            "outage": lambda: measure_outages(
                20 if quick else 600, SPANS_PER_SECOND, folder / "outage", say
            ),
            "tiers": lambda: measure_tiers(SPANS_PER_SECOND, folder / "tiers", say),
        }
        result = {"quick": quick, **measure(parts, measures, machine())}
    _console.print(written(result), markup=False, highlight=False)
    if keep:
        keep_figures(result, PAGE, rewrite, prefix="collector-")


if __name__ == "__main__":
    typer.run(run)
