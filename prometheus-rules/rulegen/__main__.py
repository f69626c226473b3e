"""The command: `python -m rulegen [--check]`, run in prometheus-rules/ or with it on the path."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rulegen.outputs import outputs

ROOT = Path(__file__).resolve().parents[2]


def run(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; fail when a file is out of date.")
    ] = False,
) -> None:
    """Derive rule files, the heads of runbooks and the reference of alerts."""
    try:
        derived = outputs(ROOT)
    except ValueError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    changed = [path for path, text in derived.items() if not _is(path, text)]
    typer.echo(f"rules: {len(derived)} files, {len(changed)} changed")
    for path in changed:
        typer.echo(f"  {path.relative_to(ROOT)}")
        if not check:
            path.write_text(derived[path], encoding="utf-8")
    if check and changed:
        typer.echo("out of date: run `make rules` and commit what it writes", err=True)
        raise typer.Exit(1)


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    typer.run(run)
