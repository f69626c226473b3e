"""Fixtures of the doctor's tests: an environment, receivers that answer as told, the command."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from midwatch.doctor import Report, diagnose

from tests.free_ports import free_port


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment of a named service that exports nothing and has a spool of its own."""
    return {
        "HOME": str(tmp_path),
        "OTEL_SERVICE_NAME": "agent",
        "MIDWATCH_SPOOL_DIR": str(tmp_path / "spool"),
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }


@pytest.fixture
def look(environ: dict[str, str]) -> Callable[..., Report]:
    """Diagnoses the environment with some variables more, without a process of its own."""

    def diagnosed(options: dict[str, Any] | None = None, **variables: str) -> Report:
        given = {"self_test": False, "timeout_seconds": 60.0, **(options or {})}
        return diagnose({**environ, **variables}, **given)

    return diagnosed


@dataclass
class Receiver:
    """An HTTP server that answers every request as told."""

    url: str = ""
    status: int = 200
    body: bytes = b""
    delay_seconds: float = 0.0
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    told = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            told.requests.append((self.command, self.path, headers, body))
            time.sleep(told.delay_seconds)
            self.send_response(told.status)
            self.send_header("content-length", str(len(told.body)))
            self.end_headers()
            self.wfile.write(told.body)

        do_GET = answer  # noqa: N815 (the base class looks for this name)
        do_POST = answer  # noqa: N815

        def log_message(self, *args: object) -> None:
            """Keep quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: object, client_address: object) -> None:
            """The doctor may have gone away."""

    server = Server(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield told
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def closed_port() -> int:
    return free_port()


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """Pretends that distributions have other versions, None for not installed."""
    pretended: dict[str, str | None] = {}

    def version(distribution: str) -> str | None:
        if distribution in pretended:
            return pretended[distribution]
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            return None

    for module in ("libraries", "content"):
        monkeypatch.setattr(f"midwatch.doctor.{module}.installed_version", version)
    return pretended
