"""What a command of `midwatch-ledger` loads: what it works with, so that it answers at once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

# Tells on its last line what is loaded when the program ends.
STARTED = """
import atexit, json, sys
atexit.register(lambda: print("\\n" + json.dumps(sorted(sys.modules))))
from midwatch_ledger.cli import main
main()
"""
OF_THE_SERVER = (
    "alembic",
    "authlib",
    "fastapi",
    "google.protobuf",
    "jinja2",
    "midwatch_ledger.api",
    "opentelemetry",
    "prometheus_client",
    "pyarrow",
    "smtplib",
    "starlette",
    "uvicorn",
    "websockets",
)
OF_THE_DATABASE = ("midwatch_ledger.models", "midwatch_ledger.store", "psycopg", "sqlite3")
OF_THE_SETTINGS = ("midwatch_ledger.settings", "sqlalchemy")
WRONG = {"MIDWATCH_LEDGER_LISTEN": "8088"}


def loaded(arguments: str, **environment: str) -> tuple[int, set[str]]:
    """Run a command; give how it ended, and what it had loaded then."""
    done = subprocess.run(
        [sys.executable, "-c", STARTED, *arguments.split()],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "without"),
    [
        ("--help", {}, 0, (*OF_THE_SERVER, *OF_THE_DATABASE, *OF_THE_SETTINGS)),
        ("keys create --help", {}, 0, (*OF_THE_SERVER, *OF_THE_DATABASE, *OF_THE_SETTINGS)),
        ("serve", WRONG, 2, (*OF_THE_SERVER, *OF_THE_DATABASE)),
        ("serve", {"MIDWATCH_LEDGER_LISTEN": "192.0.2.1:8088"}, 1, OF_THE_SERVER),
        ("doctor", {}, 0, OF_THE_SERVER),
        ("keys list", {}, 0, OF_THE_SERVER),
    ],
    ids=["help", "help of a command", "wrong settings", "no such address", "doctor", "keys"],
)
def test_a_command_loads_no_more_than_it_works_with(
    arguments: str,
    environment: dict[str, str],
    code: int,
    without: tuple[str, ...],
    migrated_file: Path,
) -> None:
    ended, modules = loaded(
        arguments, MIDWATCH_LEDGER_DATABASE_URL=f"sqlite:///{migrated_file}", **environment
    )

    assert ended == code
    assert "midwatch_ledger.commands" in modules
    assert sorted(modules.intersection(without)) == []
