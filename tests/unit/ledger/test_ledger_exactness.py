"""Money and time come back as they went in, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from midwatch_ledger.models.types import Money, UtcTime
from midwatch_ledger.store.database import Database
from sqlalchemy import Column, Integer, MetaData, Table, delete, func, insert, make_url, select

amounts = st.decimals(min_value=0, max_value=10_000, places=9)
moments = st.datetimes(
    datetime(1971, 1, 1),  # noqa: DTZ001 -- hypothesis wants bounds without a zone
    datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
)
TABLE = Table(
    "exactness",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("amount", Money),
    Column("moment", UtcTime),
)
RELAXED = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def database(database_url: str) -> Any:
    opened = Database(make_url(database_url))
    with opened.writing() as connection:
        TABLE.create(connection)
    yield opened
    opened.close()


@RELAXED
@given(values=st.lists(amounts, min_size=1, max_size=20))
def test_sums_of_money_are_exact(database: Database, values: list[Decimal]) -> None:
    with database.writing() as connection:
        connection.execute(delete(TABLE))
        connection.execute(insert(TABLE), [{"amount": value} for value in values])
        found = connection.execute(select(func.sum(TABLE.c.amount))).scalar_one()

    assert found == sum(values)


@RELAXED
@given(value=moments)
def test_times_come_back_in_utc_to_the_microsecond(database: Database, value: datetime) -> None:
    with database.writing() as connection:
        connection.execute(delete(TABLE))
        connection.execute(insert(TABLE), [{"moment": value}])
        found = connection.execute(select(TABLE.c.moment)).scalar_one()

    assert found == value
    assert found.utcoffset() == timedelta(0)


@pytest.mark.parametrize("row", [{"amount": 0.1}, {"moment": datetime(2026, 11, 21)}])  # noqa: DTZ001
def test_floats_as_money_and_times_without_a_zone_are_refused(
    database: Database, row: dict[str, Any]
) -> None:
    with pytest.raises(Exception, match="must"), database.writing() as connection:
        connection.execute(insert(TABLE), [row])
