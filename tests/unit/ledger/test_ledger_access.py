"""The optional API key: every route but health asks for it, and nothing repeats it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

KEY = "mw-7f3a-secret"
OPEN = ["/healthz", "/readyz", "/metrics"]
WAY_IN = ["/login", "/login/callback"]


@pytest.fixture
def guarded(open_ledger: Callable[..., Any], sqlite_url: str, tmp_path: Path) -> Any:
    file = tmp_path / "key"
    file.write_text(KEY + "\n")
    return open_ledger(sqlite_url, api_key_file=file, address_failures_per_minute=10_000)


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer wrong"}, {"authorization": KEY}, {"authorization": "Bearer "}],
)
def test_every_route_but_health_refuses_who_has_no_key(
    guarded: Any, headers: dict[str, str]
) -> None:
    routes = guarded.client.get("/openapi.json").json()["paths"]
    asked = 0
    for path, methods in routes.items():
        if path in (*OPEN, *WAY_IN):
            continue
        for method in methods:
            answer = guarded.client.request(method, path, headers=headers)
            assert (path, method, answer.status_code) == (path, method, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
            asked += 1
    assert asked >= 10


def test_who_has_the_key_may_read_and_write(guarded: Any) -> None:
    guarded.client.headers["authorization"] = f"Bearer {KEY}"

    assert guarded.send(*guarded.otlp.turn()).status_code == 200
    assert guarded.tree()["span_count"] == 7


@pytest.mark.parametrize("path", OPEN)
def test_probes_and_scrapers_need_no_key(guarded: Any, path: str) -> None:
    assert guarded.client.get(path).status_code == 200


def test_the_key_is_in_no_log_and_no_answer(guarded: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    answers = [
        guarded.client.get("/monitoring/health", headers={"authorization": f"Bearer {given}"})
        for given in (KEY, KEY + "x")
    ]

    assert [answer.status_code for answer in answers] == [200, 401]
    assert KEY not in caplog.text
    assert all(KEY not in answer.text for answer in answers)
