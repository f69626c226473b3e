"""`python -m traffic`: play load against a running stack or against two addresses."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError
from rich.console import Console
from stack.errors import StackError
from stack.state import read_record

from traffic.control import create_app
from traffic.driver import Driver
from traffic.faults import traffic_fault_board
from traffic.player import Targets
from traffic.report import report_until_cancelled, tell_end
from traffic.settings import PROFILES, MixChange, Profile


class _ControlServer(uvicorn.Server):
    """Leaves signals to the driver: the load ends first, its control after it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


Url = Annotated[str | None, typer.Option(help="Instead of the stack's.")]
Share = Annotated[float | None, typer.Option(help="Share of the conversations, 0 to 1.")]


def main(
    stack: Annotated[Path | None, typer.Option(help="The stack's state file or directory.")] = None,
    security_agent_url: Url = None,
    retail_simulation_url: Url = None,
    seed: Annotated[int, typer.Option(help="The same seed plays the same conversations.")] = 1,
    profile: Annotated[Profile, typer.Option(help="The load to begin with.")] = Profile.NORMAL,
    rate: Annotated[float | None, typer.Option(help="Arrivals a second.")] = None,
    guardrail_ratio: Share = None,
    off_topic_ratio: Share = None,
    simulation_ratio: Share = None,
    max_concurrency: Annotated[int | None, typer.Option(help="More at once are shed.")] = None,
    duration: Annotated[float | None, typer.Option(min=0, help="Seconds; else until told.")] = None,
    report_every: Annotated[float, typer.Option(min=0.1, help="Seconds between JSON lines.")] = 10,
    host: Annotated[str, typer.Option(envvar="HOST", help="Address of the control.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="PORT", min=0, max=65535)] = 0,
) -> None:
    """Play believable load, at a constant rate of arrivals, until told to stop."""
    try:
        mix = MixChange(
            rate=rate,
            guardrail_ratio=guardrail_ratio,
            off_topic_ratio=off_topic_ratio,
            simulation_ratio=simulation_ratio,
            max_concurrency=max_concurrency,
        ).applied_to(PROFILES[profile])
        targets = _targets(stack, security_agent_url, retail_simulation_url)
    except ValidationError as error:
        raise _refused(_options(error)) from error
    except StackError as error:
        raise _refused(str(error)) from error
    faults = traffic_fault_board()
    driver = Driver(seed, mix, targets, faults)
    listener = _listen(host, port)
    address = f"http://{host}:{listener.getsockname()[1]}"
    typer.echo(
        f"traffic plays {mix.rate:g} arrivals a second; its control is at {address}", err=True
    )
    asyncio.run(_play(driver, create_app(driver, faults), listener, duration, report_every))


def _refused(message: str) -> typer.Exit:
    typer.echo(f"traffic cannot start: {message}", err=True)
    return typer.Exit(2)


def _options(error: ValidationError) -> str:
    return "; ".join(
        f"--{str(entry['loc'][0]).replace('_', '-')} is {entry['input']}: {entry['msg']}"
        for entry in error.errors()
    )


def _targets(stack: Path | None, security_agent: str | None, retail: str | None) -> Targets:
    targets = Targets(security_agent, retail)
    if stack is not None:
        programs = read_record(stack).programs
        known = {name: program.url for name, program in programs.items()}
        targets = Targets(
            security_agent or known.get("security-agent"),
            retail or known.get("retail-simulation"),
        )
    if targets.security_agent is None and targets.retail_simulation is None:
        raise _refused("there is nothing to play against: give --stack, or an application's URL")
    return targets


def _listen(host: str, port: int) -> socket.socket:
    try:
        listener = socket.create_server((host, port))
    except OSError as error:
        raise _refused(
            f"its control cannot listen on {host}:{port} ({error.strerror}); give another --port,"
            " or 0 for any that is free"
        ) from error
    # Connections inherit it. Without, what follows the head of an answer comes 40 ms late.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


async def _play(
    driver: Driver, control: FastAPI, listener: socket.socket, duration: float | None, every: float
) -> None:
    """Run the driver with its control and its reports; they end when it has ended."""
    console = Console()
    server = _ControlServer(uvicorn.Config(control, log_level="warning"))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, driver.stop)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    reporting = asyncio.create_task(report_until_cancelled(driver, every, console))
    try:
        await driver.run(duration)
    finally:
        reporting.cancel()
        server.should_exit = True
        await asyncio.gather(reporting, serving, return_exceptions=True)
    tell_end(driver.statistics.summary(), console)


if __name__ == "__main__":
    typer.run(main)
