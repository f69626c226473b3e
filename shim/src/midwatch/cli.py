"""The command `midwatch`."""

from __future__ import annotations

import typer

from midwatch.doctor.command import doctor
from midwatch.prompts.command import app as prompts_app
from midwatch.replay import replay

app = typer.Typer(help="Telemetry for LLM agents.", no_args_is_help=True, add_completion=False)
app.add_typer(prompts_app, name="prompts")


@app.callback()
def _midwatch() -> None:
    """Telemetry for LLM agents."""


app.command()(doctor)
app.command()(replay)


def main() -> None:
    """Run the command."""
    app()
