"""Keys, users and logins on disk, and the audit log as it is read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, delete, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from midwatch_ledger.models import ApiKey, AuditEntry, LoginAttempt, LoginSession, User

Record = dict[str, Any]


def add_key(connection: Connection, row: Record) -> None:
    """Add a key."""
    connection.execute(insert(ApiKey), [row])


def key_by_prefix(connection: Connection, prefix: str) -> Record | None:
    """Return a key, also one that doesn't hold any more."""
    return _first(connection, select(ApiKey).where(ApiKey.prefix == prefix))


def keys(connection: Connection) -> list[Record]:
    """Return all keys, the oldest first."""
    return _all(connection, select(ApiKey).order_by(ApiKey.created_at, ApiKey.id))


def has_key(connection: Connection, now: datetime) -> bool:
    """Return whether any key holds."""
    expired = and_(ApiKey.expires_at.is_not(None), ApiKey.expires_at <= now)
    held = select(ApiKey.id).where(ApiKey.revoked_at.is_(None), ~expired).limit(1)
    return connection.execute(held).first() is not None


def change_key(connection: Connection, prefix: str, **values: Any) -> None:
    """Change columns of a key."""
    connection.execute(update(ApiKey).where(ApiKey.prefix == prefix).values(**values))


def note_use(connection: Connection, prefix: str, now: datetime, before: datetime) -> None:
    """Note when a key was used, unless that was noted after `before`."""
    old = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < before)
    connection.execute(update(ApiKey).where(ApiKey.prefix == prefix, old).values(last_used_at=now))


def keep_user(connection: Connection, row: Record) -> Record:
    """Add a user, or renew the one of this issuer and subject; return it as it is now."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    renewed = ("name", "email", "grants", "last_login_at")
    statement = dialect.insert(User).values(row)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["issuer", "subject"],
            set_={name: statement.excluded[name] for name in renewed},
        )
    )
    kept = _first(
        connection,
        select(User).where(User.issuer == row["issuer"], User.subject == row["subject"]),
    )
    return kept or row


def add_session(connection: Connection, row: Record, now: datetime) -> None:
    """Add a login session; those that are over go."""
    connection.execute(delete(LoginSession).where(LoginSession.expires_at <= now))
    connection.execute(insert(LoginSession), [row])


def session(connection: Connection, digest: str, now: datetime) -> Record | None:
    """Return a session that isn't over, with its user's columns."""
    query = (
        select(
            LoginSession.csrf_token,
            LoginSession.expires_at,
            User.id,
            User.name,
            User.email,
            User.issuer,
            User.subject,
            User.grants,
        )
        .join(User, User.id == LoginSession.user_id)
        .where(LoginSession.digest == digest, LoginSession.expires_at > now)
    )
    return _first(connection, query)


def end_session(connection: Connection, digest: str) -> None:
    """Forget a session."""
    connection.execute(delete(LoginSession).where(LoginSession.digest == digest))


def add_attempt(connection: Connection, row: Record, now: datetime) -> None:
    """Remember a login that begins; those that nobody finished in time go."""
    connection.execute(delete(LoginAttempt).where(LoginAttempt.expires_at <= now))
    connection.execute(insert(LoginAttempt), [row])


def take_attempt(connection: Connection, digest: str, now: datetime) -> Record | None:
    """Return a login that began, once."""
    found = _first(
        connection,
        select(LoginAttempt).where(LoginAttempt.digest == digest, LoginAttempt.expires_at > now),
    )
    taken = connection.execute(delete(LoginAttempt).where(LoginAttempt.digest == digest)).rowcount
    return found if taken else None


def audit(
    connection: Connection,
    equal: Mapping[str, str | None],
    start: datetime | None,
    end: datetime | None,
    limit: int,
    offset: int,
) -> list[Record]:
    """Return entries of the audit log, the newest first."""
    query = select(AuditEntry).order_by(AuditEntry.occurred_at.desc(), AuditEntry.id)
    for name, value in equal.items():
        if value is not None:
            query = query.where(getattr(AuditEntry, name) == value)
    if start is not None:
        query = query.where(AuditEntry.occurred_at >= start)
    if end is not None:
        query = query.where(AuditEntry.occurred_at < end)
    return _all(connection, query.limit(limit).offset(offset))


def _first(connection: Connection, query: Select[Any]) -> Record | None:
    row = connection.execute(query.limit(1)).mappings().first()
    return None if row is None else dict(row)


def _all(connection: Connection, query: Select[Any]) -> list[Record]:
    return [dict(row) for row in connection.execute(query).mappings()]
