"""The ledger's board asks what its PostgreSQL can answer."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

BUILDERS = Path(__file__).resolve().parents[3] / "grafana-dashboards"
# The folder is no distribution: it holds the boards and the code that builds them.
if str(BUILDERS) not in sys.path:
    sys.path.insert(0, str(BUILDERS))

from builders import BOARDS, Panel  # noqa: E402  (the path is set just above)

PANELS = [
    pytest.param(panel, id=f"{board.uid}-{panel.id}")
    for board in BOARDS
    for panel in board.panels
    if panel.source == "ledger"
]
FROM, UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)


def as_grafana_asks(sql: str) -> str:
    """The query with Grafana's macros written out as its PostgreSQL source does."""
    between = rf"\1 BETWEEN '{FROM.isoformat()}' AND '{UNTIL.isoformat()}'"
    return re.sub(r"\$__timeFilter\((\w+)\)", between, sql)


@pytest.fixture(scope="module")
def connection(postgres: Any, migrated_template: str) -> Any:
    """A connection that can read a migrated ledger and nothing more."""
    url = make_url(postgres.create_database(migrated_template)).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False)) as opened:
        opened.read_only = True
        yield opened


def test_there_are_panels_on_the_ledger() -> None:
    assert len(PANELS) >= 8


@pytest.mark.parametrize("panel", PANELS)
def test_a_query_of_the_board_runs_and_keeps_to_the_time_shown(
    panel: Panel, connection: psycopg.Connection
) -> None:
    (query,) = panel.queries
    assert "$__timeFilter(" in query.expr
    assert "LIMIT" in query.expr
    cursor = connection.execute(as_grafana_asks(query.expr))
    columns = {column.name for column in cursor.description or []}
    assert cursor.fetchall() == []
    assert {name for name, _ in panel.column_units} <= columns
    assert not panel.link_column or panel.link_column in columns
