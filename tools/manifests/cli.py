"""The command: `python -m manifests [--check]`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from toolchain import ProgramsUnavailable

from manifests.errors import ManifestsError
from manifests.outputs import stale, write
from manifests.plan import repository_root, steps


def run(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; fail when a file is out of date.")
    ] = False,
    root: Annotated[Path | None, typer.Option(help="Repository; default: this one.")] = None,
) -> None:
    """Derive the chart's copies, the goldens, the tables of values and k8s/."""
    base = root or repository_root()
    changed: list[Path] = []
    try:
        for name, step in steps().items():
            output = step(base)
            found = stale(output) if check else write(output)
            typer.echo(f"{name}: {len(output.files)} files, {len(found)} changed")
            changed += found
    except (ManifestsError, ProgramsUnavailable) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    for path in changed:
        typer.echo(f"  {path.relative_to(base)}")
    if check and changed:
        typer.echo("out of date: run `make manifests` and commit what it writes", err=True)
        raise typer.Exit(1)


def main() -> None:
    """Run the command line."""
    typer.run(run)
