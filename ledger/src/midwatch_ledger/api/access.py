"""What the caller may do here: decided before the route runs, for every route there is."""

from __future__ import annotations

from fastapi import WebSocketException
from starlette.requests import HTTPConnection

from midwatch_ledger.api.guard import SAFE_METHODS, address_of, limit_calls
from midwatch_ledger.api.permissions import PERMISSIONS, PUBLIC, UNDECLARED, Permission
from midwatch_ledger.api.problems import ProblemError
from midwatch_ledger.models.boundary import Boundary, Origin
from midwatch_ledger.services.roles import Principal
from midwatch_ledger.settings import Settings
from midwatch_ledger.store.auditing import subject_digest

_POLICY_VIOLATION = 1008


async def authorize(caller: HTTPConnection) -> None:
    """Let the route see and change what its caller may, or refuse.

    Raises:
        ProblemError: 403 not allowed, 429 too often.
        WebSocketException: the same, for a WebSocket.
    """
    route = route_name(caller)
    principal: Principal | None = getattr(caller.state, "principal", None)
    if route in PUBLIC:
        caller.state.boundary.projects = None
        return
    permission = PERMISSIONS.get(route, UNDECLARED)
    try:
        if principal is None:
            raise ProblemError(401, "this route asks who you are", {"WWW-Authenticate": "Bearer"})
        if permission.limited:
            limit_calls(caller, principal)
        _open(caller, principal, permission, route)
    except ProblemError as problem:
        if caller.scope["type"] == "websocket":
            raise WebSocketException(_POLICY_VIOLATION, problem.detail[:120]) from None
        raise


def only_project(caller: HTTPConnection) -> str | None:
    """Return the project that somebody is bound to, None where there is a choice."""
    projects = caller.state.boundary.projects
    return next(iter(projects)) if projects is not None and len(projects) == 1 else None


def route_name(caller: HTTPConnection) -> str:
    """Return the route as the table of permissions writes it; `WS` for a WebSocket."""
    method = "WS" if caller.scope["type"] == "websocket" else caller.scope["method"]
    path = getattr(caller.scope.get("route"), "path", "?")
    return f"{'GET' if method == 'HEAD' else method} {path}"


def _open(caller: HTTPConnection, principal: Principal, permission: Permission, route: str) -> None:
    """Widen the boundary of this request as far as the caller may see.

    Raises:
        ProblemError: 403.
    """
    settings: Settings = caller.app.state.settings
    boundary: Boundary = caller.state.boundary
    projects = _projects(principal, permission)
    boundary.projects = projects
    boundary.content = permission.own_content or _sees_content(settings, principal, projects)
    changes = caller.scope["type"] == "http" and caller.scope["method"] not in SAFE_METHODS
    if changes and permission.audited:
        boundary.origin = Origin(
            principal.name,
            route,
            _subject(caller),
            caller.state.request_id,
            address_of(caller),
        )


def _subject(caller: HTTPConnection) -> str:
    """Return what a change is about. What is deleted is to be forgotten: the log has its digest."""
    path: str = caller.scope["path"]
    return subject_digest(path.rpartition("/")[2]) if caller.scope["method"] == "DELETE" else path


def _projects(principal: Principal, permission: Permission) -> frozenset[str] | None:
    if permission.reach == "self":
        return frozenset()
    if principal.scopes is not None:
        if not principal.scopes & {*permission.scopes, "admin"}:
            needed = " or ".join(sorted({*permission.scopes, "admin"}))
            raise ProblemError(403, f"this key is not for that: it needs the scope {needed}")
        projects = principal.projects("viewer")
    else:
        projects = principal.projects(permission.role)
        if projects is not None and not projects:
            raise ProblemError(403, f"this needs the role {permission.role} in a project")
    if permission.reach == "everything" and projects is not None:
        raise ProblemError(
            403,
            f"this is about all projects: it needs the role {permission.role} for all of them, or "
            "a key that is not bound to a project",
        )
    return None if permission.reach == "ledger" else projects


def _sees_content(
    settings: Settings, principal: Principal, projects: frozenset[str] | None
) -> bool:
    """Return whether content is shown: only if it is in every project that is seen."""
    least = settings.content_role
    if least == "nobody":
        return False
    shown = principal.projects(least)
    return shown is None or (projects is not None and projects <= shown)
