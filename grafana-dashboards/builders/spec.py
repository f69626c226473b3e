"""What a board is, without a word of Grafana's schema.

Ids of panels are written by hand and never reused: alerts link to them (`viewPanel=21`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["timeseries", "stat", "table"]


@dataclass(frozen=True)
class Query:
    """A PromQL query. `exemplar` asks for traces beside it and needs a raw histogram."""

    expr: str
    legend: str = ""
    exemplar: bool = False


@dataclass(frozen=True)
class Panel:
    """A panel; it draws the threshold of its `alert`, or one of its own."""

    id: int
    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    kind: Kind = "timeseries"
    alert: str | None = None
    threshold: float | None = None
    minimum: float | None = 0
    width: int = 8
    height: int = 7
    no_value: str = "no traffic"
    links: tuple[tuple[str, str], ...] = ()
    hidden_columns: tuple[str, ...] = ()
    renamed_columns: tuple[tuple[str, str], ...] = ()
    column_units: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Row:
    """A titled row of panels."""

    id: int
    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Variable:
    """A variable with the values of a label; "All" matches series without that label, too."""

    name: str
    label: str
    query: str
    description: str


@dataclass(frozen=True)
class Board:
    """A board."""

    uid: str
    title: str
    description: str
    variables: tuple[Variable, ...]
    rows: tuple[Row, ...]

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All panels in reading order."""
        return tuple(panel for row in self.rows for panel in row.panels)
