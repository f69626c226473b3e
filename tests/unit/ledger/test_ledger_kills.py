"""`kill -9` of the ledger and of PostgreSQL under load, with the real collector in front."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from midwatch_ledger.models import ExecutionLog, LlmCallLog, Span
from midwatch_ledger.services.rollups import rebuild
from midwatch_ledger.store.database import Database
from midwatch_ledger.store.rollups import SUMMED
from sqlalchemy import func, make_url, select
from toolchain import program_path

from tests.free_ports import free_port

pytestmark = pytest.mark.programs

LEDGER = [str(Path(sys.executable).with_name("midwatch-ledger")), "serve"]
PROTOBUF = {"content-type": "application/x-protobuf"}
PATIENCE_SECONDS = 150.0
COST_OF_A_TURN = Decimal("0.0012")


def eventually(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


class Program:
    """A process that can be killed and started again."""

    def __init__(self, command: list[str], log: Path, **environment: str) -> None:
        self._command, self._log, self._environment = command, log, environment
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env={**os.environ, **self._environment}
            )

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(30)


class Traffic:
    """Sends turns to the collector until told to end; `taken` are those that it acknowledged."""

    def __init__(self, url: str, otlp: Any) -> None:
        self.taken: list[str] = []
        self._url, self._otlp = url, otlp
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        number = 0
        with httpx.Client(timeout=10) as client:
            while not self._ended.is_set():
                number += 1
                build = type(self._otlp)(trace_id=f"{number:032x}")
                body = build.traces(*build.turn()).SerializeToString()
                with suppress(httpx.TransportError):
                    answer = client.post(f"{self._url}/v1/traces", content=body, headers=PROTOBUF)
                    if answer.status_code == 200:
                        self.taken.append(build.trace_id)
                self._ended.wait(0.05)


def collector(folder: Path, port: int, ledger: str) -> dict[str, Any]:
    """Give the configuration of a collector that keeps on disk what the ledger doesn't take."""
    (folder / "queue").mkdir()
    exporter = {
        "endpoint": ledger,
        "sending_queue": {"storage": "file_storage", "queue_size": 10_000, "num_consumers": 4},
        "retry_on_failure": {
            "initial_interval": "200ms",
            "max_interval": "1s",
            "max_elapsed_time": 0,
        },
    }
    return {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}},
        "extensions": {"file_storage": {"directory": str(folder / "queue")}},
        "exporters": {"otlp_http": exporter},
        "service": {
            "extensions": ["file_storage"],
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["otlp_http"]}},
        },
    }


@pytest.fixture
def running(tmp_path: Path, start_postgres: Callable[[], Any]) -> Iterator[Any]:
    """Give PostgreSQL, a ledger on it and a collector before that, and the collector's address."""
    server = start_postgres()
    url, ports = server.create_database(), (free_port(), free_port())
    configuration = tmp_path / "collector.yaml"
    configuration.write_text(
        json.dumps(collector(tmp_path, ports[0], f"http://127.0.0.1:{ports[1]}"))
    )
    ledger = Program(
        LEDGER,
        tmp_path / "ledger.log",
        MIDWATCH_LEDGER_DATABASE_URL=url,
        MIDWATCH_LEDGER_LISTEN=f"127.0.0.1:{ports[1]}",
    )
    before = Program([str(program_path("otelcol")), f"--config={configuration}"], tmp_path / "log")
    database = Database(make_url(url))
    yield server, ledger, database, f"http://127.0.0.1:{ports[0]}"
    database.close()
    before.kill()
    ledger.kill()


def counted(database: Database, column: Any) -> int:
    with suppress(Exception), database.reading() as connection:
        return int(connection.execute(select(func.count(column))).scalar_one())
    return 0


def test_kills_of_ledger_and_database_lose_nothing_and_count_nothing_twice(
    running: Any, otlp: Any
) -> None:
    server, ledger, database, url = running
    traffic = Traffic(url, otlp)
    try:
        for kill in (ledger.kill, server.stop, ledger.kill):
            seen = counted(database, Span.span_id)
            eventually(lambda: counted(database, Span.span_id) > seen + 35, "nothing comes")  # noqa: B023
            kill()
            (server if kill == server.stop else ledger).start()
    finally:
        traffic.end()
    wanted = 7 * len(traffic.taken)

    eventually(lambda: counted(database, Span.span_id) >= wanted, "some are lost")

    assert len(traffic.taken) > 30
    with database.reading() as connection:
        found = set(connection.execute(select(Span.trace_id).distinct()).scalars())
    spans, calls = counted(database, Span.span_id), counted(database, LlmCallLog.id)
    assert found >= set(traffic.taken)
    assert spans == 7 * len(found)
    assert (calls, counted(database, ExecutionLog.id)) == (2 * len(found), 4 * len(found))
    rebuild(database)
    with database.reading() as connection:
        summed = select(func.sum(SUMMED.count), func.sum(SUMMED.cost)).where(
            SUMMED.kind == "llm_call", SUMMED.resolution == "hour"
        )
        number, cost = connection.execute(summed).one()
    assert number == calls
    assert cost == COST_OF_A_TURN * len(found)
