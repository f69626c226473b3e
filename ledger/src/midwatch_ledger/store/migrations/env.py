"""How Alembic runs here: on the connection, and in the transaction, of `store.migrate`."""

from __future__ import annotations

from alembic import context
from midwatch_ledger.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,
)
context.run_migrations()
