"""What a board is, without a word of Grafana's schema.

Ids of panels are written by hand and never reused: alerts link to them (`viewPanel=21`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["timeseries", "stat", "table", "traces"]

Source = Literal["prometheus", "tempo", "ledger"]
"""Who answers a panel's queries: in PromQL, in TraceQL, or the ledger's PostgreSQL in SQL."""


@dataclass(frozen=True)
class Query:
    """A query in its source's language. `exemplar` asks for traces and needs a raw histogram."""

    expr: str
    legend: str = ""
    exemplar: bool = False


@dataclass(frozen=True)
class Panel:
    """A panel; it draws the thresholds of the alerts that open it, or one of its own.

    `worse` says on which side of them things are bad. `links` are titles and URLs; those of a table
    hang on the column that `link_column` names.
    """

    id: int
    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    kind: Kind = "timeseries"
    source: Source = "prometheus"
    threshold: float | None = None
    worse: Literal["above", "below"] = "above"
    minimum: float | None = 0
    width: int = 8
    height: int = 7
    no_value: str = "no traffic"
    links: tuple[tuple[str, str], ...] = ()
    link_column: str = ""
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
class TextVariable:
    """A variable that a person types or a link fills in; empty at first."""

    name: str
    label: str
    description: str


@dataclass(frozen=True)
class Annotation:
    """Marks on every graph of a board: times at which a query has a result."""

    name: str
    expr: str
    title: str
    text: str
    color: str


@dataclass(frozen=True)
class Board:
    """A board."""

    uid: str
    title: str
    description: str
    variables: tuple[Variable | TextVariable, ...]
    rows: tuple[Row, ...]
    annotations: tuple[Annotation, ...] = ()

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All panels in reading order."""
        return tuple(panel for row in self.rows for panel in row.panels)

    @property
    def sources(self) -> tuple[Source, ...]:
        """Whom the board asks, Prometheus first."""
        asked = {panel.source for panel in self.panels}
        if self.annotations or any(isinstance(v, Variable) for v in self.variables):
            asked.add("prometheus")
        order: tuple[Source, ...] = ("prometheus", "tempo", "ledger")
        return tuple(source for source in order if source in asked)
