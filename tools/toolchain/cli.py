"""`midwatch-tools`: the pinned programs from the command line."""

from __future__ import annotations

from typing import Annotated

import typer

from toolchain.collector_lock import lock_collector
from toolchain.detect import fitting_on_path
from toolchain.errors import BuildFailed, ProgramsUnavailable
from toolchain.go import go_command
from toolchain.pins import Pin, load_pins
from toolchain.programs import cache_folder, ensure_programs, find_program

application = typer.Typer(
    help="Find the programs that Midwatch runs, or build them once into a cache.",
    no_args_is_help=True,
    add_completion=False,
)
Names = Annotated[
    list[str] | None, typer.Argument(help="Programs; all of the group that can be built if none.")
]
Group = Annotated[
    str, typer.Option(help="What the programs are needed for: cluster; empty for the main ones.")
]


@application.command("install")
def install(names: Names = None, group: Group = "") -> None:
    """Have every named program ready, building what PATH lacks."""
    try:
        paths = ensure_programs(names or load_pins().buildable(group))
    except ProgramsUnavailable as problem:
        typer.echo(f"midwatch-tools: {problem}", err=True)
        raise typer.Exit(1) from None
    for name, path in paths.items():
        typer.echo(f"{name}\t{path}")


@application.command("list")
def list_programs() -> None:
    """Show each program, the versions that fit, and where it is now."""
    for pin in load_pins().programs.values():
        fits = str(pin.accepts) if pin.accepts is not None else f"{pin.version}, our build only"
        typer.echo(f"{pin.name:<24}{fits:<28}{_where(pin)}")


@application.command("path")
def path(name: Annotated[str, typer.Argument(help="The program.")]) -> None:
    """Print where one program is, building it first when need be."""
    try:
        typer.echo(str(ensure_programs([name])[name]))
    except ProgramsUnavailable as problem:
        typer.echo(f"midwatch-tools: {problem}", err=True)
        raise typer.Exit(1) from None


@application.command("cache")
def cache() -> None:
    """Print the folder that keeps built programs."""
    typer.echo(str(cache_folder()))


@application.command("lock-collector")
def lock() -> None:
    """Resolve the collector's manifest into the go.mod and go.sum beside it."""
    pins = load_pins()
    pin = pins["otelcol"]
    try:
        generator = ensure_programs(["ocb"])["ocb"]
        go = go_command(pins, cache_folder())
        if pin.manifest is not None and pin.module is not None:
            lock_collector(pin.manifest, pin.module, generator, go)
    except (ProgramsUnavailable, BuildFailed) as problem:
        typer.echo(f"midwatch-tools: {problem}", err=True)
        raise typer.Exit(1) from None


def _where(pin: Pin) -> str:
    found = find_program(pin.name)
    if found is None:
        return "to be built" if pin.module is not None else "not on PATH"
    return f"{found} ({'PATH' if fitting_on_path(pin) == found else 'built'})"


def main() -> None:
    """Run the command line."""
    application()
