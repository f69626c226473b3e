"""`python -m stack`: the pipeline and its agents on this machine."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from stack.assembly import StackOptions, as_yaml, assemble
from stack.client import ProgramStatus, StackClient
from stack.demo.command import caught_signals, run_demo
from stack.errors import NotRunningError, StackError
from stack.follow import follow_log
from stack.invocation import command
from stack.ports import parse_fixed
from stack.running import clear_leftovers, is_stale, running_stack
from stack.state import DEFAULT_DIRECTORY, is_alive, read_record
from stack.tables import status_table
from stack.world import Load

app = typer.Typer(
    help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)
_console = Console()
_errors = Console(stderr=True)
_READY_SECONDS = 120.0
_DOWN_SECONDS = 60.0

DirectoryOption = Annotated[Path, typer.Option(help="The stack's directory.")]
WithoutOption = Annotated[list[str] | None, typer.Option(help="A program that is not run.")]
PortOption = Annotated[list[str] | None, typer.Option(help="A fixed port: NAME=NUMBER.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="A chart value: KEY=VALUE.")]
SeedOption = Annotated[int, typer.Option(help="The same seed plays the same conversations.")]


@app.command()
def up(
    directory: DirectoryOption = DEFAULT_DIRECTORY,
    detach: Annotated[bool, typer.Option(help="Return when everything is ready.")] = False,
    without: WithoutOption = None,
    port: PortOption = None,
    setting: SetOption = None,
    seed: SeedOption = 1,
) -> None:
    """Start the stack and keep it running until Ctrl-C or `down`."""
    with told_errors():
        options = make_options(directory, without, port, setting, Load(seed=seed))
        if detach:
            _detach(options.directory)
            return
        with running_stack(options) as (client, thread), caught_signals() as interrupted:
            late = _late_after_start(client, interrupted)
            _console.print(status_table(client.programs().values()))
            ending = command("stack", "down", "--directory", directory)
            _console.print(f"Ctrl-C, or `{ending}` in another terminal, ends it.")
            while not (interrupted.wait(0.3) or thread.ended):
                if late and not _late_now(client):
                    late = ""
                    _console.print("everything is ready now")
            if late:
                raise StackError(f"not everything was ready until the end:\n{late}")


@app.command()
def down(directory: DirectoryOption = DEFAULT_DIRECTORY) -> None:
    """End the stack, or what a stack that was killed has left."""
    with told_errors():
        directory = directory.absolute()
        if is_stale(directory):
            count = clear_leftovers(directory)
            _console.print(f"the supervisor was gone; ended {count} processes that it had left")
            return
        with StackClient.at(directory) as client:
            client.shut_down()
        deadline = time.monotonic() + _DOWN_SECONDS
        while is_alive(directory):
            if time.monotonic() > deadline:
                raise StackError(
                    f"the stack in {directory} has not ended within {_DOWN_SECONDS:g} s; see "
                    f"`{command('stack', 'status', '--directory', directory)}`"
                )
            time.sleep(0.1)
        _console.print("the stack has ended")


@app.command()
def status(directory: DirectoryOption = DEFAULT_DIRECTORY) -> None:
    """Show state, process, memory and address of each program."""
    with told_errors(), StackClient.at(directory.absolute()) as client:
        client.programs()  # Processor time is measured between two looks.
        time.sleep(0.5)
        programs = client.programs()
        _console.print(status_table(programs.values()))
        for program in programs.values():
            if program.failure:
                _errors.print(program.failure, markup=False)


@app.command()
def logs(
    name: Annotated[str, typer.Argument(help="The program.")],
    directory: DirectoryOption = DEFAULT_DIRECTORY,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", help="Lines to begin with.")] = 50,
) -> None:
    """Show what a program has printed."""
    with told_errors(), contextlib.suppress(KeyboardInterrupt):
        record = read_record(directory.absolute())
        if name not in record.programs:
            known = ", ".join(sorted(record.programs))
            raise StackError(f"there is no program {name!r}; there are {known}")
        follow_log(Path(record.programs[name].log), lines, endless=follow, write=typer.echo)


@app.command()
def render(
    directory: DirectoryOption = DEFAULT_DIRECTORY,
    port: PortOption = None,
    setting: SetOption = None,
) -> None:
    """Render and translate without starting anything; print what would run."""
    with told_errors():
        options = make_options(directory, None, port, setting, Load())
        if is_alive(options.directory):
            raise StackError(
                f"a stack runs in {options.directory} and uses the files there; name another "
                "--directory"
            )
        typer.echo(as_yaml(assemble(options).specifications), nl=False)


@app.command()
def demo(
    directory: DirectoryOption = DEFAULT_DIRECTORY,
    duration: Annotated[
        float | None, typer.Option(help="Seconds until it ends by itself; until Ctrl-C without.")
    ] = None,
    incident: Annotated[str, typer.Option(help="What goes wrong.")] = "tool-outage",
    seed: SeedOption = 1,
    port: PortOption = None,
) -> None:
    """Show the whole pipeline at work, from the first program to the page that a fault causes."""
    with told_errors():
        options = make_options(directory, None, port, None, Load(seed=seed, held=True))
        raise typer.Exit(run_demo(options, incident, duration))


@contextlib.contextmanager
def told_errors() -> Iterator[None]:
    """Print errors that have a remedy, unbroken so that they can be copied; exit with code 1."""
    try:
        yield
    except StackError as problem:
        _errors.print(
            f"[bold red]error:[/] {_escaped(str(problem))}", highlight=False, soft_wrap=True
        )
        raise typer.Exit(1) from None


def make_options(
    directory: Path,
    without: list[str] | None,
    port: list[str] | None,
    setting: list[str] | None,
    load: Load,
) -> StackOptions:
    """Read the options that several commands share."""
    return StackOptions(
        directory=directory.absolute(),
        without=frozenset(without or ()),
        fixed_ports=parse_fixed(port or []),
        settings=tuple(setting or ()),
        load=load,
    )


class _InterruptedError(Exception):
    """The user wants to end before everything is ready."""


def _late_after_start(client: StackClient, interrupted: threading.Event) -> str:
    """Show what gets ready; return what doesn't within its time, and tell it."""
    last: dict[str, str] = {}

    def watching(programs: dict[str, ProgramStatus]) -> None:
        if interrupted.is_set():
            raise _InterruptedError
        for name, program in programs.items():
            if last.get(name) != program.state:
                last[name] = program.state
                _console.print(f"  {name:<18} {program.state}")

    try:
        client.wait_ready(timeout_seconds=_READY_SECONDS, watching=watching)
    except _InterruptedError:
        return ""
    except StackError as problem:
        _errors.print(f"[bold red]not everything is ready:[/] {_escaped(str(problem))}")
        return str(problem)
    return ""


def _late_now(client: StackClient) -> bool:
    try:
        client.wait_ready(timeout_seconds=0)
    except StackError:
        return True
    return False


def _detach(directory: Path) -> None:
    """Run the same command in a process of its own and wait until it is ready."""
    directory.mkdir(parents=True, exist_ok=True)
    arguments = [argument for argument in sys.argv[1:] if argument != "--detach"]
    log = directory / "supervisor.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "stack", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    while True:
        if process.poll() is not None:
            words = log.read_text(errors="replace").strip()
            raise StackError(f"the stack ended at once. It said:\n{words}")
        with contextlib.suppress(NotRunningError), StackClient.at(directory) as client:
            try:
                client.wait_ready(timeout_seconds=_READY_SECONDS)
            except StackError as problem:
                raise StackError(
                    "not everything is ready; the rest keeps running until "
                    f"`{command('stack', 'down', '--directory', directory)}`:\n{problem}"
                ) from None
            _console.print(status_table(client.programs().values()))
            return
        time.sleep(0.2)


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")
