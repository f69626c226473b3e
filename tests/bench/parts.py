"""Benchmarks of several parts: which are measured, at what load, how figures are kept and shown."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer
from frameworks.environments import Environment, EnvironmentUnavailable
from rich.console import Console

from tests.bench.processes import HERE

DOCS = HERE.parents[1] / "docs"
_QUICK = HERE.parents[1] / ".bench"
_DAY = "20[0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
_END = "<!-- Until here. -->"
_console = Console()


def chosen(only: list[str] | None, known: tuple[str, ...], usual: tuple[str, ...]) -> list[str]:
    """Return the parts to measure, in their order; the usual ones where none is named.

    Raises:
        typer.BadParameter: a name is none of a part.
    """
    unknown = sorted(set(only or ()) - set(known))
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: choose from {', '.join(known)}")
    return [part for part in known if part in (only or usual)]


def say(told: str) -> None:
    """Tell a person how far the benchmark is."""
    _console.print(f"[bench] {datetime.now(UTC):%H:%M:%S} {told}", markup=False, highlight=False)


def machine(**further: str) -> dict[str, Any]:
    """What figures are of: the machine, its Python, the time, and what else is named."""
    return {
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        **further,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def measure(
    parts: list[str], measures: dict[str, Callable[[], Any]], machine: dict[str, Any]
) -> dict[str, Any]:
    """Measure the parts one after the other; the machine's load before and after each is kept."""
    result: dict[str, Any] = {"machine": dict(machine)}
    for part in parts:
        before = os.getloadavg()[0]
        result[part] = measures[part]()
        result["machine"][f"load_{part}"] = [before, os.getloadavg()[0]]
        result["machine"][f"day_{part}"] = f"{datetime.now(UTC):%Y-%m-%d}"
    return result


def keep(
    result: dict[str, Any],
    page: Path,
    rewrite: Callable[[Path, Path, dict[str, Any]], None],
    prefix: str = "",
) -> None:
    """Keep the figures as JSON and draw them; a quick look does so apart and replaces nothing.

    Parts that were not measured now are as they were measured last, with their day.

    Args:
        result: What was measured, with `quick` and `machine`.
        page: The page that `rewrite` puts the figures into; it is told the page, the file of the
            figures and what is in it.
        prefix: What the names of the file and of the plots begin with.
    """
    folder = _QUICK if result["quick"] else DOCS / "benchmarks"
    path = folder / f"{prefix}{datetime.now(UTC):%Y-%m-%d}.json"
    merged = _merge(path, max(folder.glob(f"{prefix}{_DAY}.json"), default=None), result)
    if not result["quick"]:
        rewrite(page, path, merged)
    try:
        drawn = _draw(path)
    except EnvironmentUnavailable as problem:
        say(f"without plots: {problem}")
        return
    say(f"figures: {path}" + (f", plots: {folder}/{prefix}*.svg" if drawn else ""))


def _merge(path: Path, newest: Path | None, result: dict[str, Any]) -> dict[str, Any]:
    """Put the figures beside those of the parts that were not measured now; return all."""
    earlier = json.loads(newest.read_text()) if newest else {"machine": {}}
    merged = {**earlier, **result, "machine": {**earlier["machine"], **result["machine"]}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(merged, indent=1) + "\n")
    return merged


def measured_on(page: Path, figures: Path, result: dict[str, Any]) -> str:
    """The sentence of a page that says of what its figures are, with a link to all of them."""
    machine = result["machine"]
    loads = [load for name, pair in machine.items() if name.startswith("load_") for load in pair]
    days = sorted({day for name, day in machine.items() if name.startswith("day_")})
    software = f"Python {machine['python']}"
    if "postgresql" in machine:
        software += f" and {machine['postgresql']}"
    cores = f"{machine['cores']} cores" + (f" ({machine['cpu']})" if "cpu" in machine else "")
    return (
        f"Measured on {' and '.join(days)} with {software} on {cores}, while the machine's load "
        f"was between {min(loads):.1f} and {max(loads):.1f}; all figures are in "
        f"[{figures.name}]({os.path.relpath(figures, page.parent)})."
    )


def write_into(page: Path, command: str, parts: list[str]) -> None:
    """Put figures into a page, between the mark that names the command and the one that ends it."""
    begin = f"<!-- Written by `{command}`; do not edit. -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    after = rest.partition(_END)[2] or "\n"
    body = "\n\n".join(parts)
    page.write_text(f"{before}{begin}\n\n{body}\n\n{_END}{after}", encoding="utf-8")


def _draw(path: Path) -> bool:
    """Draw what a file of figures holds, beside it; return whether that went well.

    Raises:
        EnvironmentUnavailable: what draws can't be installed.
    """
    environment = Environment("bench-plots", HERE / "plots")
    environment.make()
    command = [str(environment.python), str(HERE / "plots" / "draw.py"), str(path)]
    return subprocess.run(command).returncode == 0
