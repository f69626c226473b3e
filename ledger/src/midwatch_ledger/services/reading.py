"""Reading attributes that others wrote: each reader gives a value of its type, or None."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

_LARGEST_INTEGER = 2**63 - 1
_LARGEST_AMOUNT = Decimal(1_000_000_000)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Attributes = Mapping[str, Any]


def first(attributes: Attributes, names: Sequence[str]) -> Any:
    """Return the value of the first of `names` that is present and not empty."""
    for name in names:
        value = attributes.get(name)
        if value is not None and value != "":
            return value
    return None


def text(attributes: Attributes, names: Sequence[str]) -> str | None:
    """Return the value as text."""
    # `first`, written out: this is called for every column of every span.
    for name in names:
        value = attributes.get(name)
        if value is not None and value != "":
            return value if isinstance(value, str) else orjson.dumps(value).decode()
    return None


def count(attributes: Attributes, names: Sequence[str]) -> int | None:
    """Return a whole number from zero on; anything else isn't a count."""
    value = first(attributes, names)
    if value is None or isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = int(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number <= _LARGEST_INTEGER else None


def amount(attributes: Attributes, names: Sequence[str]) -> Decimal | None:
    """Return an amount of money from zero on.

    A float is read by its shortest decimal form, so that 0.1 means a tenth.
    """
    value = first(attributes, names)
    if value is None or isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() and 0 <= number <= _LARGEST_AMOUNT else None


def number(attributes: Attributes, names: Sequence[str]) -> float | None:
    """Return a number."""
    value = first(attributes, names)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def identifier(attributes: Attributes, names: Sequence[str]) -> uuid.UUID | None:
    """Return a UUID."""
    value = first(attributes, names)
    if value is None:
        return None
    try:
        return uuid.UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def document(attributes: Attributes, names: Sequence[str]) -> Any:
    """Return a structure, also where it was written as JSON text."""
    value = first(attributes, names)
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value


def moment(unix_nanoseconds: int) -> datetime:
    """Return the time in UTC, to the microsecond."""
    return _EPOCH + timedelta(microseconds=unix_nanoseconds // 1000)


def nanoseconds(moment: datetime) -> int:
    """Return the nanoseconds since 1970 at which the time's microsecond begins."""
    return (moment - _EPOCH) // _MICROSECOND * 1000


def milliseconds(start_unix_nanoseconds: int, end_unix_nanoseconds: int) -> int:
    """Return the whole milliseconds between two times."""
    return (end_unix_nanoseconds - start_unix_nanoseconds) // 1_000_000
