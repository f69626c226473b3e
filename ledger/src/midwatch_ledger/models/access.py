"""Who may do what, and who did: projects, users, keys, sessions, legal holds, the audit log."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from midwatch_ledger.models.base import Base


class Project(Base):
    """A tenant: rows of telemetry carry its name.

    `retention` says how many days each table keeps of it, where that is not what is usual.
    """

    __tablename__ = "projects"

    name: Mapped[str] = mapped_column(primary_key=True)
    description: Mapped[str | None]
    retention: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class User(Base):
    """Somebody who has logged in; `grants` is a role by project, renewed at each login."""

    __tablename__ = "users"
    __table_args__ = (Index("uq_users_issuer_subject", "issuer", "subject", unique=True),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    issuer: Mapped[str]
    subject: Mapped[str]
    name: Mapped[str | None]
    email: Mapped[str | None]
    grants: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    last_login_at: Mapped[datetime]


class LoginSession(Base):
    """A browser that is logged in; known by the digest of what its cookie holds."""

    __tablename__ = "login_sessions"
    __table_args__ = (Index("ix_login_sessions_expires_at", "expires_at"),)

    digest: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[uuid.UUID]
    csrf_token: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class LoginAttempt(Base):
    """A login that is under way; known by the digest of its state, good for one answer."""

    __tablename__ = "login_attempts"

    digest: Mapped[str] = mapped_column(primary_key=True)
    nonce: Mapped[str]
    verifier: Mapped[str]
    target: Mapped[str]
    expires_at: Mapped[datetime]


class ApiKey(Base):
    """A key of a program: the digest of it, and what it opens. `project` None is all of them."""

    __tablename__ = "api_keys"
    __table_args__ = (Index("uq_api_keys_prefix", "prefix", unique=True),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    prefix: Mapped[str]
    digest: Mapped[str]
    scopes: Mapped[list[Any]]
    project: Mapped[str | None]
    created_by: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class LegalHold(Base):
    """What must not be deleted until it is released: a project, session, user or trace."""

    __tablename__ = "legal_holds"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    subject: Mapped[str]
    value: Mapped[str]
    reason: Mapped[str]
    created_by: Mapped[str]
    created_at: Mapped[datetime]
    released_by: Mapped[str | None]
    released_at: Mapped[datetime | None]


class AuditEntry(Base):
    """One change: who, what, when, and digests of what it was about before and after.

    The database refuses to change or delete rows.
    """

    __tablename__ = "audit_log"
    __table_args__ = (Index("ix_audit_log_occurred_at", "occurred_at"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    occurred_at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str | None]
    changed: Mapped[dict[str, Any]]
    before_digest: Mapped[str | None]
    after_digest: Mapped[str | None]
    request_id: Mapped[str | None]
    address: Mapped[str | None]
