"""Benchmarks of several parts: which are measured, at what load, and how figures are kept."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer


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
