"""The schema: what migrations make is what the models say, also when many start at once."""

from __future__ import annotations

from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from midwatch_ledger.models import Base
from midwatch_ledger.store.database import Database
from midwatch_ledger.store.migrate import (
    SchemaError,
    check_schema,
    current_revision,
    head_revision,
    migrate,
)
from midwatch_ledger.store.partitions import is_partition
from sqlalchemy import make_url, text


@pytest.fixture
def database(database_url: str) -> Any:
    opened = Database(make_url(database_url))
    yield opened
    opened.close()


def test_migrations_make_the_tables_that_the_models_describe(database: Database) -> None:
    migrate(database)

    with database.reading() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_name": lambda name, *_: not is_partition(name or "")}
        )
        differences = compare_metadata(context, Base.metadata)

    assert differences == []


def test_a_second_migration_finds_nothing_to_do(database: Database) -> None:
    assert migrate(database) == (None, head_revision())
    assert migrate(database) == (head_revision(), head_revision())


def test_replicas_that_start_together_migrate_once_and_all_succeed(
    database: Database, database_url: str, migrate_together: Any
) -> None:
    ended = migrate_together(3, database_url)

    assert [code for code, _ in ended] == [0, 0, 0], ended
    assert sum("migrated from nothing" in told for _, told in ended) == 1
    assert current_revision(database) == head_revision()


def test_a_database_of_a_newer_version_is_left_alone(database: Database) -> None:
    migrate(database)
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(SchemaError, match=r"9999.*newer version"):
        migrate(database)

    assert current_revision(database) == "9999"


def test_an_empty_database_is_told_with_the_remedy(database: Database) -> None:
    with pytest.raises(SchemaError, match="run: midwatch-ledger migrate"):
        check_schema(database)


def test_sqlite_keeps_a_write_ahead_log(sqlite_url: str) -> None:
    database = Database(make_url(sqlite_url))
    migrate(database)

    with database.reading() as connection:
        mode = connection.execute(text("PRAGMA journal_mode")).scalar_one()
    database.close()

    assert mode == "wal"
