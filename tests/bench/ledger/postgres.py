"""Ingest into PostgreSQL: the CPU time of ledger and database for a span, and the lag."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
from sqlalchemy import make_url

from tests.bench.ledger.batches import batches
from tests.bench.ledger.ingest import SPANS_PER_BATCH, send_all
from tests.bench.ledger.servers import MIDWATCH, Server, cpu_seconds
from tests.unit.ledger import ledger_postgres

Say = Callable[[str], None]
_OPTIONS = "-c shared_buffers=512MB -c max_wal_size=4GB -c maintenance_work_mem=512MB"
_WARM_UP = 2


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL server of the bench's own, with its commits flushed to disk."""

    server: ledger_postgres.PostgresServer

    def cpu_seconds(self) -> float:
        """Return the CPU time that the server and its processes have taken."""
        pid = (self.server.folder / "data" / "postmaster.pid").read_text().split()[0]
        return cpu_seconds(int(pid))

    def connect(self, url: str) -> psycopg.Connection:
        """Open a connection to a database of the server."""
        host, name = self.server.folder, make_url(url).database
        return psycopg.connect(f"host={host} dbname={name} user=postgres", autocommit=True)


@contextmanager
def postgres(more: str = "") -> Iterator[Postgres]:
    """Run a server, as the tests do but with settings of one that is in use, and more."""
    programs, user = ledger_postgres.postgres_programs(), ledger_postgres.unprivileged_user()
    folder = Path(tempfile.mkdtemp(prefix="bench-pg-"))
    if user is not None:
        shutil.chown(folder, user)
        programs = ledger_postgres.readable_by_all(programs, folder)
    server = ledger_postgres.PostgresServer(programs, folder, user)
    data, log = str(folder / "data"), str(folder / "log")
    try:
        server.run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8")
        options = f"-k {folder} -c listen_addresses='' {_OPTIONS} {more}"
        server.run("pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "start")
        yield Postgres(server)
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def measure_postgres(count: int, rate: int, seconds: float, say: Say) -> dict[str, Any]:
    """Send so many batches as fast as they are taken, then some at a rate (spans a second).

    The lag is from the sending of a batch until its spans are committed, at that rate.
    """
    bodies = list(batches(count + _WARM_UP, time.time_ns() - 60 * 10**9, 50))
    paced = max(1, int(rate * seconds / SPANS_PER_BATCH))
    more = list(batches(paced, time.time_ns(), seconds, first=10**6))
    with postgres() as database:
        folder = Path(tempfile.mkdtemp(prefix="bench-ledger-"))
        url = database.server.create_database()
        server = Server(MIDWATCH, folder, {"MIDWATCH_LEDGER_DATABASE_URL": url})
        try:
            found = _at_full_speed(server, database, bodies)
            found |= _at_rate(server, more, rate)
        finally:
            server.close()
            shutil.rmtree(folder, ignore_errors=True)
    say(
        f"postgresql: {found['ledger_microseconds']:.0f} + {found['database_microseconds']:.0f} "
        f"microseconds of CPU a span (ledger + database), "
        f"{found['spans_per_two_cpu_seconds']:,.0f} spans for one second of two cores, "
        f"{found['spans_per_second']:,.0f} a second here; at {rate:,} a second the lag is "
        f"{found['lag_seconds']:.2f} s at most"
    )
    return found


def _at_full_speed(server: Server, database: Postgres, bodies: Sequence[bytes]) -> dict[str, Any]:
    send_all(server, bodies[:_WARM_UP])
    spans = (len(bodies) - _WARM_UP) * SPANS_PER_BATCH
    ledger, base, began = server.cpu_seconds(), database.cpu_seconds(), time.monotonic()
    send_all(server, bodies[_WARM_UP:])
    seconds = time.monotonic() - began
    ledger, base = server.cpu_seconds() - ledger, database.cpu_seconds() - base
    return {
        "spans": spans,
        "spans_per_second": spans / seconds,
        "ledger_microseconds": ledger / spans * 1e6,
        "database_microseconds": base / spans * 1e6,
        # One process computes on one core at a time: the slower half is the limit.
        "spans_per_two_cpu_seconds": min(2 * spans / (ledger + base), spans / ledger),
        "load": os.getloadavg()[0],
    }


def _at_rate(server: Server, bodies: Sequence[bytes], rate: int) -> dict[str, Any]:
    pause = SPANS_PER_BATCH / rate
    headers = {"content-type": "application/x-protobuf"}
    lags = []
    began = time.monotonic()
    with httpx.Client(timeout=120) as client:
        for number, body in enumerate(bodies):
            due = began + number * pause
            time.sleep(max(0.0, due - time.monotonic()))
            client.post(f"{server.url}/v1/traces", content=body, headers=headers).raise_for_status()
            lags.append(time.monotonic() - due)
    return {"rate": rate, "lag_seconds": max(lags)}


def version() -> str:
    """Return which PostgreSQL is measured."""
    asked = [str(ledger_postgres.postgres_programs() / "postgres"), "--version"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
