"""The benchmark of the ledger: `make bench-ledger`, or `make bench-ledger ARGS=--quick`.

Prints tables and keeps the figures under `docs/benchmarks/`. It judges nothing by its exit code:
the load of the machine is in the figures, so a person does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer
from frameworks.environments import Environment, EnvironmentUnavailable
from rich.console import Console
from rich.table import Table

from tests.bench.ledger.ingest import compare_ingest
from tests.bench.ledger.page import middle_of, rewrite
from tests.bench.ledger.postgres import measure_postgres, version
from tests.bench.ledger.scale import measure_scale
from tests.bench.ledger.servers import PEERS
from tests.bench.parts import DOCS, chosen, machine, measure, say
from tests.bench.parts import keep as keep_figures

PAGE = DOCS / "ledger" / "performance.md"
PARTS = ("ingest", "postgresql", "scale")
_console = Console(width=130)


def run(
    quick: Annotated[bool, typer.Option(help="Fewer spans: a look, not a figure.")] = False,
    only: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(PARTS)}.")] = None,
    keep: Annotated[bool, typer.Option(help="Keep the figures.")] = True,
) -> None:
    """Measure, print and keep."""
    # Millions of calls take their time and 15 GB: only who asks for them gets them.
    parts = chosen(only, PARTS, ("ingest", "postgresql"))
    measures: dict[str, Callable[[], Any]] = {
        "ingest": lambda: compare_ingest(_counts(quick), 1 if quick else 3, say),
        "postgresql": lambda: measure_postgres(10 if quick else 200, 5_000, 5.0, say),
        "scale": lambda: measure_scale(100_000 if quick else 10_000_000, 20, say),
    }
    result = {"quick": quick, **measure(parts, measures, machine(postgresql=version()))}
    if "ingest" in result:
        _show_ingest(result["ingest"])
    if keep:
        keep_figures(result, PAGE, rewrite, prefix="ledger-")


def _counts(quick: bool) -> dict[str, int]:
    """Return how many batches each contestant takes, if it can be had here."""
    wanted = {"midwatch": 20 if quick else 100, "mlflow": 3 if quick else 20}
    wanted["phoenix"] = 2 if quick else 6
    for name in ("mlflow", "phoenix"):
        try:
            Environment(f"bench-{name}", PEERS / name).make()
        except EnvironmentUnavailable as problem:
            say(f"without {name}: {problem}")
            del wanted[name]
    return wanted


def _show_ingest(measured: list[dict[str, Any]]) -> None:
    columns = {
        "spans_per_cpu_second": "spans per CPU s",
        "memory_mib": "memory MiB",
        "ready_seconds": "ready in s",
        "bytes_per_span": "bytes a span",
    }
    table = Table("server", *columns.values(), "times fewer CPU s in ours")
    middle = middle_of(measured)
    ours = middle.get("midwatch", {}).get("spans_per_cpu_second")
    for name, found in middle.items():
        ratio = f"{ours / found['spans_per_cpu_second']:.1f}" if ours else ""
        table.add_row(name, *(f"{found[column]:,.1f}" for column in columns), ratio)
    _console.print(table)


if __name__ == "__main__":
    typer.run(run)
