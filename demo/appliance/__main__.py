"""`python -m appliance`: serve until told to stop."""

from __future__ import annotations

from typing import Annotated

import typer
from fault_control.serving import serve_app

from appliance.application import create_app


def serve(
    host: Annotated[str, typer.Option(envvar="HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="PORT", min=0, max=65535, help="Port.")] = 8002,
    seed: Annotated[int, typer.Option(envvar="APPLIANCE_SEED", help="Decides the alerts.")] = 7,
) -> None:
    """Serve the protected system under /api; its faults are under /control."""
    serve_app(create_app(seed), host, port)


if __name__ == "__main__":
    typer.run(serve)
