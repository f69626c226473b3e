"""Servers started by `midwatch-run` are instrumented, and flush when they are stopped."""

from __future__ import annotations

import signal
import urllib.request

import pytest

from tests.free_ports import free_port


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310
            return response.status == 200
    except OSError:
        return False


FLASK_APP = "import flask\napp = flask.Flask('app')\n"
FLASK_APP += "app.post('/chat', endpoint='chat')(lambda: 'ok')\n"
FLASK_APP += "app.get('/healthz', endpoint='healthz')(lambda: 'ok')\n"
FASTAPI_APP = "import fastapi\napp = fastapi.FastAPI()\napp.post('/chat')(lambda: 'ok')\n"
FASTAPI_APP += "app.get('/healthz')(lambda: 'ok')\n"


@pytest.mark.parametrize(
    ("program", "command"),
    [
        (FASTAPI_APP, ["uvicorn", "app:app", "--port", "{port}"]),
        (FASTAPI_APP, ["uvicorn", "app:app", "--port", "{port}", "--workers", "2"]),
        (FLASK_APP, ["flask", "--app", "app", "run", "--port", "{port}"]),
        (FLASK_APP, ["waitress-serve", "--listen", "127.0.0.1:{port}", "app:app"]),
    ],
    ids=["uvicorn", "uvicorn workers", "flask", "waitress"],
)
def test_servers_are_instrumented_and_flush_when_they_are_stopped(
    midwatch_run, collector, tmp_path, wait_until, program, command
):
    port = free_port()
    (tmp_path / "app.py").write_text(program)
    process = midwatch_run(
        *(part.format(port=port) for part in command),
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        MIDWATCH_FLUSH_INTERVAL="3600",
        PYTHONPATH=str(tmp_path),
    )
    wait_until(lambda: answers(f"http://127.0.0.1:{port}/healthz") or process.poll() is not None)
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/chat", method="POST", headers={"X-Session-Id": "s1"}
    )
    urllib.request.urlopen(request, timeout=10).read()  # noqa: S310
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    wait_until(lambda: "chat.requests" in collector.metrics)
    assert "POST /chat" in collector.spans
    assert "turn.finished" in collector.events
    workers = int(command[-1]) if "--workers" in command else 1
    # Each worker is an instance of its own; who only watches over them imports no application.
    wait_until(lambda: len(collector.instances) == workers)
