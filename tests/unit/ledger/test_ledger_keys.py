"""API keys: made, used, rotated and revoked by the command, and what opens a ledger without."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from midwatch_ledger.models import ApiKey, AuditEntry
from midwatch_ledger.services import authentication, keys
from midwatch_ledger.services.authentication import Authenticator
from midwatch_ledger.services.keys import KeyRefusedError, KeyWanted
from midwatch_ledger.store.database import Database
from sqlalchemy import make_url, select

PROGRAM = [str(Path(sys.executable).with_name("midwatch-ledger"))]
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments],
        env={"PATH": os.defpath, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def made(ledger: Any, *scopes: str, now: datetime | None = None, **wanted: Any) -> str:
    with ledger.database.writing() as connection:
        key = KeyWanted("test", scopes or ("read",), **wanted)
        return keys.create(connection, key, "tester", now or datetime.now(UTC))[1]


def status(ledger: Any, key: str | None, path: str = "/budgets") -> int:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    return int(ledger.client.get(path, headers=headers).status_code)


@pytest.fixture
def url(tmp_path: Path, migrated_file: Path) -> str:
    shutil.copy(migrated_file, tmp_path / "ledger.db")
    return f"sqlite:///{tmp_path}/ledger.db"


@pytest.fixture
def command(url: str, tell: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arguments: tell(*arguments, MIDWATCH_LEDGER_DATABASE_URL=url)


def test_a_secret_is_printed_once_and_kept_nowhere(url: str, tmp_path: Path) -> None:
    wanted = ("collector", "--scope", "ingest", "--project", "shop")
    created = run("keys", "create", *wanted, MIDWATCH_LEDGER_DATABASE_URL=url)
    listed = run("keys", "list", MIDWATCH_LEDGER_DATABASE_URL=url)

    secret = created.stdout.strip()
    assert (created.returncode, created.stderr) == (0, "")
    assert secret.startswith("mwk_")
    assert len(secret) > 50
    assert secret not in listed.stdout
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("ledger.db*"))
    assert secret.split("_", 2)[2].encode() not in kept
    assert "collector" in listed.stdout
    assert "shop" in listed.stdout


def test_rotation_leaves_the_old_key_until_the_overlap_is_over(command: Any) -> None:
    first = command("keys", "create", "app", "--scope", "read").stdout.strip()
    prefix = first.split("_")[1]
    second = command("keys", "rotate", prefix, "--overlap-hours", "0")

    assert second.exit_code == 0
    assert second.stdout.strip() != first
    states = [line.split()[4] for line in command("keys", "list").stdout.splitlines()[1:]]
    assert sorted(states) == ["expired", "holds"]


def test_what_a_command_refuses_is_told_with_what_is_allowed(command: Any) -> None:
    unknown = command("keys", "create", "app", "--scope", "everything")
    absent = command("keys", "revoke", "0123456789ab")

    assert (unknown.exit_code, absent.exit_code) == (1, 1)
    assert "allowed are ingest, read, feedback, prompts, alerts, admin" in unknown.stderr
    assert "keys list" in absent.stderr
    assert "Traceback" not in unknown.stderr + absent.stderr


def test_the_first_key_closes_a_ledger_that_was_open_to_this_machine(
    open_ledger: Any, migrated_url: str
) -> None:
    assert status(open_ledger(migrated_url), None) == 200
    closed = open_ledger(migrated_url)
    key = made(closed)

    assert status(closed, None) == 401
    assert status(closed, key) == 200


@pytest.mark.parametrize("wrong", ["x", "mwk_", "mwk_0_0", "mwk_zzzzzzzzzzzz_secret", "\u00e9"])
def test_what_is_no_key_opens_nothing(ledger: Any, wrong: str) -> None:
    made(ledger)

    answer = ledger.client.get("/budgets", headers={"authorization": f"Bearer {wrong}".encode()})

    assert answer.status_code == 401


def test_the_prefix_of_a_key_does_not_open_with_another_secret(ledger: Any) -> None:
    key = made(ledger)

    assert status(ledger, key) == 200
    assert status(ledger, f"{key[:-1]}{'A' if key[-1] != 'A' else 'B'}") == 401


def test_an_expired_and_a_revoked_key_open_nothing(ledger: Any) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=2)
    expired = made(ledger, lifetime=timedelta(days=1), now=long_ago)
    revoked = made(ledger)
    with ledger.database.writing() as connection:
        keys.revoke(connection, revoked.split("_")[1], datetime.now(UTC))
        with pytest.raises(KeyRefusedError, match="has ended already"):
            keys.rotate(connection, revoked.split("_")[1], timedelta(), "me", datetime.now(UTC))
    made(ledger)

    assert (status(ledger, expired), status(ledger, revoked)) == (401, 401)


def test_the_last_use_is_written_once_a_minute(ledger: Any) -> None:
    key, moments = made(ledger), [NOW]
    who = Authenticator(ledger.database, {}, may_be_open=False, now=lambda: moments[-1])

    def last_used() -> Any:
        with ledger.database.reading() as connection:
            return connection.execute(select(ApiKey.last_used_at)).scalar_one()

    seen = []
    for seconds in (0, 30, 59, 61):
        moments.append(NOW + timedelta(seconds=seconds))
        assert who.by_key(key) is not None
        seen.append(last_used())

    assert seen == [NOW, NOW, NOW, NOW + timedelta(seconds=61)]


def test_a_revoked_key_is_refused_by_a_running_ledger_when_what_it_knows_is_old(
    ledger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # After five seconds, in truth: tests of live clients wait for that.
    monkeypatch.setattr(authentication, "_KEPT_SECONDS", 0.5)
    key = made(ledger)
    made(ledger)
    assert status(ledger, key) == 200
    with ledger.database.writing() as connection:
        keys.revoke(connection, key.split("_")[1], datetime.now(UTC))

    deadline = time.monotonic() + 10
    while status(ledger, key) == 200 and time.monotonic() < deadline:
        time.sleep(0.05)

    assert status(ledger, key) == 401


def test_making_and_ending_keys_is_in_the_audit_log(command: Any, tmp_path: Path) -> None:
    prefix = command("keys", "create", "app", "--scope", "read").stdout.split("_")[1]
    command("keys", "revoke", prefix)

    database = Database(make_url(f"sqlite:///{tmp_path}/ledger.db"))
    with database.reading() as connection:
        entries = connection.execute(
            select(AuditEntry.action, AuditEntry.changed).order_by(AuditEntry.occurred_at)
        ).all()
    database.close()

    actions = [entry.action.removeprefix("midwatch-ledger keys ") for entry in entries]
    assert actions == ["create", "revoke"]
    assert all(entry.changed == {"api_keys": 1} for entry in entries)


def test_an_address_that_others_reach_needs_somebody_who_may_call(tmp_path: Path) -> None:
    told = run(
        "serve",
        MIDWATCH_LEDGER_LISTEN="0.0.0.0:0",
        MIDWATCH_LEDGER_DATABASE_URL=f"sqlite:///{tmp_path}/ledger.db",
    )

    assert told.returncode == 1
    for remedy in ("API_KEY_FILE", "keys create", "OIDC_ISSUER", "127.0.0.1", "OPEN"):
        assert remedy in told.stderr
    assert "Traceback" not in told.stderr


def test_one_key_for_two_purposes_is_refused_at_the_start(tell: Any, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("the same")
    told = tell(
        "serve",
        MIDWATCH_LEDGER_API_KEY_FILE=str(tmp_path / "key"),
        MIDWATCH_LEDGER_INGEST_KEY_FILE=str(tmp_path / "key"),
    )

    assert told.exit_code == 2
    assert "hold the same key" in told.stderr
    assert "the same\n" not in told.stderr
