"""Request bodies that can't be taken: each is a problem that names the remedy."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("headers", "content", "status", "told"),
    [
        ({"content-type": "text/plain"}, b"x", 415, "send application/x-protobuf"),
        ({**PROTOBUF, "content-encoding": "br"}, b"x", 415, "send gzip"),
        (PROTOBUF, b"\xff\xff", 400, "not a protobuf ExportTraceServiceRequest"),
        (JSON, b"{", 400, "not JSON"),
        (JSON, b"[]", 400, "not an object"),
        ({**PROTOBUF, "content-encoding": "gzip"}, b"plain", 400, "not gzip"),
        (
            {**PROTOBUF, "content-encoding": "gzip"},
            gzip.compress(b"a" * 90, mtime=0)[:-9],
            400,
            "ends too early",
        ),
    ],
)
def test_a_body_that_cannot_be_read_is_a_problem_with_the_remedy(
    open_ledger: Any, sqlite_url: str, headers: Any, content: bytes, status: int, told: str
) -> None:
    answer = open_ledger(sqlite_url).client.post("/v1/traces", content=content, headers=headers)

    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )
    assert told in answer.json()["detail"]


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_body_larger_than_allowed_is_refused(
    open_ledger: Any, sqlite_url: str, encoding: str
) -> None:
    ledger = open_ledger(sqlite_url, max_body_bytes=2048)
    body = b"\x00" * 1_000_000
    content = gzip.compress(body, mtime=0) if encoding == "gzip" else body

    answer = ledger.client.post(
        "/v1/traces", content=content, headers={**PROTOBUF, "content-encoding": encoding}
    )

    assert answer.status_code == 413
    assert "MIDWATCH_LEDGER_MAX_BODY_BYTES" in answer.json()["detail"]
