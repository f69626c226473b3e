"""The wheel, installed with nothing but what it declares, works; and it brings no server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.programs

REPOSITORY = Path(__file__).parents[3]
UV = Path(sys.executable).with_name("uv")
SERVERS = {
    "alembic",
    "fastapi",
    "flask",
    "gunicorn",
    "psycopg",
    "sqlalchemy",
    "starlette",
    "uvicorn",
    "waitress",
}
NATIVE_TRANSPORTS = {"grpcio", "protobuf", "requests", "urllib3"}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment that has the wheel and what it declares."""
    folder = tmp_path_factory.mktemp("wheel")
    run(UV, "build", "--quiet", "--wheel", REPOSITORY / "shim", "--out-dir", folder)
    run(UV, "venv", "--quiet", "--python", sys.executable, folder / "venv")
    (wheel,) = folder.glob("midwatch-*.whl")
    # Without the workspace's index of packages: only what the wheel declares, in locked versions.
    locked = REPOSITORY / "requirements.lock"
    python = folder / "venv" / "bin" / "python"
    run(UV, "pip", "install", "--quiet", "--python", python, "--constraints", locked, wheel)
    return folder / "venv" / "bin"


def run(*command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "MIDWATCH_", "AGENT_", "LANG", "PYTHON", "VIRTUAL_ENV"))
    }
    done = subprocess.run(
        command, env={**kept, **variables}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done


@pytest.fixture
def in_environment(alone: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a program of that environment, far from the workspace."""

    def start(program: str, *arguments: str, **variables: str):
        silent = {f"OTEL_{s}_EXPORTER": "none" for s in ("TRACES", "METRICS", "LOGS")}
        return run(alone / program, *arguments, HOME=str(tmp_path), **{**silent, **variables})

    return start


def test_it_installs_no_server_and_no_native_transport(in_environment):
    code = "import importlib.metadata as m; print(*(d.name.lower() for d in m.distributions()))"
    installed = set(in_environment("python", "-c", code).stdout.split())
    assert "midwatch" in installed
    assert not installed & SERVERS
    assert not installed & NATIVE_TRANSPORTS


def test_it_records_a_turn_and_loads_no_server(in_environment):
    done = in_environment(
        "python",
        "-c",
        "import json, sys, midwatch\n"
        "midwatch.init()\n"
        "with midwatch.turn('s1'), midwatch.agent('monitor'): midwatch.route('monitor')\n"
        "assert 'agent_turns_total' in midwatch.get_agent_telemetry().render_prometheus()\n"
        "print(json.dumps(sorted(sys.modules)))",
    )
    modules = set(json.loads(done.stdout.splitlines()[-1]))
    assert "opentelemetry.sdk.trace" in modules
    assert not modules & {*SERVERS, "typer"}


def test_midwatch_run_starts_a_program(in_environment, alone):
    done = in_environment(
        "midwatch-run",
        str(alone / "python"),
        "-c",
        "import opentelemetry.trace as t; print(type(t.get_tracer_provider()).__module__)",
    )
    assert done.stdout == "opentelemetry.sdk.trace\n"


def test_the_official_launcher_starts_a_program(in_environment, alone):
    done = in_environment(
        "opentelemetry-instrument",
        str(alone / "python"),
        "-c",
        "import opentelemetry.trace as t; print(type(t.get_tracer_provider()).__module__)",
        PATH=f"{alone}{os.pathsep}{os.environ['PATH']}",
    )
    assert done.stdout == "opentelemetry.sdk.trace\n"
    assert "midwatch: on" in done.stderr


def test_the_doctor_finds_it_well(in_environment):
    assert "midwatch" in in_environment("midwatch", "doctor", OTEL_SERVICE_NAME="night").stdout


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_without_protobuf_everything_is_encoded_all_the_same(in_environment, protocol):
    done = in_environment(
        "python",
        "-c",
        "import logging; logging.basicConfig(format='%(message)s')\n"
        "from midwatch.config import load_settings\n"
        "from midwatch.pipeline.destinations import destinations_from_environment\n"
        "from opentelemetry.sdk.trace import ReadableSpan\n"
        "from opentelemetry.trace import SpanContext\n"
        f"environ = {{'OTEL_EXPORTER_OTLP_PROTOCOL': {protocol!r},"
        " 'OTEL_EXPORTER_OTLP_ENDPOINT': 'http://127.0.0.1:9'}\n"
        "(found,) = destinations_from_environment(load_settings({}), environ).spans\n"
        "payload = found.encode([ReadableSpan('s', SpanContext(1, 2, False))])\n"
        "print(payload.content_type, payload.count, found.transport.send(payload, 2.0).reason)",
    )
    assert done.stdout.startswith("application/json 1 ")
    if protocol == "grpc":
        assert "install midwatch[grpc]" in done.stdout
    else:
        assert done.stderr.count("midwatch[protobuf] brings it") == 1
