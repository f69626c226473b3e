"""`python -m retail_simulation`: serve the simulation over HTTP."""

from __future__ import annotations

import gc
import logging
import os
import signal
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer
import uvicorn

from retail_simulation.settings import Settings, SettingsError

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI


def main(
    host: Annotated[str, typer.Option(envvar="HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="PORT", min=1, max=65535)] = 8090,
) -> None:
    """Serve the retail simulation until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for chatty in ("httpx", "httpx2"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        typer.echo(f"retail_simulation cannot start: {error}", err=True)
        raise typer.Exit(2) from error
    # LangChain takes two seconds to load: what is wrong with the settings is told before.
    # What is loaded stays: looking for garbage in it would take a fifth longer.
    gc.disable()
    from retail_simulation.api import create_app

    model = chat_model(settings)
    gc.enable()
    # uvicorn finishes what is under way and then raises the signal again: with this handler the
    # program ends with code 0, as it did what it was asked to.
    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, _end)
    uvicorn.run(
        create_app(model, settings.seed),
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=5,
    )


def _end(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def chat_model(settings: Settings) -> ChatOpenAI:
    """Return the client of the model that the settings name."""
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    return ChatOpenAI(
        model=settings.model,
        base_url=settings.base_url,
        api_key=SecretStr(settings.api_key),
        timeout=settings.timeout_seconds,
        max_retries=1,
        stream_usage=True,
    )


if __name__ == "__main__":
    typer.run(main)
