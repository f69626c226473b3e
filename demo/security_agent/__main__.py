"""`python -m security_agent`: the service; with `chat "..."`, one question on the command line."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Annotated

import typer
from waitress.server import create_server

from security_agent.assistant.api import create_app
from security_agent.assistant.cli import chat
from security_agent.assistant.failures import TurnFailedError
from security_agent.config import AppConfig, ConfigurationError
from security_agent.logs import configure_logging

application = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
application.command()(chat)


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


def _serve(config: AppConfig) -> None:
    app = create_app(config)
    signal.signal(signal.SIGTERM, _end)
    try:
        server = create_server(
            app, host=config.host, port=config.port, threads=config.threads, ident="security-agent"
        )
    except OSError as error:
        raise ConfigurationError(
            f"Can't listen on {config.host}:{config.port}: {error.strerror or error}. End the"
            " program that has the port, or choose another with --port or PORT (and --host or"
            " HOST)."
        ) from error
    server.run()


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
    except TurnFailedError as error:
        sys.stderr.write(f"{error.message} {error.remedy}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
