"""Column types that mean the same on PostgreSQL and on SQLite.

SQLite has neither exact decimals nor time zones. Money is therefore kept there as whole
nano-dollars and time as whole microseconds since 1970 (UTC): both compare, sum and sort exactly.
PostgreSQL gets its own types, so that people who read the tables with SQL see dollars and times.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Numeric, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

NANO_DOLLARS = Decimal(1_000_000_000)
SMALLEST_AMOUNT = Decimal(1) / NANO_DOLLARS
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Money(TypeDecorator[Decimal]):
    """US dollars as an exact `Decimal`, to nine places."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return NUMERIC where it is exact, a whole number of nano-dollars on SQLite."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(Numeric(20, 9))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """Round half to even at the ninth place; refuse what isn't a Decimal."""
        if value is None:
            return None
        if not isinstance(value, Decimal):
            raise TypeError(f"money must be a Decimal, got {value!r}")
        if dialect.name == "sqlite":
            return int((value * NANO_DOLLARS).to_integral_value(ROUND_HALF_EVEN))
        return value.quantize(SMALLEST_AMOUNT, ROUND_HALF_EVEN)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """Return dollars, whatever the database counts in."""
        if value is None:
            return None
        if dialect.name == "sqlite":
            return Decimal(value) / NANO_DOLLARS
        return Decimal(value)


class UtcTime(TypeDecorator[datetime]):
    """A point in time: always time zone aware, always UTC, to the microsecond."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return TIMESTAMP WITH TIME ZONE, or microseconds on SQLite."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Refuse a time without a zone: nobody could say later what it meant."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"time must carry its time zone, got {value!r}")
        if dialect.name == "sqlite":
            return (value - _EPOCH) // _MICROSECOND
        return value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Return the time in UTC."""
        if value is None:
            return None
        if dialect.name == "sqlite":
            return _EPOCH + timedelta(microseconds=int(value))
        moment: datetime = value
        return moment.astimezone(UTC)


JsonDocument = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
