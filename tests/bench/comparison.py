"""The CPU that each contestant adds to a run, side by side in one session."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.bench.processes import ContestantError, Entry, Process

PEERS = ("opentelemetry", "traceloop", "openinference", "langfuse", "logfire", "agento11y")
SMALL, LARGE = 2 << 10, 100 << 10
PROMISES = {("midwatch", "off", SMALL): 1.0, ("midwatch", "redacted", LARGE): 3.0}
"""Added milliseconds of CPU at most, by contestant, content and bytes of history."""


@dataclass(frozen=True)
class Case:
    """One kind of run."""

    size: int
    is_async: bool

    @property
    def label(self) -> str:
        """How tables and plots call it."""
        return f"{self.size >> 10} KB {'async' if self.is_async else 'sync'}"


CASES = tuple(Case(size, is_async) for size in (SMALL, LARGE) for is_async in (False, True))


def entries(names: list[str]) -> list[Entry]:
    """Plain, ours with each kind of content, and each peer without content and with it."""
    ours = [Entry("bare"), *(Entry("midwatch", content) for content in ("off", "redacted", "full"))]
    return ours + [Entry(name, content) for name in names for content in ("off", "full")]


def compare(
    names: list[str], rounds: int, runs: int, progress: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Rows of figures, one for each contestant and case; a round visits all in another order.

    The load of the machine so meets all alike, and what a contestant adds is the median over the
    rounds of the difference to the plain run of the same round.
    """
    processes = [Process(entry) for entry in entries(names)]
    rows: list[dict[str, Any]] = []
    try:
        for case in CASES:
            progress(f"{case.label}: {rounds} rounds of {runs} runs, {len(processes)} contestants")
            rows += _case(processes, case, rounds, runs)
    finally:
        for process in processes:
            process.close()
    return rows


def _case(processes: list[Process], case: Case, rounds: int, runs: int) -> list[dict[str, Any]]:
    spent: dict[str, list[float]] = {process.entry.label: [] for process in processes}
    spans: dict[str, float] = {}
    failed: dict[str, str] = {}
    dice = Random(case.size + case.is_async)  # noqa: S311 (an order of visits)
    for _ in range(rounds):
        for process in dice.sample(processes, len(processes)):
            label = process.entry.label
            if label in failed:
                continue
            try:
                told = process.order(runs=runs, bytes=case.size, **{"async": case.is_async})
            except ContestantError as error:
                failed[label] = str(error)
                continue
            spent[label].append(told["cpu_ms"])
            spans[label] = told["spans"]
    plain = spent["bare"]
    return [
        _row(process.entry, case, spent[process.entry.label], plain, spans, failed)
        for process in processes
    ]


def _row(
    entry: Entry,
    case: Case,
    spent: list[float],
    plain: list[float],
    spans: dict[str, float],
    failed: dict[str, str],
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "contestant": entry.name,
        "content": entry.content,
        "label": entry.label,
        "case": case.label,
        "bytes": case.size,
        "async": case.is_async,
    }
    if entry.label in failed:
        return {**row, "failed": failed[entry.label]}
    differences = [one - other for one, other in zip(spent, plain, strict=True)]
    quarters = statistics.quantiles(differences, n=4)
    return {
        **row,
        "cpu_ms": statistics.median(spent),
        "added_ms": statistics.median(differences),
        "added_quartiles_ms": [quarters[0], quarters[2]],
        "added_mean_ms": statistics.mean(differences),
        "spans": spans[entry.label],
        "promised_ms": PROMISES.get((entry.name, entry.content, case.size)),
    }
