"""Another program holds the write lock of the ledger's database, as a careless backup would.

    python -m incidents.causes.held_lock FOLDER INCIDENT [--hold SECONDS]
        [--late-minutes MINUTES --ledger URL]

With `--hold` the ledger stores one batch between two holds, so that what it stores is as old as
these. With `--late-minutes` an agent that was away delivers first what it did in so many minutes,
so that there is something to sum up which then can't be summed up.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from pathlib import Path
from typing import Annotated

import httpx
import typer

from incidents.causes.lasting import lasting

_DATABASE = Path("programs/ledger/files/var/lib/midwatch/ledger/ledger.db")
_LOCK_SECONDS = 60.0
_PAUSE_SECONDS = 10.0
_LOOK_SECONDS = 0.001
_ANSWER_SECONDS = 30.0
_DELIVERIES = 20
_MINUTE_NANOSECONDS = 60_000_000_000


def main(
    directory: Path,
    name: str,
    hold: Annotated[
        float | None, typer.Option(min=0, help="Seconds; until the end without.")
    ] = None,
    late_minutes: Annotated[int, typer.Option(min=0, help="Delivered before, late.")] = 0,
    ledger: Annotated[str, typer.Option(help="Where that is delivered.")] = "",
) -> None:
    """Hold the lock until SIGTERM, or again and again."""
    database = directory / _DATABASE
    if not database.exists():
        raise typer.BadParameter(f"the ledger of this stack has no database at {database}")
    with lasting(directory, name) as cause:
        connection = sqlite3.connect(database, timeout=0, isolation_level=None)
        if late_minutes:
            _lock_before_it_is_summed_up(connection, ledger, late_minutes)
        else:
            _lock(connection)
        cause.begins()
        while cause.wait(hold):
            _let_one_in(connection)
        connection.close()


def _lock(connection: sqlite3.Connection) -> None:
    """Take the lock as soon as it is free: SQLite's own waiting would let others go first."""
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_LOOK_SECONDS)
        else:
            return


def _let_one_in(connection: sqlite3.Connection) -> None:
    """Let the ledger store a batch; what else it writes doesn't count."""
    connection.execute("ROLLBACK")
    newest, deadline = _newest(connection), time.monotonic() + _PAUSE_SECONDS
    while _newest(connection) == newest and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
    _lock(connection)


def _newest(connection: sqlite3.Connection) -> object:
    return connection.execute("SELECT max(rowid) FROM spans").fetchone()[0]


def _lock_before_it_is_summed_up(connection: sqlite3.Connection, ledger: str, minutes: int) -> None:
    """Deliver and lock; once more when the ledger was quicker."""
    for _ in range(_DELIVERIES):
        _deliver_late(ledger, minutes)
        _lock(connection)
        count = connection.execute("SELECT count(DISTINCT minute) FROM stale_minutes").fetchone()
        if count[0] > minutes / 2:
            return
        connection.execute("ROLLBACK")
    raise typer.BadParameter(
        f"the ledger has summed up {minutes} minutes each time before the lock"
    )


def _deliver_late(ledger: str, minutes: int) -> None:
    """Give the ledger a run of an agent for each of the last minutes, as a spool is replayed."""
    now = time.time_ns()
    spans = [_run(now - minute * _MINUTE_NANOSECONDS) for minute in range(minutes, 0, -1)]
    service = {"key": "service.name", "value": {"stringValue": "night-shift"}}
    document = {
        "resourceSpans": [
            {
                "resource": {"attributes": [service]},
                "scopeSpans": [{"scope": {"name": "midwatch"}, "spans": spans}],
            }
        ]
    }
    url = f"{ledger}/v1/traces"
    httpx.post(url, json=document, timeout=_ANSWER_SECONDS, trust_env=False).raise_for_status()


def _run(began: int) -> dict[str, object]:
    said = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "archivist"}
    return {
        "traceId": secrets.token_hex(16),
        "spanId": secrets.token_hex(8),
        "name": "invoke_agent archivist",
        "kind": 1,
        "startTimeUnixNano": str(began),
        "endTimeUnixNano": str(began + 1_000_000_000),
        "attributes": [
            {"key": key, "value": {"stringValue": value}} for key, value in said.items()
        ],
    }


if __name__ == "__main__":
    typer.run(main)
