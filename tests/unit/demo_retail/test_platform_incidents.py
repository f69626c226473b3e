"""The incidents of the watch itself: programs that do harm for a while, and disks that are full."""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc  # type: ignore[import-untyped]
import psutil
import pytest
import yaml
from google.protobuf import json_format
from incidents.background import ProgramRunsIncident
from incidents.causes.lasting import file_of, holder_of
from incidents.model import AbsentError, IncidentError
from incidents.platform import PLATFORM
from incidents.quota import FullDiskIncident
from incidents.registry import find_incident
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from stack.state import DirectoryLock

DATABASE = "programs/ledger/files/var/lib/midwatch/ledger/ledger.db"


class Receiver(ThreadingHTTPServer):
    """Takes what is sent to it; on `/v1/traces` of a ledger the minutes wait to be summed up."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taker)
        self.taken: list[tuple[str, Any]] = []
        self.database: Path | None = None
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Taker(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.taken.append((self.path, body))
        if self.server.database is not None:
            spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"]
            minutes = {(int(span["startTimeUnixNano"]) // 60_000_000_000,) for span in spans}
            with closing(sqlite3.connect(self.server.database)) as connection, connection:
                connection.executemany("INSERT INTO stale_minutes VALUES (?)", minutes)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing: the tests read what was taken."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    threading.Thread(target=one.serve_forever, args=(0.05,), daemon=True).start()
    yield one
    one.shutdown()
    one.server_close()


@pytest.fixture
def stack(tmp_path: Path, receiver: Receiver) -> Iterator[Any]:
    """The folder of a stack that is alive, with a ledger's database."""
    database = tmp_path / DATABASE
    database.parent.mkdir(parents=True)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE stale_minutes (minute)")
        connection.execute("CREATE TABLE spans (name)")
        connection.commit()
    lock = DirectoryLock(tmp_path)
    lock.acquire()
    yield SimpleNamespace(
        record=SimpleNamespace(directory=str(tmp_path)),
        url=lambda _: receiver.url,
        lock=lock,
        programs=lambda: {"tempo": SimpleNamespace(ports={"otlp-grpc": receiver.server_port})},
    )
    lock.release()


def running(name: str) -> ProgramRunsIncident:
    found = find_incident(name)
    assert isinstance(found, ProgramRunsIncident)
    return found


def may_write(stack: Any) -> bool:
    with closing(sqlite3.connect(Path(stack.record.directory) / DATABASE, timeout=0)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        return True


@pytest.mark.parametrize("name", ["ledger-locked", "ledger-slow"])
def test_nobody_else_writes_while_the_database_is_held(
    stack: Any, receiver: Receiver, name: str
) -> None:
    receiver.database = Path(stack.record.directory) / DATABASE
    incident = running(name)
    assert not incident.active(stack)
    for _ in range(2):
        incident.start(stack)
        assert incident.active(stack)
        assert not may_write(stack)
    for _ in range(2):
        incident.stop(stack)
        assert not incident.active(stack)
        assert may_write(stack)


def test_between_two_holds_the_ledger_stores_one_batch(stack: Any, programs: Any) -> None:
    often = ProgramRunsIncident("often", "Held.", (), "held_lock", ("--hold", "0.2"))
    often.start(stack)
    database = Path(stack.record.directory) / DATABASE
    try:
        with closing(sqlite3.connect(database, timeout=20)) as connection, connection:
            connection.execute("INSERT INTO spans VALUES ('one')")
        programs.wait_until(lambda: not may_write(stack), "the next hold")
    finally:
        often.stop(stack)


def test_what_comes_late_waits_to_be_summed_up_when_the_database_is_held(
    stack: Any, receiver: Receiver
) -> None:
    receiver.database = Path(stack.record.directory) / DATABASE
    incident = running("ledger-locked")
    incident.start(stack)
    incident.stop(stack)
    with closing(sqlite3.connect(receiver.database)) as connection:
        waiting = connection.execute("SELECT count(DISTINCT minute) FROM stale_minutes").fetchone()
    assert waiting[0] > 90


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("nameless-spans", "/v1/traces"),
        ("late-clock", "/v1/metrics"),
        ("endless-trace", "/v1/traces"),
    ],
)
def test_a_stray_client_sends_until_it_is_told_to_end(
    stack: Any, receiver: Receiver, name: str, path: str
) -> None:
    incident = running(name)
    incident.start(stack)
    incident.stop(stack)
    assert not incident.active(stack)
    assert receiver.taken[0][0] == path
    count = len(receiver.taken)
    incident.stop(stack)
    assert len(receiver.taken) == count


def test_an_endless_trace_is_more_than_tempo_takes_after_some_turns(
    stack: Any, receiver: Receiver
) -> None:
    incident = running("endless-trace")
    incident.start(stack)
    incident.stop(stack)
    body = json_format.ParseDict(receiver.taken[0][1], ExportTraceServiceRequest())
    spans = [span for one in body.resource_spans for part in one.scope_spans for span in part.spans]
    assert len({span.trace_id for span in spans}) == 1
    assert len({span.span_id for span in spans}) == len(spans)
    assert 300_000 < body.ByteSize() < 1_000_000  # Of the 5 MB that a trace may have.


class _Tempo(TraceServiceServicer):
    """Takes spans as Tempo's own receiver does."""

    def __init__(self) -> None:
        self.longest = 0

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802  (gRPC's name)
        attributes = request.resource_spans[0].scope_spans[0].spans[0].attributes
        self.longest = max(len(one.value.string_value) for one in attributes)
        return ExportTraceServiceResponse()


def test_prompts_go_past_the_collector_longer_than_tempo_keeps_them(stack: Any) -> None:
    tempo, server = _Tempo(), grpc.server(ThreadPoolExecutor(1))
    add_TraceServiceServicer_to_server(tempo, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    stack.programs = lambda: {"tempo": SimpleNamespace(ports={"otlp-grpc": port})}
    incident = running("prompts-around-collector")
    try:
        incident.start(stack)
        incident.stop(stack)
    finally:
        server.stop(None).wait()
    values = (Path(__file__).parents[3] / "charts/midwatch/values.yaml").read_text()
    assert tempo.longest > yaml.safe_load(values)["collector"]["maxAttributeBytes"]


@pytest.mark.parametrize("name", ["prompts-around-collector", "endless-trace"])
def test_without_tempo_its_incidents_say_so_and_are_skipped(stack: Any, name: str) -> None:
    stack.programs = dict
    with pytest.raises(AbsentError, match=f"{name} needs tempo, .* on PATH"):
        running(name).start(stack)
    assert not running(name).active(stack)


def test_a_cause_ends_with_its_stack(stack: Any, programs: Any) -> None:
    incident = running("ledger-slow")
    incident.start(stack)
    process = holder_of(file_of(stack.record.directory, "ledger-slow"))
    assert process is not None
    stack.lock.release()
    programs.wait_until(lambda: not incident.active(stack), "the end of the cause")
    incident.stop(stack)
    assert not psutil.pid_exists(process)


def test_a_cause_that_cannot_begin_says_why(stack: Any) -> None:
    (Path(stack.record.directory) / DATABASE).unlink()
    with pytest.raises(IncidentError, match="has no database"):
        running("ledger-slow").start(stack)
    assert holder_of(file_of(stack.record.directory, "ledger-slow")) is None


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A program that keeps each line that it is given in a file, and tells what came of it."""
    code = (
        "import sys\n"
        "for line in sys.stdin:\n"
        "    try:\n"
        f"        with open({str(tmp_path / 'kept')!r}, 'a') as file:\n"
        "            file.write(line)\n"
        "        print('kept', flush=True)\n"
        "    except OSError as problem:\n"
        "        print(type(problem).__name__, flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process
    process.communicate(timeout=20)


def test_a_full_disk_takes_nothing_until_the_incident_is_over(
    writer: subprocess.Popen[str],
) -> None:
    def wrote() -> str:
        assert writer.stdin is not None
        assert writer.stdout is not None
        writer.stdin.write("line\n")
        writer.stdin.flush()
        return writer.stdout.readline().strip()

    (incident,) = [one for one in PLATFORM if isinstance(one, FullDiskIncident)]
    place: Any = SimpleNamespace(
        programs=lambda: {incident.program: SimpleNamespace(pid=writer.pid)}
    )
    before = resource.prlimit(writer.pid, resource.RLIMIT_FSIZE)
    assert wrote() == "kept"
    for _ in range(2):
        incident.start(place)
        assert incident.active(place)
        assert wrote() == "OSError"
    for _ in range(2):
        incident.stop(place)
        assert not incident.active(place)
        assert wrote() == "kept"
    assert resource.prlimit(writer.pid, resource.RLIMIT_FSIZE)[1] == before[1]


def test_a_disk_is_not_filled_for_a_program_that_does_not_run() -> None:
    (incident,) = [one for one in PLATFORM if isinstance(one, FullDiskIncident)]
    place: Any = SimpleNamespace(programs=lambda: {incident.program: SimpleNamespace(pid=None)})
    with pytest.raises(IncidentError, match="does not run"):
        incident.start(place)
    assert resource.prlimit(os.getpid(), resource.RLIMIT_FSIZE)[0] != 0
