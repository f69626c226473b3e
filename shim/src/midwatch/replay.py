"""`midwatch replay`: send what lies in the spool."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from midwatch.config import Settings, load_settings
from midwatch.pipeline.destinations import Destinations, destinations_from_environment
from midwatch.pipeline.payloads import Signal
from midwatch.pipeline.replay import (
    LaneResult,
    Receiver,
    Receivers,
    Replay,
    Waiting,
    receiver_key,
    waiting_in,
)
from midwatch.pipeline.spans import SpanAccount
from midwatch.pipeline.spool import Spool
from midwatch.pipeline.spool_accounts import Account
from midwatch.startup import DEFAULTS

_WORDS: Mapping[Signal, str] = {"traces": "spans", "logs": "events", "metrics": "data points"}


def replay(
    directory: Annotated[
        Path | None, typer.Option("--dir", help="The spool; by default MIDWATCH_SPOOL_DIR.")
    ] = None,
    endpoint: Annotated[
        str,
        typer.Option(help="The OTLP endpoint; by default what the OTEL_* variables say."),
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "--list", help="Only tell what waits.")
    ] = False,
) -> None:
    """Send what lies in the spool, oldest first; exit 1 if some of it is left or was refused."""
    settings = load_settings()
    root = directory or settings.spool_dir
    if directory is not None and not directory.is_dir():
        typer.echo(
            f"--dir: {directory} is no folder; give the one that MIDWATCH_SPOOL_DIR named", err=True
        )
        raise typer.Exit(2)
    account = SpanAccount()
    spool = Spool(root, settings.spool_max_bytes, lambda: Account(account.counts()))
    try:
        lanes = waiting_in(spool)
    except OSError as error:
        typer.echo(f"The spool in {root} cannot be read: {error}", err=True)
        raise typer.Exit(1) from error
    if not lanes:
        typer.echo(f"Nothing waits in {root}.")
        return
    for lane in lanes:
        _tell(lane)
    if dry_run:
        return
    problems = _send(settings, spool, account, lanes, endpoint)
    try:
        spool.leave(account.final())
    except OSError as error:
        problems.append(f"the account cannot be written: {error}")
    for problem in problems:
        typer.echo(f"Problem: {problem}", err=True)
    if problems:
        raise typer.Exit(1)


def receivers_of(settings: Settings, endpoint: str, environ: Mapping[str, str]) -> Receivers:
    """Who gets what by the environment, or at the OTLP endpoint that was given."""
    variables = {**DEFAULTS, **environ}
    if endpoint:
        for signal in ("TRACES", "LOGS", "METRICS"):
            variables.pop(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", None)
            variables[f"OTEL_{signal}_EXPORTER"] = "otlp"
        variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
        settings = replace(settings, config_file=None)
    return _receivers(destinations_from_environment(settings, variables), settings)


def _receivers(found: Destinations, settings: Settings) -> Receivers:
    receivers: dict[tuple[str, Signal], Receiver] = {}
    for signal, destinations in (
        ("traces", found.spans),
        ("logs", found.logs),
        ("metrics", found.metrics),
    ):
        for each in destinations:
            key = receiver_key(each.name, signal)  # type: ignore[arg-type]
            retries = each.limits.max_retries
            receivers[key] = Receiver(
                each.transport,
                each.timeout_seconds,
                settings.max_retries if retries is None else retries,
            )
    return receivers


def _send(
    settings: Settings, spool: Spool, account: SpanAccount, lanes: list[Waiting], endpoint: str
) -> list[str]:
    receivers = receivers_of(settings, endpoint, os.environ)
    problems: list[str] = []
    for lane in lanes:
        if lane.items == 0:
            continue
        label = f"{lane.destination} {_WORDS[lane.signal]}"
        with typer.progressbar(length=lane.items, label=label, file=sys.stderr) as bar:
            result = Replay(spool, account, receivers, bar.update).send(lane)
        typer.echo(f"{label}: {result.sent} sent, {result.refused} refused")
        problems += [f"{label}: {problem}" for problem in _problems(result)]
    for receiver in receivers.values():
        receiver.transport.close()
    return problems


def _problems(result: LaneResult) -> list[str]:
    problems = [result.problem] if result.problem else []
    if result.refused:
        reasons = "; ".join(reason or "no reason given" for reason in result.refusals)
        problems.append(f"{result.refused} refused for good ({reasons})")
    if result.damaged:
        problems.append(f"{result.damaged} were in damaged records")
    return problems


def _tell(lane: Waiting) -> None:
    told = f"{lane.destination} {_WORDS[lane.signal]}: {lane.items} wait ({lane.size} bytes)"
    if lane.kept:
        told += f", {lane.kept} more are sent by the processes that run"
    typer.echo(told)
