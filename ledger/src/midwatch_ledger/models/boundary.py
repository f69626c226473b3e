"""What the work in hand may see and change, and on whose behalf it is done.

Set once for a request, and obeyed wherever its queries are written: by the connection, which adds
the projects to every statement and notes every change, and by the types of columns that hold
content. Work that nobody asked for over HTTP (writing telemetry, summing up) has no boundary.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

DEFAULT_PROJECT = "default"
"""The project of whatever names none."""


@dataclass(frozen=True)
class Origin:
    """Who does something, and how: what the audit log says of a change."""

    actor: str
    action: str
    subject: str | None = None
    request_id: str | None = None
    address: str | None = None


@dataclass
class Boundary:
    """What may be seen and changed.

    Attributes:
        projects: their rows; None is all rows. Nothing, until somebody has decided.
        content: whether prompts, answers, inputs and comments are shown.
        origin: set where changes go into the audit log.
    """

    projects: frozenset[str] | None = frozenset()
    content: bool = False
    origin: Origin | None = None


_current: ContextVar[Boundary | None] = ContextVar("midwatch_ledger_boundary", default=None)


def current_boundary() -> Boundary | None:
    """Return the boundary of the work in hand, None when there is none."""
    return _current.get()


@contextmanager
def within(boundary: Boundary | None) -> Iterator[None]:
    """Work within a boundary, or with None without any, until the end of the block."""
    token = _current.set(boundary)
    try:
        yield
    finally:
        _current.reset(token)
