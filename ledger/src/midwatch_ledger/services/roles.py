"""Who somebody is and what they may do: roles of people by project, scopes of keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

Role = Literal["viewer", "oncall", "admin"]
Scope = Literal["ingest", "read", "feedback", "prompts", "alerts", "admin"]
FileScope = Literal["ingest", "alerts", "admin"]
"""What a key from a file can be for."""

ROLES: Final[tuple[Role, ...]] = get_args(Role)
"""From the least to the most."""
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
EVERY_PROJECT: Final = "*"
"""The project of a grant that is for all of them."""


@dataclass(frozen=True)
class Principal:
    """Whoever calls.

    Attributes:
        name: for the audit log, such as `user:ada@example.com` or `key:collector`.
        grants: the role by project; `EVERY_PROJECT` is all.
        scopes: what a key is for; None is a person, whose roles decide.
        csrf_token: what unsafe requests of a browser must show; None where no cookie is used.
    """

    name: str
    grants: Mapping[str, Role]
    scopes: frozenset[Scope] | None = None
    csrf_token: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def projects(self, least: Role) -> frozenset[str] | None:
        """Return the projects in which somebody has at least the role; None is all of them."""
        found = {project for project, role in self.grants.items() if reaches(role, least)}
        return None if EVERY_PROJECT in found else frozenset(found)


def reaches(role: Role, least: Role) -> bool:
    """Return whether a role is at least another."""
    return ROLES.index(role) >= ROLES.index(least)


def role_of_key(scopes: frozenset[Scope]) -> Role:
    """Return the role that a key stands for, where a role decides: whether content is shown."""
    return "admin" if "admin" in scopes else "viewer"


def grants_of(
    groups: list[str], mapping: Mapping[str, Role | Mapping[str, Role]]
) -> dict[str, Role]:
    """Return the grants that groups bring together: in each project the greatest role."""
    grants: dict[str, Role] = {}
    for group in groups:
        given = mapping.get(group)
        if given is None:
            continue
        for project, role in ({EVERY_PROJECT: given} if isinstance(given, str) else given).items():
            present = grants.get(project)
            grants[project] = role if present is None or reaches(role, present) else present
    return grants
