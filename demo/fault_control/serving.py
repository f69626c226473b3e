"""How the demo's servers run: on an address that is free, until told to stop."""

from __future__ import annotations

import signal
import socket
import sys
from types import FrameType

import uvicorn
from fastapi import FastAPI


def serve_app(app: FastAPI, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT, which end the program with exit code 0.

    An address that can't be listened on ends the program with exit code 1 and a line that says
    what to change.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        # Connections that a fault holds must not hold the server's end.
        timeout_graceful_shutdown=1,
    )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=config.backlog)
    except OSError as error:
        sys.stderr.write(
            f"Can't listen on {host}:{port}: {error.strerror}. End the program that has the port,"
            " or choose another with --port or PORT (and --host or HOST).\n"
        )
        raise SystemExit(1) from None
    # Connections inherit it. Without, what follows the head of an answer comes 40 ms late.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # uvicorn raises the signal that ended it again; to end then is no failure.
    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, _end)
    with listener:
        uvicorn.Server(config).run(sockets=[listener])


def _end(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
