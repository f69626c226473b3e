"""Property tests over the OpenAPI document: no 500, and no answer that isn't documented."""

from __future__ import annotations

import copy
import re
import socket
import threading
from collections.abc import Iterator
from functools import cache
from typing import Any, cast

import httpx
import pytest
import requests
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from manifests.plan import repository_root
from midwatch_ledger.api.application import create_application
from midwatch_ledger.settings import Settings
from midwatch_ledger.store.database import Database
from midwatch_ledger.store.migrate import migrate
from schemathesis.checks import (
    content_type_conformance,
    load_all_checks,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.core.failures import FailureGroup
from sqlalchemy import make_url

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
KNOWN = {
    "call_id": "session-7",
    "execution_id": "0123456789abcdef0123456789abcdef",
    "name": "greeting",
    "prompt": "greeting",
    "version": "1",
    "label": "production",
    "day": "2026-11-18",
    "session_id": "session-7",
}
"""What parts of paths are called where there is something: random names find nothing."""

EXAMPLES = {"sqlite": 6, "postgresql": 2}
UNLIMITED = 1_000_000


@cache
def _document() -> dict[str, Any]:
    # Nothing connects before the application runs: the file is never made.
    database = Database(make_url("sqlite:///never-opened.db"))
    return create_application(Settings(), database).openapi()


# Every worker collects this: the document takes a second, the page that is made from it nothing.
PAGE = repository_root() / "docs/ledger/api.md"
OPERATIONS = re.findall(r"^### `(\w+ \S+)`$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    """Give connections that requests share: each of their own took longer than its answer."""
    with requests.Session() as kept:
        yield kept


@pytest.fixture(scope="module")
def operations() -> dict[str, Any]:
    """Give the operations of the document, by method and path."""
    load_all_checks()
    schema = cast(Any, schemathesis.openapi.from_dict(_document()))
    return {found.ok().label: found.ok() for found in schema.get_all_operations()}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def served(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[tuple[str, str]]:
    """Serve a ledger on each database; give which one, and where."""
    url = f"sqlite:///{tmp_path_factory.mktemp('openapi')}/ledger.db"
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres")
        url = server.create_database(request.getfixturevalue("migrated_template"))
    database = Database(make_url(url))
    migrate(database)
    chosen = Settings(
        database_url=url,
        rollup_seconds=3600,
        requests_per_minute=UNLIMITED,
        address_requests_per_minute=UNLIMITED,
        address_failures_per_minute=UNLIMITED,
    )
    application = create_application(chosen, database)
    running = uvicorn.Server(uvicorn.Config(application, log_config=None, access_log=False))
    # Only a socket that is told to be of TCP sends at once: others keep a body back for 40 ms.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        _fill(address)
        yield request.param, address
        running.should_exit = True
        thread.join()
    database.close()


def _fill(address: str) -> None:
    with httpx.Client(base_url=address, timeout=30) as client:
        client.post("/prompts", json={"name": "greeting", "by": "ada"}).raise_for_status()
        version = {"version": "1", "by": "ada", "template": "Hello."}
        client.post("/prompts/greeting/versions", json=version).raise_for_status()
        label = {"by": "ada", "version": "1"}
        client.put("/prompts/greeting/labels/production", json=label).raise_for_status()
        price = {"model": "gpt-*", "input_per_million": 1, "output_per_million": 2}
        document = {"version": "1", "prices": [price]}
        client.post("/prices/greeting", json=document).raise_for_status()
        client.post("/v1/traces", json=_TRACES).raise_for_status()


_TRACES = {
    "resourceSpans": [
        {
            "scopeSpans": [
                {
                    "spans": [
                        {
                            "traceId": KNOWN["execution_id"],
                            "spanId": "0123456789abcdef",
                            "name": "chat",
                            "startTimeUnixNano": "1795000000000000000",
                            "endTimeUnixNano": "1795000001000000000",
                            "attributes": [
                                {"key": key, "value": {"stringValue": value}}
                                for key, value in (
                                    ("gen_ai.operation.name", "chat"),
                                    ("gen_ai.request.model", "gpt-small"),
                                    ("session.id", KNOWN["session_id"]),
                                )
                            ],
                        }
                    ]
                }
            ]
        }
    ]
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_request_fails_or_is_answered_as_no_document_says(
    served: tuple[str, str],
    session: requests.Session,
    operations: dict[str, Any],
    operation: str,
) -> None:
    database, address = served

    @settings(
        max_examples=EXAMPLES[database],
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operations[operation].as_strategy(), known=st.booleans())
    def ask(case: Any, known: bool) -> None:
        if known:
            given_path = case.path_parameters or {}
            case.path_parameters = {
                name: KNOWN.get(name, value) for name, value in given_path.items()
            }
        case.call_and_validate(base_url=address, session=session, checks=CHECKS, timeout=30)

    ask()


def test_an_answer_that_is_not_documented_is_found(served: tuple[str, str]) -> None:
    document = copy.deepcopy(_document())
    del document["paths"]["/prompts/{name}/versions"]["get"]["responses"]["404"]
    operation = schemathesis.openapi.from_dict(document)["/prompts/{name}/versions"]["GET"]
    case = operation.Case(path_parameters={"name": "missing"})

    with pytest.raises(FailureGroup, match="Undocumented status code"):
        case.call_and_validate(base_url=served[1], checks=CHECKS, timeout=30)


def test_every_route_of_the_document_is_asked(operations: dict[str, Any]) -> None:
    assert len(operations) > 50
    assert sorted(operations) == sorted(OPERATIONS)
    assert operations.keys() >= {"POST /v1/traces", "POST /repricings"}
