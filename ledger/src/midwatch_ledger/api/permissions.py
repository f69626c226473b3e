"""What each route asks of whoever calls it: one table. A route that isn't in it is for admins.

`reach` says whose rows it is about:
- `project`: the rows of the projects in which the caller has the role, and no others;
- `shared`: what all projects share; a role in one of them is enough;
- `everything`: the whole installation; the role must hold for every project;
- `ledger`: the ledger itself, no rows of anybody;
- `self`: the caller; who that is suffices.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from midwatch_ledger.services.roles import Role, Scope

Reach = Literal["project", "shared", "everything", "ledger", "self"]


@dataclass(frozen=True)
class Permission:
    """What a route asks for.

    Attributes:
        role: the least role of a person.
        scopes: a key needs one of them; `admin` always suffices.
        reach: whose rows it is about.
        own_content: it answers with nothing but what was sent to it: that needn't be hidden.
        audited: changes go into the audit log. Telemetry doesn't: it is the record itself.
        limited: calls are counted against the limits; ingest has its own back-pressure.
    """

    role: Role
    scopes: frozenset[Scope]
    reach: Reach = "project"
    own_content: bool = False
    audited: bool = True
    limited: bool = True


UNDECLARED = Permission("admin", frozenset(), "everything")

PUBLIC = frozenset(
    {
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
        "GET /console/console.css",
        "GET /login",
        "GET /login/callback",
        "GET /login/key",
        "POST /login/key",
    }
)
"""Routes that ask for nothing: probes, scrapers, and the way in."""


def _all(routes: Iterable[str], permission: Permission) -> dict[str, Permission]:
    return dict.fromkeys(routes, permission)


_INGEST = Permission(
    "admin", frozenset({"ingest"}), "project", own_content=True, audited=False, limited=False
)
_READ = Permission("viewer", frozenset({"read"}))
_READ_ALERTS = Permission("viewer", frozenset({"read", "alerts"}), "shared")
_ACT_ON_ALERTS = Permission("oncall", frozenset({"alerts"}), "shared")
_READ_PROMPTS = Permission("viewer", frozenset({"read", "prompts"}), "shared")
_READ_PRICES = Permission("viewer", frozenset({"read"}), "shared")
_ADMIN = Permission("admin", frozenset())
_ADMIN_OF_ALL = Permission("admin", frozenset(), "everything")
_SELF = Permission("viewer", frozenset(), "self")

PERMISSIONS: dict[str, Permission] = {
    **_all(("POST /v1/traces", "POST /v1/logs"), _INGEST),
    **_all(
        (
            "GET /execution-logs/executions",
            "GET /execution-logs/executions/{execution_id}",
            "GET /execution-logs/llm-calls",
            "GET /execution-logs/analytics/summary",
            "GET /monitoring/traces/{call_id}",
            "GET /monitoring/performance",
            "GET /monitoring/costs",
            "GET /monitoring/dashboard",
            "WS /monitoring/live",
            "GET /exports/executions",
            "GET /",
            "GET /console",
            "GET /console/sessions",
            "GET /console/sessions/{identifier:path}",
            "GET /exports/llm-calls",
            "GET /feedback",
            "GET /feedback/{identifier}",
            "GET /feedback/export",
            "GET /budgets",
            "GET /analytics/conversations",
            "GET /analytics/outcomes",
            "GET /analytics/trends",
            "GET /analytics/compare",
            "GET /analytics/bottlenecks",
            "GET /analytics/costs",
            "GET /analytics/recommendations",
            "GET /analytics/workflow-metrics",
            "GET /analytics/reports/{day}",
            "GET /experiments",
            "GET /experiments/{prompt}/{label}",
        ),
        _READ,
    ),
    "GET /monitoring/health": Permission("viewer", frozenset({"read"}), "ledger"),
    **_all(
        ("GET /monitoring/alerts", "GET /alerts/{identifier}", "GET /console/alerts/{identifier}"),
        _READ_ALERTS,
    ),
    "POST /alerts/webhook": Permission(
        "admin", frozenset({"alerts"}), "everything", audited=False, limited=False
    ),
    **_all(
        (
            "POST /alerts/{identifier}/acknowledge",
            "POST /alerts/{identifier}/withdraw",
            "POST /alerts/{identifier}/notes",
            "POST /console/alerts/{identifier}/acknowledge",
            "POST /console/alerts/{identifier}/withdraw",
            "POST /console/alerts/{identifier}/notes",
        ),
        _ACT_ON_ALERTS,
    ),
    "POST /feedback": Permission("viewer", frozenset({"feedback"}), "project", own_content=True),
    "PATCH /feedback/{identifier}": Permission("oncall", frozenset()),
    **_all(
        (
            "GET /prompts",
            "GET /prompts/{name}/versions",
            "GET /prompts/{name}/versions/{version}",
            "GET /prompts/{name}/diff",
            "GET /prompts/{name}/labels/{label}",
        ),
        _READ_PROMPTS,
    ),
    # What is added changes nothing before a label names it; labels decide what agents say.
    **_all(
        ("POST /prompts", "POST /prompts/{name}/versions"),
        Permission("admin", frozenset({"prompts"}), "everything"),
    ),
    "PUT /prompts/{name}/labels/{label}": _ADMIN_OF_ALL,
    "POST /prompts/{name}/labels/{label}/rollback": Permission("oncall", frozenset(), "everything"),
    "PUT /budgets": _ADMIN_OF_ALL,
    **_all(("GET /prices", "GET /prices/{name}/versions/{version}"), _READ_PRICES),
    **_all(
        (
            "POST /prices/{name}",
            "GET /repricings",
            "POST /repricings",
            "GET /repricings/{identifier}",
            "POST /repricings/{identifier}/cancel",
        ),
        _ADMIN_OF_ALL,
    ),
    **_all(
        ("PUT /experiments/{prompt}/{label}/guard", "DELETE /experiments/{prompt}/{label}/guard"),
        _ADMIN_OF_ALL,
    ),
    "DELETE /execution-logs/executions/{execution_id}": _ADMIN,
    "DELETE /sessions/{session_id}": _ADMIN,
    "DELETE /users/{user_hash}": _ADMIN,
    "GET /audit": _ADMIN_OF_ALL,
    **_all(("GET /projects", "PUT /projects/{name}"), _ADMIN_OF_ALL),
    **_all(("GET /holds", "POST /holds", "POST /holds/{identifier}/release"), _ADMIN_OF_ALL),
    **_all(("GET /whoami", "POST /logout", "POST /console/logout"), _SELF),
}
