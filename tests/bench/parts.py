"""Benchmarks of several parts: which are measured, at what load, how figures are kept and shown."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer
from frameworks.environments import Environment

from tests.bench.processes import HERE

_END = "<!-- Until here. -->"


def chosen(only: list[str] | None, known: tuple[str, ...], usual: tuple[str, ...]) -> list[str]:
    """Return the parts to measure, in their order; the usual ones where none is named.

    Raises:
        typer.BadParameter: a name is none of a part.
    """
    unknown = sorted(set(only or ()) - set(known))
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: choose from {', '.join(known)}")
    return [part for part in known if part in (only or usual)]


def measure(
    parts: list[str], measures: dict[str, Callable[[], Any]], machine: dict[str, Any]
) -> dict[str, Any]:
    """Measure the parts one after the other; the machine's load before and after each is kept."""
    result: dict[str, Any] = {"machine": dict(machine)}
    for part in parts:
        before = os.getloadavg()[0]
        result[part] = measures[part]()
        result["machine"][f"load_{part}"] = [before, os.getloadavg()[0]]
    return result


def keep(path: Path, result: dict[str, Any]) -> dict[str, Any]:
    """Keep the figures as JSON, beside those of parts measured earlier that day; return all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    earlier = json.loads(path.read_text()) if path.exists() else {"machine": {}}
    machine = {**earlier["machine"], **result["machine"]}
    merged = {**earlier, **result, "machine": machine}
    path.write_text(json.dumps(merged, indent=1) + "\n")
    return merged


def write_into(page: Path, command: str, parts: list[str]) -> None:
    """Put figures into a page, between the mark that names the command and the one that ends it."""
    begin = f"<!-- Written by `{command}`; do not edit. -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    after = rest.partition(_END)[2]
    body = "\n\n".join(parts)
    page.write_text(f"{before}{begin}\n\n{body}\n\n{_END}{after}", encoding="utf-8")


def loads_of(machine: dict[str, Any]) -> tuple[float, float]:
    """The least and the greatest load while parts were measured."""
    pairs = [pair for name, pair in machine.items() if name.startswith("load_")]
    loads = [load for pair in pairs for load in (pair if isinstance(pair, list) else [pair])]
    return min(loads), max(loads)


def draw(path: Path) -> bool:
    """Draw what a file of figures holds, beside it; return whether that went well.

    Raises:
        EnvironmentUnavailable: what draws can't be installed.
    """
    environment = Environment("bench-plots", HERE / "plots")
    environment.make()
    command = [str(environment.python), str(HERE / "plots" / "draw.py"), str(path)]
    return subprocess.run(command).returncode == 0
