"""`python -m security_agent`: the service; with `chat "..."`, one question on the command line."""

from __future__ import annotations

import gc
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated

import typer
from waitress.server import create_server

from security_agent.config import AppConfig, ConfigurationError
from security_agent.logs import configure_logging

# LangChain takes two seconds to load: what is wrong with the settings or the port is told before.
application = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@application.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(envvar="HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="PORT", min=0, max=65535, help="Port.")] = 8080,
) -> None:
    """Serve the security agent over HTTP until told to stop."""
    config = AppConfig(host=host, port=port)
    config.check()
    configure_logging(config.log_level)
    if context.invoked_subcommand is None:
        _serve(config)


@application.command()
def chat(
    message: Annotated[str, typer.Argument(help="What to ask.")],
    confirm: Annotated[
        bool | None, typer.Option(help="Confirm a change that the message asks for, or refuse it.")
    ] = None,
) -> None:
    """Ask one question and print the answer; a change asks for confirmation in the terminal."""
    with _no_garbage():
        from security_agent.assistant import cli
        from security_agent.assistant.failures import TurnFailedError

    try:
        cli.chat(message, confirm)
    except TurnFailedError as error:
        sys.stderr.write(f"{error.message} {error.remedy}\n")
        sys.exit(1)


def _serve(config: AppConfig) -> None:
    with _address_of(config):
        _take_and_leave(config.host, config.port)
    with _no_garbage():
        from security_agent.assistant.api import create_app

    app = create_app(config)
    signal.signal(signal.SIGTERM, _end)
    with _address_of(config):
        server = create_server(
            app, host=config.host, port=config.port, threads=config.threads, ident="security-agent"
        )
    server.run()


def _take_and_leave(host: str, port: int) -> None:
    """Raise what whoever listens there would raise."""
    for family, kind, protocol, _, address in socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    ):
        with socket.socket(family, kind, protocol) as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(address)


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Load without looking for garbage: what is loaded stays, and looking takes a fifth longer."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def _address_of(config: AppConfig) -> Iterator[None]:
    """Tell what to do where nobody can listen."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f"Can't listen on {config.host}:{config.port}: {error.strerror or error}. End the"
            " program that has the port, or choose another with --port or PORT (and --host or"
            " HOST)."
        ) from error


def _end(_signal: int, _frame: FrameType | None) -> None:
    """End as on Ctrl-C, so that what is registered for the interpreter's exit still runs."""
    raise SystemExit(0)


def main() -> None:
    """Run the command line; what a person can mend is told without a traceback."""
    try:
        application()
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
