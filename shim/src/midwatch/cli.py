"""The command `midwatch`."""

from __future__ import annotations

import typer

from midwatch.doctor import diagnose
from midwatch.prompts.command import app as prompts_app

app = typer.Typer(help="Telemetry for LLM agents.", no_args_is_help=True, add_completion=False)
app.add_typer(prompts_app, name="prompts")


@app.callback()
def _midwatch() -> None:
    """Telemetry for LLM agents."""


@app.command()
def doctor() -> None:
    """Show what would be instrumented here, and every problem with its remedy (then exit 1)."""
    found = diagnose()
    width = max(len(name) for name, _ in found.libraries)
    typer.echo("Libraries")
    for name, state in found.libraries:
        typer.echo(f"  {name:<{width}}  {state}")
    for note in found.notes:
        typer.echo(f"Note: {note}")
    for problem in found.problems:
        typer.echo(f"Problem: {problem}", err=True)
    if found.problems:
        raise typer.Exit(1)
    typer.echo("No problems found.")


def main() -> None:
    """Run the command."""
    app()
