"""The command: `python -m reference [--check]`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from manifests.outputs import stale, write

from reference.index import PageError
from reference.pages import pages


def run(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; fail when a page is out of date.")
    ] = False,
) -> None:
    """Derive the pages of docs/reference, and the index of docs/shim."""
    base = Path(__file__).resolve().parents[2]
    try:
        output = pages(base)
    except PageError as error:
        typer.echo(f"error: docs/shim/{error}", err=True)
        raise typer.Exit(1) from error
    changed = stale(output) if check else write(output)
    typer.echo(f"reference: {len(output.files)} pages, {len(changed)} changed")
    for path in changed:
        typer.echo(f"  {path.relative_to(base)}")
    if check and changed:
        typer.echo("out of date: run `make reference` and commit what it writes", err=True)
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(run)
