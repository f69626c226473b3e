"""The command `midwatch prompts`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from midwatch.config import load_settings
from midwatch.prompts.checking import check_folder
from midwatch.prompts.files import folder_of

app = typer.Typer(help="Prompts as version-controlled files.", no_args_is_help=True)


@app.callback()
def _prompts() -> None:
    """Prompts as version-controlled files."""


@app.command()
def check(
    folder: Annotated[
        Path | None,
        typer.Argument(help="By default MIDWATCH_PROMPTS_DIR, else the folder `prompts`."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check a folder of prompts; exit 1 for problems, all of which are shown, 2 for wrong use."""
    usual = folder_of(load_settings().prompts_dir)
    path = folder or (usual.path if usual else None)
    if path is None or not path.is_dir():
        given = f"{str(path)!r} is no folder" if path else "there is no folder of prompts"
        typer.echo(f"midwatch prompts check: {given}; name one that exists", err=True)
        raise typer.Exit(2)
    found = check_folder(path)
    if as_json:
        told = {
            "prompts": found.prompts,
            "versions": found.versions,
            "problems": [{"file": file, "problem": problem} for file, problem in found.problems],
        }
        typer.echo(json.dumps(told, indent=2))
    else:
        for file, problem in found.problems:
            typer.echo(f"{file}: {problem}")
        typer.echo(
            f"{found.prompts} prompts, {found.versions} versions, {len(found.problems)} problems"
        )
    if found.problems:
        raise typer.Exit(1)
