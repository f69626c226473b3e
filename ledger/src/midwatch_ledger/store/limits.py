"""Statements that reach no further than the projects of whoever asks.

Every statement of a limited connection gets the condition on each table that carries a project,
wherever in it the table stands. What can't be limited is refused: forgetting is not possible.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Table, and_, false, or_
from sqlalchemy.sql import visitors
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.dml import Delete, Insert, Update
from sqlalchemy.sql.selectable import Alias, CompoundSelect, Join, Select

from midwatch_ledger.models import AlertHistory, Budget
from midwatch_ledger.models.boundary import DEFAULT_PROJECT

_ALERTS, _BUDGETS = str(AlertHistory.__tablename__), str(Budget.__tablename__)
# What is about all projects at once: whoever is limited sees none of it.
_OF_ALL_TOGETHER = frozenset(
    {"audit_log", "daily_reports", "dead_letters", "legal_holds", "projects", "repricings", "users"}
)
PROJECT_LABEL = "midwatch_project"


class OutsideProjectError(Exception):
    """What is to be written belongs to a project of others; `project` names it, None: to none."""

    def __init__(self, project: str | None) -> None:
        super().__init__(f"project {project!r} is not among those that may be written to")
        self.project = project


class UnlimitedStatementError(Exception):
    """The statement is of a kind that can't be limited to projects."""


def limited(statement: Executable, projects: frozenset[str]) -> Executable:
    """Return the statement with the condition on projects at every table that carries one.

    Raises:
        UnlimitedStatementError: it is no expression, or of a kind that isn't known here.
    """
    if isinstance(statement, Insert):
        return statement
    if not isinstance(statement, Select | CompoundSelect | Update | Delete):
        raise UnlimitedStatementError(
            f"a {type(statement).__name__} can't be limited to projects; write it as an expression"
        )

    def limit_select(found: Any) -> None:
        conditions = [
            condition
            for table in _tables(found.get_final_froms())
            for condition in _conditions(table, projects)
        ]
        # A visitor changes the copy that it is given; `where` would make another one.
        found._where_criteria += tuple(conditions)

    def limit_change(found: Any) -> None:
        found._where_criteria += tuple(_conditions(found.table, projects))

    copied: Executable = visitors.cloned_traverse(
        statement,
        {},
        {"select": limit_select, "update": limit_change, "delete": limit_change},
    )
    return copied


def check_insert(
    statement: Insert, rows: Iterable[Mapping[str, Any]], projects: frozenset[str]
) -> None:
    """Check that new rows are of these projects.

    Raises:
        OutsideProjectError: one is not.
        UnlimitedStatementError: the rows come from a query.
    """
    if statement.select is not None:
        raise UnlimitedStatementError("an INSERT from a query can't be limited to projects")
    if "project" not in statement.table.c:
        return
    for row in rows:
        project = row.get("project")
        if (project or DEFAULT_PROJECT) not in projects:
            raise OutsideProjectError(project)


def _tables(froms: Iterable[FromClause]) -> Iterator[Any]:
    for found in froms:
        if isinstance(found, Join):
            yield from _tables((found.left, found.right))
        elif isinstance(found, Table) or (
            isinstance(found, Alias) and isinstance(found.element, Table)
        ):
            yield found


def _conditions(table: Any, projects: frozenset[str]) -> Iterator[ColumnElement[bool]]:
    named: Any = table.element if isinstance(table, Alias) else table
    columns = table.c
    if named.name == _ALERTS:
        # An alert that names no project is about what all share.
        label = columns.labels[PROJECT_LABEL].as_string()
        yield or_(label.is_(None), label == "", label.in_(sorted(projects)))
    elif named.name == _BUDGETS:
        yield and_(columns.scope == "project", columns.scope_value.in_(sorted(projects)))
    elif named.name in _OF_ALL_TOGETHER:
        yield false()
    elif "project" in columns:
        allowed = columns.project.in_(sorted(projects))
        if DEFAULT_PROJECT in projects:
            allowed = or_(allowed, columns.project.is_(None), columns.project == "")
        yield allowed
