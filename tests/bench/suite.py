"""The benchmark of the shim: `make bench`, or `make bench ARGS=--quick`.

Measures the CPU that the shim and its peers add to a small LangGraph run, the demo's turns with and
without the shim, the latency of turns while the collector is away, and memory over very many turns.
Prints tables, keeps the figures under `docs/benchmarks/` and draws them. It judges nothing by its
exit code: the load of the machine is in the figures, so a person does.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from tests.bench.comparison import PEERS as PEER_NAMES
from tests.bench.comparison import compare
from tests.bench.demo_turns import watch_demo
from tests.bench.memory import watch_memory
from tests.bench.outages import watch_outages
from tests.bench.page import rewrite
from tests.bench.parts import DOCS, chosen, machine, measure, say
from tests.bench.parts import keep as keep_figures
from tests.bench.processes import available
from tests.bench.report import show

PAGE = DOCS / "shim" / "overhead.md"
PARTS = ("comparison", "demo", "outages", "memory")
_console = Console(width=150)


def run(
    quick: Annotated[bool, typer.Option(help="Fewer rounds: a look, not a figure.")] = False,
    only: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(PARTS)}.")] = None,
    keep: Annotated[bool, typer.Option(help="Keep and draw the figures.")] = True,
) -> None:
    """Measure, print, keep and draw."""
    parts = chosen(only, PARTS, PARTS)
    found, missing = available(list(PEER_NAMES))
    for name, reason in missing.items():
        say(f"without {name}: {reason}")
    measures: dict[str, Callable[[], Any]] = {
        "comparison": lambda: compare(found, 5 if quick else 40, 10 if quick else 20, say),
        "demo": lambda: watch_demo(10 if quick else 60, say),
        "outages": lambda: watch_outages(200 if quick else 2_000, say),
        "memory": lambda: watch_memory(2_000 if quick else 100_000, say),
    }
    result = {"quick": quick, "missing": missing, **measure(parts, measures, _machine())}
    show(result, _console)
    if keep:
        keep_figures(result, PAGE, rewrite)


def _machine() -> dict[str, Any]:
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return machine(cpu=names[0] if names else platform.processor())


if __name__ == "__main__":
    typer.run(run)
