"""What the ledger's tests need: both databases, a running ledger, and telemetry to send it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from midwatch_ledger.commands import application
from midwatch_ledger.services.keys import digest_of
from midwatch_ledger.store import access, partitions
from midwatch_ledger.store.database import Database
from midwatch_ledger.store.migrate import migrate
from sqlalchemy import make_url
from typer.testing import CliRunner, Result

from tests.unit.ledger import ledger_running
from tests.unit.ledger.ledger_databases import KnownDatabases, MigratedDatabases
from tests.unit.ledger.ledger_fillings import Fillings
from tests.unit.ledger.ledger_postgres import PostgresServer, folder_for_files, postgres_servers
from tests.unit.ledger.ledger_running import Ledger, Ledgers, running_ledgers
from tests.unit.ledger.ledger_telemetry import Otlp


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


@pytest.fixture(scope="session")
def files() -> Iterator[Path]:
    """Give the folder of the SQLite files."""
    folder = folder_for_files()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def start_postgres() -> Iterator[Callable[[], PostgresServer]]:
    """Start PostgreSQL servers that end with the session."""
    with postgres_servers() as start:
        yield start


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


@pytest.fixture(scope="session")
def answer_at_once() -> Callable[[TestClient], TestClient]:
    """Give what makes requests of a client cheaper, for tests that make many."""
    return ledger_running.answer_at_once


@pytest.fixture(scope="session")
def ledgers(known_databases: KnownDatabases, migrated_file: Path) -> Ledgers:
    """Give what starts ledgers that end with a block."""
    return lambda: running_ledgers(known_databases, migrated_file)


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


@pytest.fixture(scope="session")
def fillings(files: Path) -> Fillings:
    """Give what ledgers were filled with before."""
    return Fillings(files)
