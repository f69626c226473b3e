"""The program as it is run: starting, stopping, being killed, and telling what is wrong."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tests.free_ports import free_port

PROGRAM = [str(Path(sys.executable).with_name("midwatch-ledger"))]
PROTOBUF = {"content-type": "application/x-protobuf"}
PATIENCE_SECONDS = 60.0


class Running:
    """A started `midwatch-ledger serve`."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*PROGRAM, "serve"],
                stdout=log,
                stderr=log,
                env={
                    "MIDWATCH_LEDGER_DATABASE_URL": f"sqlite:///{folder / 'ledger.db'}",
                    "MIDWATCH_LEDGER_LISTEN": f"127.0.0.1:{self.port}",
                    **environment,
                },
            )
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        with httpx.Client(verify=False, timeout=5) as client:  # noqa: S501 -- nothing is encrypted
            while time.monotonic() < deadline and self.process.poll() is None:
                try:
                    if client.get(f"{self.url}/readyz").status_code == 200:
                        return
                except httpx.TransportError:
                    time.sleep(0.05)
        self.process.kill()
        pytest.fail(f"the ledger didn't become ready: {self.log.read_text()}")

    def send(self, client: httpx.Client, request: Any) -> httpx.Response:
        """Post spans."""
        return client.post(
            f"{self.url}/v1/traces", content=request.SerializeToString(), headers=PROTOBUF
        )


@pytest.fixture
def run() -> Iterator[Callable[..., Running]]:
    """Start ledgers that end with the test."""
    started: list[Running] = []

    def start(folder: Path, **environment: str) -> Running:
        started.append(Running(folder, **environment))
        return started[-1]

    yield start
    for ledger in started:
        if ledger.process.poll() is None:
            ledger.process.kill()
        ledger.process.wait()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Give a ledger that tests share which neither stop nor fill it."""
    ledger = Running(tmp_path_factory.mktemp("running"))
    yield ledger
    ledger.process.kill()
    ledger.process.wait()


def ended(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the program to its end."""
    return subprocess.run(
        [*PROGRAM, *arguments], env=environment, capture_output=True, text=True, timeout=120
    )


def test_what_was_acknowledged_survives_kill_nine(
    run: Callable[..., Running], tmp_path: Path, otlp: Any
) -> None:
    ledger = run(tmp_path)
    acknowledged = 0
    with httpx.Client(timeout=10) as client:
        for number in range(1, 100):
            if ledger.send(client, otlp.traces(otlp.chat(number))).status_code == 200:
                acknowledged += 1
            if number == 50:
                os.kill(ledger.process.pid, signal.SIGKILL)
                break
    ledger.process.wait()

    again = run(tmp_path)

    found = httpx.get(f"{again.url}/monitoring/traces/{otlp.trace_id}").json()
    assert acknowledged == 50
    assert found["traces"][0]["span_count"] == 50


def test_opentelemetrys_own_exporter_is_understood(running: Running) -> None:
    provider = TracerProvider()
    exporter = OTLPSpanExporter(f"{running.url}/v1/traces", compression=Compression.Gzip)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("turn", attributes={"session.id": "s-1"}) as turn:
        with tracer.start_as_current_span("chat", attributes={"gen_ai.operation.name": "chat"}):
            pass
        turn.set_attribute("midwatch.turn.outcome", "ok")
    provider.shutdown()

    found = httpx.get(f"{running.url}/monitoring/traces/s-1").json()["traces"][0]
    assert (found["complete"], found["llm_calls"], found["outcome"]) == (True, 1, "ok")
    assert found["spans"][0]["children"][0]["name"] == "chat"


def test_sigterm_ends_with_success_and_leaves_nothing_open(
    run: Callable[..., Running], tmp_path: Path, otlp: Any
) -> None:
    ledger = run(tmp_path)
    with httpx.Client() as client:
        assert ledger.send(client, otlp.traces(*otlp.turn())).status_code == 200

    ledger.process.terminate()

    assert ledger.process.wait(PATIENCE_SECONDS) == 0
    # The last connection that closes in order removes the write-ahead log.
    assert not (tmp_path / "ledger.db-wal").exists()


def test_an_answer_on_a_kept_connection_waits_for_no_acknowledgement(running: Running) -> None:
    """Where the kernel holds an answer's body back for one, none comes in less than 40 ms."""
    taken = []
    with httpx.Client(base_url=running.url) as client:
        for _ in range(60):
            began = time.perf_counter()
            client.get("/healthz").raise_for_status()
            taken.append(time.perf_counter() - began)

    # At first every segment is acknowledged at once; the best of the rest is no matter of load.
    assert min(taken[30:]) < 0.03


def test_a_port_in_use_is_told_with_the_remedy(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        told = ended(
            "serve",
            MIDWATCH_LEDGER_LISTEN=address,
            MIDWATCH_LEDGER_DATABASE_URL=f"sqlite:///{tmp_path / 'ledger.db'}",
        )

    assert told.returncode == 1
    assert f"can't listen on {address}: another program listens there" in told.stderr
    assert "MIDWATCH_LEDGER_LISTEN" in told.stderr
    assert "Traceback" not in told.stderr


def test_all_wrong_settings_are_told_at_once_and_without_secrets(tell: Any, tmp_path: Path) -> None:
    told = tell(
        "serve",
        MIDWATCH_LEDGER_DATABASE_URL="mysql://root:hunter2@host/db",
        MIDWATCH_LEDGER_LISTEN="8088",
        MIDWATCH_LEDGER_MAX_BODY_BYTES="7",
        MIDWATCH_LEDGER_API_KEY_FILE=str(tmp_path / "absent"),
    )

    assert told.exit_code == 2
    for name in ("DATABASE_URL", "LISTEN", "MAX_BODY_BYTES", "API_KEY_FILE"):
        assert f"MIDWATCH_LEDGER_{name}: " in told.stderr
    assert "use sqlite or postgresql+psycopg" in told.stderr
    assert "hunter2" not in told.stderr


def test_a_database_that_cannot_be_made_is_told_with_the_remedy(tell: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")

    told = tell("migrate", MIDWATCH_LEDGER_DATABASE_URL=f"sqlite:///{tmp_path}/file/ledger.db")

    assert told.exit_code == 1
    assert "MIDWATCH_LEDGER_DATABASE_URL" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_file_that_is_no_database_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_text("a text that is long enough to be no header " * 50)

    told = ended("serve", MIDWATCH_LEDGER_DATABASE_URL=f"sqlite:///{tmp_path}/ledger.db")

    assert told.returncode == 1
    assert "file is not a database" in told.stderr
    assert "Traceback" not in told.stderr


def test_without_leave_to_migrate_an_old_schema_stops_the_start(tmp_path: Path) -> None:
    told = ended(
        "serve",
        MIDWATCH_LEDGER_DATABASE_URL=f"sqlite:///{tmp_path}/ledger.db",
        MIDWATCH_LEDGER_LISTEN="127.0.0.1:0",
        MIDWATCH_LEDGER_MIGRATE_ON_START="false",
    )

    assert told.returncode == 1
    assert "run: midwatch-ledger migrate" in told.stderr


def test_doctor_fails_before_the_migration_and_passes_after(tell: Any, tmp_path: Path) -> None:
    environment = {"MIDWATCH_LEDGER_DATABASE_URL": f"sqlite:///{tmp_path}/ledger.db"}
    before = tell("doctor", **environment)
    migrated = tell("migrate", **environment)
    after = ended("doctor", **environment)

    assert (before.exit_code, migrated.exit_code, after.returncode) == (1, 0, 0)
    assert "FAIL  schema" in before.stdout
    assert "ok    schema" in after.stdout
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone()
    connection.close()
