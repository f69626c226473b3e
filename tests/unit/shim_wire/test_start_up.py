"""What a process loads because it runs under Midwatch, and what that costs of the CPU.

`tests/bench/bench_startup.py` measures the cost closely and shows what it is made of.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SILENT = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}
HEAVY = (
    "asyncio",
    "email",
    "genai_prices",
    "google.protobuf",
    "grpc",
    "http.client",
    "httpx",
    "importlib.metadata",
    "logging",
    "opentelemetry",
    "packaging",
    "psutil",
    "requests",
    "ssl",
    "typer",
    "urllib3",
    "wrapt",
)
SERVERS = ("fastapi", "flask", "sqlalchemy", "starlette", "uvicorn", "werkzeug", "waitress")
NOT_BEFORE_IT_IS_NEEDED = (
    "anthropic",
    "genai_prices",
    "google.protobuf",
    "grpc",
    "http.client",
    "httpx",
    "langchain_core",
    "openai",
    "opentelemetry.exporter",
    "opentelemetry.proto",
    "requests",
    "typer",
    "urllib3",
)
LOADED = "import json, sys; print(json.dumps(sorted(sys.modules)))"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs code under `midwatch-run`, without an endpoint."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "MIDWATCH_", "AGENT_", "LANG", "PYTHON"))
    }
    wrapper = Path(sys.executable).with_name("midwatch-run")

    def start(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [wrapper, sys.executable, "-c", code],
            cwd=tmp_path,
            env={**kept, "HOME": str(tmp_path), **SILENT, **variables},
            capture_output=True,
            text=True,
            timeout=60,
        )

    return start


def loaded(done: subprocess.CompletedProcess[str]) -> set[str]:
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_a_process_that_imports_no_target_loads_nothing_of_telemetry(run):
    done = run(LOADED)
    modules = loaded(done)
    assert not modules & {*HEAVY, *SERVERS}
    ours = {name for name in modules if name.startswith("midwatch")}
    assert ours == {
        "midwatch",
        "midwatch.instrumentors",
        "midwatch.instrumentors.libraries",
        "midwatch.waking",
    }
    assert done.stderr == ""


def test_such_a_process_takes_less_than_150_ms_of_cpu_more(run):
    # A process that becomes another one keeps its CPU time.
    told = "import time; print(time.process_time())"
    bare, wrapped = [], []
    for _ in range(3):
        alone = subprocess.run([sys.executable, "-c", told], capture_output=True, check=True)
        bare.append(float(alone.stdout))
        wrapped.append(float(run(told).stdout))
    assert min(wrapped) - min(bare) < 0.150


def test_the_start_loads_no_server_and_nothing_that_is_not_needed_yet(run):
    modules = loaded(run("import midwatch; midwatch.init()\n" + LOADED))
    assert "opentelemetry.sdk.trace" in modules
    assert not modules & {*SERVERS, *NOT_BEFORE_IT_IS_NEEDED}


@pytest.mark.parametrize(
    "code",
    [
        "import requests",
        "import opentelemetry.trace",
        "from opentelemetry import metrics",
        "import midwatch; midwatch.turn",
    ],
)
def test_an_import_that_matters_starts_midwatch(run, code):
    done = run(f"{code}\n{LOADED}")
    assert "midwatch.startup" in loaded(done)
    assert done.stderr.count("midwatch: on") == 1


def test_what_wakes_is_instrumented_itself(run):
    done = run(
        "import requests, midwatch\n"
        "print(midwatch.get_agent_telemetry().render_prometheus())\n"
        "print(hasattr(requests.Session.send, '__wrapped__'))"
    )
    assert 'midwatch_instrumented{library="requests",state="active"} 1' in done.stdout, done.stderr
    assert done.stdout.endswith("True\n")


def test_a_module_that_the_start_has_imported_stays_one(run):
    """The first import of a program may be of what starting imports too."""
    done = run(
        "import opentelemetry.trace\n"
        "import opentelemetry, sys\n"
        "assert opentelemetry is sys.modules['opentelemetry']\n"
        "assert opentelemetry.__spec__.name == 'opentelemetry'\n"
        "print(type(opentelemetry.trace.get_tracer_provider()).__module__)"
    )
    assert done.stdout == "opentelemetry.sdk.trace\n", done.stderr


def test_asyncio_wakes_only_where_it_is_to_be_instrumented(run):
    assert "midwatch.startup" not in loaded(run("import asyncio\n" + LOADED))
    asked = run(
        "import asyncio\nasyncio.run(asyncio.sleep(0))\n" + LOADED,
        OTEL_PYTHON_ASYNCIO_COROUTINE_NAMES_TO_TRACE="sleep",
    )
    assert "midwatch.startup" in loaded(asked)


def test_a_target_that_is_not_installed_is_missing_as_before(run):
    done = run("import langchain_core.no_such_part")
    assert "ModuleNotFoundError: No module named 'langchain_core.no_such_part'" in done.stderr
    assert done.returncode == 1


def test_an_import_in_a_thread_wakes_too(run):
    done = run(
        "import threading\n"
        "worker = threading.Thread(target=lambda: __import__('requests'))\n"
        "worker.start(); worker.join()\n" + LOADED
    )
    assert "midwatch.startup" in loaded(done)


def foreign_instrumentation(folder: Path, entry_points: str | None) -> str:
    distribution = folder / "opentelemetry_instrumentation_django-0.66b1.dist-info"
    distribution.mkdir(parents=True)
    (distribution / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: opentelemetry-instrumentation-django\nVersion: 0.66b1\n"
    )
    if entry_points is not None:
        (distribution / "entry_points.txt").write_text(entry_points)
    return str(folder)


@pytest.mark.parametrize(
    ("entry_points", "at_once"),
    [
        ("[opentelemetry_instrumentor]\ndjango = no_such_module:Instrumentor\n", True),
        ("[console_scripts]\ndjango = no_such_module:main\n", False),
        (None, False),
    ],
)
def test_where_another_package_instruments_what_midwatch_does_not_know_it_starts_at_once(
    run, tmp_path, entry_points, at_once
):
    folder = foreign_instrumentation(tmp_path / "others", entry_points)
    modules = loaded(run(LOADED, PYTHONPATH=folder))
    assert ("midwatch.startup" in modules) is at_once


def test_a_start_that_fails_is_told_and_the_program_runs(run, tmp_path):
    broken = tmp_path / "broken" / "wrapt"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise RuntimeError('half an installation')\n")
    done = run("import requests; print('ran')", PYTHONPATH=str(broken.parent))
    assert done.stdout == "ran\n"
    assert "midwatch: not started (RuntimeError: half an installation)" in done.stderr
