"""The declarative base: naming of constraints and the types that annotations stand for."""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, MetaData, Text, Uuid
from sqlalchemy.orm import DeclarativeBase

from midwatch_ledger.models.types import JsonDocument, Money, UtcTime

# Named constraints can be changed by later migrations on every database.
_NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(naming_convention=_NAMING)
    type_annotation_map = {  # noqa: RUF012 -- SQLAlchemy reads this name from the class
        str: Text(),
        int: BigInteger(),
        uuid.UUID: Uuid(),
        datetime: UtcTime(),
        Decimal: Money(),
        dict[str, Any]: JsonDocument,
        list[Any]: JsonDocument,
        Any: JsonDocument,
    }
