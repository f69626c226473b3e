"""Whether a column's value is among many, in one parameter however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Text, any_, bindparam, column, func, select
from sqlalchemy.dialects.postgresql import ARRAY


def among(connection: Connection, wanted: Any, values: Sequence[str]) -> ColumnElement[bool]:
    """Return that the column, of texts, has one of the values."""
    if connection.dialect.name == "sqlite":
        listed = func.json_each(orjson.dumps(list(values)).decode()).table_valued(column("value"))
        condition: ColumnElement[bool] = wanted.in_(select(listed.c.value))
        return condition
    return wanted == any_(bindparam(None, list(values), ARRAY(Text)))  # type: ignore[no-any-return]
