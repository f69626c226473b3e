"""A ledger that runs in the process of the tests, with its client and its database."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

import httpx2
from fastapi.testclient import TestClient
from midwatch_ledger.api.application import create_application
from midwatch_ledger.settings import PREFIX, Settings
from midwatch_ledger.store.database import Database
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from sqlalchemy import Table, make_url, select

from tests.unit.ledger.ledger_databases import KnownDatabases
from tests.unit.ledger.ledger_telemetry import TRACE, Otlp

PROTOBUF = {"content-type": "application/x-protobuf"}


@dataclass
class Ledger:
    """A running ledger, its client and its database."""

    client: TestClient
    database: Database
    otlp: Otlp = field(default_factory=Otlp)

    def send(self, *spans: Span) -> Any:
        """Post the spans as protobuf."""
        return self.client.post(
            "/v1/traces", content=self.otlp.traces(*spans).SerializeToString(), headers=PROTOBUF
        )

    def send_events(self, *records: LogRecord) -> Any:
        """Post the log records as protobuf."""
        return self.client.post(
            "/v1/logs", content=self.otlp.logs(*records).SerializeToString(), headers=PROTOBUF
        )

    def tree(self, identifier: str = TRACE) -> Any:
        """Give the one trace of this name."""
        traces = self.client.get(f"/monitoring/traces/{identifier}").raise_for_status().json()
        (trace,) = traces["traces"]
        return trace

    def rows(self, table: Any) -> list[dict[str, Any]]:
        """Give all rows of a table."""
        columns: Table = table.__table__
        with self.database.reading() as connection:
            query = select(columns).order_by(*columns.primary_key.columns)
            return [dict(row) for row in connection.execute(query).mappings()]


_Setting = tuple[str, str]


@cache
def _settings(_environment: tuple[_Setting, ...], _given: tuple[_Setting, ...]) -> list[Settings]:
    """Give where the settings are that were read from this, once they were: reading takes 7 ms."""
    return []


def _settings_of(given: dict[str, Any]) -> Settings:
    environment = tuple(sorted(one for one in os.environ.items() if one[0].startswith(PREFIX)))
    read = _settings(environment, tuple(sorted((name, repr(one)) for name, one in given.items())))
    if not read:
        read.append(Settings(**given))
    return read[0]


class _AtOnce(httpx2.BaseTransport):
    """Has an application answer in one call of its loop: `TestClient` makes eight, half the time.

    Answers are whole before they are given: none of these tests reads one as it comes.
    """

    def __init__(self, client: TestClient) -> None:
        self._client = client
        self._asked = httpx2.ASGITransport(
            client.app, raise_app_exceptions=False, client=("testclient", 50000)
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Give the answer to the request."""
        request.read()
        with self._client._portal_factory() as portal:
            return portal.call(self._answer, request)

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self._asked.handle_async_request(request)
        body = b"".join([part async for part in cast(httpx2.AsyncByteStream, answer.stream)])
        stream = httpx2.ByteStream(body)
        return httpx2.Response(answer.status_code, headers=answer.headers, stream=stream)


def answer_at_once(client: TestClient) -> TestClient:
    client._transport = _AtOnce(client)
    return client


@contextmanager
def running_ledgers(known: KnownDatabases, migrated_file: Path) -> Iterator[Callable[..., Ledger]]:
    """Start ledgers in this process, with settings of choice; they end with the block."""
    opened: list[Ledger] = []

    def start(database_url: str, **settings: Any) -> Ledger:
        # Tests sum up when they say so; the ledger's own thread does at its start only.
        chosen = _settings_of({"database_url": database_url, "rollup_seconds": 3600, **settings})
        url = make_url(database_url)
        if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
            shutil.copy(migrated_file, str(url.database))
            known.note_migrated(database_url)
        database = known.open(database_url, chosen.database_timeout_seconds)
        client = TestClient(create_application(chosen, database), raise_server_exceptions=False)
        answer_at_once(client).__enter__()
        opened.append(Ledger(client, database))
        return opened[-1]

    yield start
    for ledger in opened:
        ledger.client.__exit__(None, None, None)
        known.close(ledger.database)


Ledgers = Callable[[], AbstractContextManager[Callable[..., Ledger]]]
