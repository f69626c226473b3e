"""Every route there is, for every role and scope, in one's own project and in that of others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient
from midwatch_ledger.api.application import create_application
from midwatch_ledger.api.permissions import PERMISSIONS, PUBLIC, Permission
from midwatch_ledger.services import keys
from midwatch_ledger.services.keys import KeyWanted
from midwatch_ledger.services.roles import ROLES, SCOPES
from midwatch_ledger.settings import Settings
from midwatch_ledger.store.database import Database
from midwatch_ledger.store.migrate import migrate
from sqlalchemy import make_url

MINE, OTHERS = "shop", "bank"
COOKIE = "__Host-midwatch-session"


def declared_routes(application: Any) -> set[str]:
    """Give all routes of the application as the table of permissions writes them."""
    found = set()
    for route in iter_route_contexts(application.router.routes):
        methods = getattr(route, "methods", None) or {"WS"}
        path = getattr(route, "path", None)
        if path not in (None, "/openapi.json"):
            found |= {f"{method} {path}" for method in methods - {"HEAD"}}
    return found


@pytest.fixture(scope="module")
def closed(
    tmp_path_factory: pytest.TempPathFactory, answer_at_once: Callable[[TestClient], TestClient]
) -> Iterator[Any]:
    """Give a ledger that asks everybody."""
    folder = tmp_path_factory.mktemp("roles")
    (folder / "key").write_text("the-admin-key")
    url = f"sqlite:///{folder}/ledger.db"
    settings = Settings(
        database_url=url,
        api_key_file=folder / "key",
        rollup_seconds=3600,
        # Nobody asks each route once: that is more than anybody gets wrong in a minute.
        address_failures_per_minute=10_000,
    )
    database = Database(make_url(url))
    migrate(database)
    application = create_application(settings, database)
    client = TestClient(application, raise_server_exceptions=False, base_url="https://ledger")
    with answer_at_once(client) as one:
        yield one, database
    database.close()


def key_for(database: Any, scope: str, project: str | None) -> dict[str, str]:
    with database.writing() as connection:
        wanted = KeyWanted("test", (scope,), project)
        _, secret = keys.create(connection, wanted, "tester", datetime.now(UTC))
    return {"authorization": f"Bearer {secret}"}


@pytest.fixture
def person(closed: Any, log_in: Callable[..., Any]) -> Callable[..., dict[str, str]]:
    """Log somebody in with these roles by project; give what their browser sends."""

    def headers(**grants: str) -> dict[str, str]:
        login = log_in(closed[1], **grants)
        return {**login.cookie(COOKIE), "x-csrf-token": login.csrf}

    return headers


def guarded(client: Any) -> Iterator[tuple[str, Permission]]:
    """Give the routes over HTTP that ask who calls, with what they ask for."""
    for route in sorted(declared_routes(client.app) - PUBLIC):
        if not route.startswith("WS"):
            yield route, PERMISSIONS[route]


def ask(client: Any, route: str, headers: dict[str, str]) -> int:
    """Give the status with which the route answers a call that asks for nothing there is."""
    method, _, path = route.partition(" ")
    path = path.replace("{identifier}", "00000000-0000-4000-8000-000000000000")
    path = path.replace("{day}", "2026-11-20")
    while "{" in path:
        start, end = path.index("{"), path.index("}")
        path = f"{path[:start]}nothing{path[end + 1 :]}"
    # Where a page leads to asks for itself.
    answer = client.request(method, path, headers=headers, follow_redirects=False)
    return int(answer.status_code)


def test_every_route_declares_what_it_asks_for(closed: Any) -> None:
    client, _ = closed
    declared = set(PERMISSIONS) | PUBLIC

    assert declared_routes(client.app) - declared == set(), "declare it in api/permissions.py"


def test_nobody_gets_in_anywhere_but_where_nobody_is_asked(closed: Any) -> None:
    client, _ = closed
    answers = {route: ask(client, route, {}) for route, _ in guarded(client)}

    assert {status for status in answers.values()} == {401}
    assert len(answers) > 40
    for route in PUBLIC:
        assert ask(client, route, {}) != 401


def allowed_key(permission: Permission, scope: str, project: str | None) -> bool:
    if permission.reach == "self":
        return True
    if permission.reach == "everything" and project is not None:
        return False
    return scope == "admin" or scope in permission.scopes


def allowed_person(permission: Permission, role: str, everywhere: bool) -> bool:
    if permission.reach == "self":
        return True
    if permission.reach == "everything" and not everywhere:
        return False
    return ROLES.index(role) >= ROLES.index(permission.role)


@pytest.mark.parametrize("project", [None, MINE])
@pytest.mark.parametrize("scope", SCOPES)
def test_a_key_opens_what_its_scope_is_for_and_nothing_else(
    closed: Any, scope: str, project: str | None
) -> None:
    client, database = closed
    headers = key_for(database, scope, project)
    wrong = {}
    for route, permission in guarded(client):
        status = ask(client, route, headers)
        assert status != 401
        assert status < 500, route
        if (status != 403) != allowed_key(permission, scope, project):
            wrong[route] = status

    assert wrong == {}


@pytest.mark.parametrize("everywhere", [True, False])
@pytest.mark.parametrize("role", ROLES)
def test_a_person_may_do_what_the_role_allows_and_nothing_else(
    closed: Any, person: Callable[..., dict[str, str]], role: str, everywhere: bool
) -> None:
    client, _ = closed
    grants = {"every" if everywhere else MINE: role}
    headers, wrong = person(**grants), {}
    for route, permission in guarded(client):
        status = ask(client, route, headers)
        if route.endswith("/logout"):
            headers = person(**grants)
        assert status != 401
        assert status < 500, route
        if (status != 403) != allowed_person(permission, role, everywhere):
            wrong[route] = status

    assert wrong == {}


def test_somebody_without_any_role_may_only_ask_who_they_are(
    closed: Any, person: Callable[..., dict[str, str]]
) -> None:
    client, _ = closed
    headers = person()

    answers = {
        ask(client, route, headers)
        for route, permission in guarded(client)
        if permission.reach != "self"
    }

    assert answers == {403}
    assert client.get("/whoami", headers=headers).json()["grants"] == {}
