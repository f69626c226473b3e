"""Projects, users, keys, login sessions, legal holds, and an audit log that only grows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from midwatch_ledger.models.types import JsonDocument, UtcTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables; what is there stays as it is."""
    _create_people()
    _create_keys()
    op.create_table(
        "legal_holds",
        sa.Column("id", sa.Uuid(), nullable=False),
        *_texts("subject", "value", "reason", "created_by"),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("released_by", sa.Text(), nullable=True),
        sa.Column("released_at", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_legal_holds"),
    )
    op.create_table(
        "audit_log",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("occurred_at", UtcTime(), nullable=False),
        *_texts("actor", "action"),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("changed", JsonDocument, nullable=False),
        *_optional_texts("before_digest", "after_digest", "request_id", "address"),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
    )
    op.create_index("ix_audit_log_occurred_at", "audit_log", ["occurred_at"], unique=False)
    _refuse_changes_of_the_audit_log()


def _create_people() -> None:
    op.create_table(
        "projects",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("retention", JsonDocument, nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("updated_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_projects"),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        *_texts("issuer", "subject"),
        *_optional_texts("name", "email"),
        sa.Column("grants", JsonDocument, nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("last_login_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
    )
    op.create_index("uq_users_issuer_subject", "users", ["issuer", "subject"], unique=True)
    op.create_table(
        "login_sessions",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        *_texts("csrf_token"),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("expires_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_login_sessions"),
    )
    op.create_index("ix_login_sessions_expires_at", "login_sessions", ["expires_at"], unique=False)
    op.create_table(
        "login_attempts",
        *_texts("digest", "nonce", "verifier", "target"),
        sa.Column("expires_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_login_attempts"),
    )


def _create_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        *_texts("name", "prefix", "digest"),
        sa.Column("scopes", JsonDocument, nullable=False),
        sa.Column("project", sa.Text(), nullable=True),
        *_texts("created_by"),
        sa.Column("created_at", UtcTime(), nullable=False),
        *(
            sa.Column(name, UtcTime(), nullable=True)
            for name in ("expires_at", "revoked_at", "last_used_at")
        ),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
    )
    op.create_index("uq_api_keys_prefix", "api_keys", ["prefix"], unique=True)


def _refuse_changes_of_the_audit_log() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_log_refuses_{verb.lower()} BEFORE {verb} ON audit_log "
                "BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION audit_log_refuses() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit log only grows'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_log_refuses BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_log_refuses()"
    )


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _optional_texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=True) for name in names]
