"""JSON answers: money as numbers, times in UTC, and parameters that several routes share."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import orjson
from fastapi import Query, Response
from pydantic import AfterValidator

# People write the calendar's ends for "always"; from these one can still count some years on.
_EARLIEST, _LATEST = datetime(3, 1, 1, tzinfo=UTC), datetime(9998, 1, 1, tzinfo=UTC)


def _utc(value: datetime) -> datetime:
    zoned = value.replace(tzinfo=UTC) if value.tzinfo is None else value
    return min(max(zoned, _EARLIEST), _LATEST).astimezone(UTC)


UtcQuery = Annotated[
    datetime | None,
    AfterValidator(lambda value: None if value is None else _utc(value)),
    Query(description="A time in ISO 8601; without a zone it is UTC."),
]
Limit = Annotated[int, Query(ge=1, le=500, description="The greatest number of records.")]
Offset = Annotated[int, Query(ge=0, le=10_000_000, description="How many records to skip.")]


def json_answer(content: Any, status: int = 200) -> Response:
    """Return `content` as JSON."""
    return Response(json_bytes(content), status_code=status, media_type="application/json")


def json_bytes(content: Any) -> bytes:
    """Return `content` as JSON."""
    return orjson.dumps(content, default=plain, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)


def plain(value: Any) -> Any:
    """Return what JSON has for a value that it doesn't know.

    Raises:
        TypeError: nothing.
    """
    if isinstance(value, Decimal):
        # Exact money lives in the database; JSON readers know only binary numbers.
        return float(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
