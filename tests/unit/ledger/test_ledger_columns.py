"""Columns that are found once for each kind of span."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from midwatch_ledger.services import reading
from midwatch_ledger.services.columns import Columns

READERS = {
    "agent": (reading.text, ("agent.name", "agent.id")),
    "tokens": (reading.count, ("tokens", "tokens.old")),
    "cost": (reading.amount, ("cost",)),
}
NAMES = sorted({name for _, names in READERS.values() for name in names} | {"something.else"})
COLUMNS = Columns(READERS)


@settings(max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from(NAMES), st.sampled_from(["", "a", "7", 7, -1, 0.1, True, None, ["a"]])
    )
)
def test_a_kind_that_was_seen_before_is_read_as_each_reader_reads_it(
    attributes: dict[str, Any],
) -> None:
    expected = {column: read(attributes, names) for column, (read, names) in READERS.items()}

    assert COLUMNS.read(attributes) == expected
    assert COLUMNS.read(dict(attributes)) == expected


@pytest.mark.parametrize("others", [0, 500])
def test_a_span_with_very_many_names_is_read_as_any_other(others: int) -> None:
    attributes = {**{f"other.{number}": number for number in range(others)}, "agent.id": "a-1"}

    assert COLUMNS.read(attributes) == {"agent": "a-1", "tokens": None, "cost": None}
