"""`python -m model_server`: serve until told to stop."""

from __future__ import annotations

from typing import Annotated

import typer
from fault_control.serving import serve_app

from model_server.application import create_app
from model_server.latency import Latency
from model_server.settings import Settings


def serve(
    host: Annotated[str, typer.Option(envvar="HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="PORT", min=0, max=65535, help="Port.")] = 8001,
    seed: Annotated[
        int, typer.Option(envvar="MODEL_SERVER_SEED", help="The same seed, the same answers.")
    ] = 7,
    base_seconds: Annotated[
        float,
        typer.Option(envvar="MODEL_SERVER_BASE_SECONDS", min=0, help="Until the first token."),
    ] = Latency().base_seconds,
    per_token_seconds: Annotated[
        float,
        typer.Option(envvar="MODEL_SERVER_PER_TOKEN_SECONDS", min=0, help="For each token."),
    ] = Latency().per_token_seconds,
    jitter: Annotated[
        float,
        typer.Option(envvar="MODEL_SERVER_JITTER", min=0, max=1, help="Share by which both vary."),
    ] = Latency().jitter,
) -> None:
    """Serve a scripted, OpenAI-compatible model under /v1; faults and latency under /control."""
    latency = Latency(base_seconds=base_seconds, per_token_seconds=per_token_seconds, jitter=jitter)
    serve_app(create_app(Settings(seed=seed, latency=latency)), host, port)


if __name__ == "__main__":
    typer.run(serve)
