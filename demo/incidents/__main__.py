"""`python -m incidents`: make things go wrong in a running stack, and put them right again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from stack.client import StackClient
from stack.errors import StackError
from stack.state import DEFAULT_DIRECTORY

from incidents.agents import PAST_NEEDED
from incidents.model import IncidentError
from incidents.past import give_past
from incidents.registry import ALL_INCIDENTS, FURTHER_INCIDENTS, INCIDENTS, find_incident
from incidents.running import run_for, set_on_signals

app = typer.Typer(no_args_is_help=True, help=__doc__, pretty_exceptions_enable=False)

Name = Annotated[str, typer.Argument(help="An incident; `list` names them all.")]
StackPath = Annotated[
    Path, typer.Option("--stack", help="The stack's state file or directory.", envvar="STACK_FILE")
]


@app.command("list")
def list_incidents() -> None:
    """List the incidents, what goes wrong in each, and the alerts that it causes."""
    for title, incidents in (
        ("of the agents, for the demo", INCIDENTS),
        ("further: of spending and of the watch itself", FURTHER_INCIDENTS),
    ):
        table = Table(title=title, title_justify="left", show_lines=True)
        table.add_column("incident", no_wrap=True)
        table.add_column("what goes wrong", min_width=30)
        table.add_column("alerts", overflow="fold")
        for incident in incidents.values():
            needs = " (needs a past)" if incident.name in PAST_NEEDED else ""
            table.add_row(incident.name, incident.summary + needs, "\n".join(incident.alerts))
        Console().print(table)


@app.command()
def start(name: Name, stack: StackPath = DEFAULT_DIRECTORY) -> None:
    """Start an incident; it lasts until `stop`."""
    with _errors_told():
        incident = find_incident(name)
        with StackClient.at(stack) as client:
            incident.start(client)
    typer.echo(f"{name} happens now; expect {', '.join(incident.alerts)}")


@app.command()
def stop(name: Name, stack: StackPath = DEFAULT_DIRECTORY) -> None:
    """Stop an incident."""
    with _errors_told():
        incident = find_incident(name)
        with StackClient.at(stack) as client:
            incident.stop(client)
    typer.echo(f"{name} is over")


@app.command()
def run(
    name: Name,
    seconds: Annotated[float, typer.Option("--for", min=0.0, help="How long, in seconds.")],
    stack: StackPath = DEFAULT_DIRECTORY,
) -> None:
    """Run an incident for a while; it also ends on Ctrl-C and SIGTERM."""
    interrupted = threading.Event()
    with _errors_told():
        incident = find_incident(name)
        with StackClient.at(stack) as client, set_on_signals(interrupted):
            typer.echo(f"{name} for {seconds:g} s; expect {', '.join(incident.alerts)}")
            completed = run_for(incident, client, seconds, interrupted)
    typer.echo(f"{name} is over{'' if completed else ' (ended early)'}")


@app.command()
def past(stack: StackPath = DEFAULT_DIRECTORY) -> None:
    """Give the stack a past: what it has played in this quarter of an hour, at earlier times."""
    with _errors_told(), StackClient.at(stack) as client:
        give_past(client)
    typer.echo("the stack has an hour and three days behind it now")


@app.command()
def status(
    stack: StackPath = DEFAULT_DIRECTORY,
    every: Annotated[bool, typer.Option("--all", help="The further ones, too.")] = False,
) -> None:
    """Show which incidents happen now; exit with 1 when one of them cannot be told."""
    table = Table()
    table.add_column("incident", no_wrap=True)
    table.add_column("state")
    unknown = False
    with _errors_told(), StackClient.at(stack) as client:
        for incident in (ALL_INCIDENTS if every else INCIDENTS).values():
            try:
                state = "active" if incident.active(client) else "-"
            except (IncidentError, StackError) as error:
                state, unknown = f"unknown: {error}", True
            table.add_row(incident.name, state)
    Console().print(table)
    if unknown:
        raise typer.Exit(1)


@contextmanager
def _errors_told() -> Iterator[None]:
    try:
        yield
    except (IncidentError, StackError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error


if __name__ == "__main__":
    app()
