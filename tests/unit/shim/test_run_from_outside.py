"""Programs started by `midwatch-run`, against a collector and without one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from importlib.metadata import entry_points

import pytest

from tests.free_ports import free_port

# Python runs a handler after its sleep where the signal comes just before it: so it sleeps briefly.
WAITING = "open('ready', 'w')\nfor _ in range(600):\n    time.sleep(0.1)\n"
WORK = """
import midwatch
with midwatch.turn("s1"), midwatch.agent("monitor"):
    midwatch.route("monitor")
"""


def test_spans_metrics_and_events_arrive(finished_run):
    collector = finished_run.collector
    assert finished_run.returncode == 0, finished_run.errors
    assert sorted(collector.spans) == ["agent.turn", "invoke_agent monitor"]
    assert collector.events == ["turn.started", "route.selected", "turn.finished"]
    assert {"agent.route", "agent.turns", "midwatch.spans", "midwatch.instrumented"} <= set(
        collector.metrics
    )
    assert collector.resources[0]["service.name"] == "worker"
    assert collector.resources[0]["midwatch.project"] == "blue"


def test_histograms_carry_exemplars_of_the_trace(finished_run):
    metrics = finished_run.collector.metrics
    (point,) = metrics["agent.invocation.latency"].histogram.data_points
    assert len(point.exemplars) == 1
    assert len(point.exemplars[0].trace_id) == 16


def test_one_line_says_what_is_active(finished_run):
    lines = finished_run.errors.splitlines()
    assert len([line for line in lines if "midwatch: on" in line]) == 1


def test_the_first_metrics_arrive_within_the_flush_interval(
    midwatch_run, collector, tmp_path, wait_until
):
    (tmp_path / "work.py").write_text(WORK + "import time; time.sleep(60)")
    midwatch_run(
        "python",
        "work.py",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        MIDWATCH_FLUSH_INTERVAL="200ms",
    )
    wait_until(lambda: collector.spans and "agent.route" in collector.metrics)


def test_nothing_is_lost_when_the_program_is_terminated(
    midwatch_run, collector, tmp_path, wait_until
):
    ready = tmp_path / "ready"
    (tmp_path / "work.py").write_text(WORK + "import time\n" + WAITING)
    process = midwatch_run(
        "python",
        "work.py",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        MIDWATCH_FLUSH_INTERVAL="3600",
    )
    wait_until(ready.exists)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM
    assert len(collector.spans) == 2
    assert collector.events[-1] == "turn.finished"
    assert "agent.route" in collector.metrics


def test_the_applications_own_sigterm_handler_still_runs(
    midwatch_run, collector, tmp_path, wait_until
):
    (tmp_path / "work.py").write_text(
        "import signal, sys, time\n"
        "def stop(*_):\n    print('stopped cleanly', flush=True)\n    sys.exit(7)\n"
        "signal.signal(signal.SIGTERM, stop)\n" + WORK + WAITING
    )
    process = midwatch_run("python", "work.py", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    wait_until((tmp_path / "ready").exists)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 7
    assert "stopped cleanly" in output
    assert len(collector.spans) == 2


def test_a_handler_that_was_there_before_init_is_called_after_it(
    environment, collector, tmp_path, wait_until
):
    (tmp_path / "work.py").write_text(
        "import signal, sys, time\n"
        "def stop(*_):\n    print('stopped cleanly', flush=True)\n    sys.exit(7)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "import midwatch\nmidwatch.init()\n" + WORK + WAITING
    )
    process = subprocess.Popen(
        [sys.executable, "work.py"],
        cwd=tmp_path,
        env={**environment, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url},
        stdout=subprocess.PIPE,
        text=True,
    )
    wait_until((tmp_path / "ready").exists)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 7
    assert "stopped cleanly" in output
    assert len(collector.spans) == 2


@pytest.fixture
def black_hole():
    """A port that accepts connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(50)
        yield server.getsockname()[1]


TIMED = (
    WORK
    + """
import time, atexit
atexit.register(lambda: print("exit began", time.time(), flush=True))
started = time.time()
for _ in range(300):
    with midwatch.turn("s1"), midwatch.agent("monitor"):
        midwatch.route("monitor")
print("worked", time.time() - started, flush=True)
"""
)


@pytest.mark.parametrize("kind", ["refused", "silent"])
def test_a_dead_collector_neither_slows_the_work_nor_delays_the_exit(
    midwatch_run, tmp_path, black_hole, kind
):
    port = black_hole if kind == "silent" else free_port()
    (tmp_path / "work.py").write_text(TIMED)
    process = midwatch_run(
        "python",
        "work.py",
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}",
        MIDWATCH_FLUSH_INTERVAL="100ms",
    )
    output, errors = process.communicate(timeout=60)
    ended = time.time()
    assert process.returncode == 0, errors
    told = {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in output.splitlines()}
    assert told["worked"] < 5
    assert ended - told["exit began"] < 3.5
    assert "Traceback" not in errors


def test_a_failing_instrumentor_does_not_take_the_others_with_it(midwatch_run, collector, tmp_path):
    (tmp_path / "requests").mkdir()
    (tmp_path / "requests" / "__init__.py").write_text("__version__ = '2.0'\n")
    (tmp_path / "work.py").write_text(
        "import requests, flask\n"
        "app = flask.Flask('app')\n"
        "app.post('/chat')(lambda: 'ok')\n"
        "app.test_client().post('/chat')\n"
        "import midwatch; print(midwatch.get_agent_telemetry().render_prometheus())\n"
    )
    process = midwatch_run(
        "python",
        "work.py",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_TRACES_EXPORTER="console",
        OTEL_METRICS_EXPORTER="none",
        OTEL_LOGS_EXPORTER="none",
        PYTHONPATH=str(tmp_path),
    )
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert 'midwatch_instrumented{library="requests",state="failed"} 1' in output
    assert 'midwatch_instrumented{library="flask",state="active"} 1' in output


DETECTORS = """
from opentelemetry.sdk.resources import Resource, ResourceDetector

class Lazy(ResourceDetector):
    def detect(self):
        import requests
        return Resource({"found.by": "detector"})

class Broken(ResourceDetector):
    def detect(self):
        raise RuntimeError("no such cloud")
"""


def test_a_resource_detector_that_imports_what_wakes_midwatch_does_not_hang_the_application(
    midwatch_run, collector, tmp_path
):
    (tmp_path / "detectors.py").write_text(DETECTORS)
    installed = tmp_path / "detectors-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: detectors\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(
        "[opentelemetry_resource_detector]\nlazy = detectors:Lazy\nbroken = detectors:Broken\n"
    )
    (tmp_path / "work.py").write_text(f"import requests\n{WORK}")
    process = midwatch_run(
        "python",
        "work.py",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_EXPERIMENTAL_RESOURCE_DETECTORS="broken,lazy",
        PYTHONPATH=str(tmp_path),
    )
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert collector.resources[0]["found.by"] == "detector"
    assert "a resource detector failed, and is left out: no such cloud" in errors


def test_the_applications_own_sitecustomize_still_runs(midwatch_run, collector, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "sitecustomize.py").write_text("import builtins; builtins.ours = 'kept'\n")
    (tmp_path / "work.py").write_text(WORK + "print(ours)\n")
    process = midwatch_run(
        "python",
        "work.py",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        PYTHONPATH=str(tmp_path / "own"),
    )
    output, errors = process.communicate(timeout=60)
    assert output.strip() == "kept", errors
    assert collector.spans


def test_wrong_settings_are_said_once_all_together_and_stop_nothing(
    midwatch_run, collector, tmp_path
):
    (tmp_path / "work.py").write_text(WORK)
    process = midwatch_run(
        "python",
        "work.py",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        MIDWATCH_CONTENT="everything",
        MIDWATCH_SAMPLE_RATIO="7",
    )
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert errors.count("MIDWATCH_CONTENT='everything'") == 1
    assert errors.count("MIDWATCH_SAMPLE_RATIO='7'") == 1
    assert collector.spans


def test_switched_off_it_does_nothing(midwatch_run, collector, tmp_path):
    (tmp_path / "work.py").write_text(WORK)
    process = midwatch_run(
        "python",
        "work.py",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        AGENT_OBSERVABILITY_ENABLED="false",
    )
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert not collector.spans
    assert not collector.metrics


def test_the_official_launcher_uses_our_distro(environment, collector, tmp_path):
    (tmp_path / "work.py").write_text(WORK)
    done = subprocess.run(
        ["opentelemetry-instrument", "python", "work.py"],
        cwd=tmp_path,
        env={
            **environment,
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_PYTHON_DISTRO": "midwatch",
            "OTEL_PYTHON_CONFIGURATOR": "midwatch",
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(collector.spans) == ["agent.turn", "invoke_agent monitor"]


def test_where_another_configurator_was_chosen_its_instrumentations_work_and_that_is_told(
    environment, tmp_path
):
    installed = tmp_path / "house-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: house\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(
        "[opentelemetry_configurator]\nhouse = house:Configurator\n"
    )
    (tmp_path / "house.py").write_text(
        "from opentelemetry.sdk._configuration import _OTelSDKConfigurator as Configurator\n"
    )
    (tmp_path / "work.py").write_text(
        "import requests\n"
        "try: requests.get('http://127.0.0.1:9')\n"
        "except requests.ConnectionError: print('asked')\n"
    )
    # One of them is enough to see, and the others take time to import.
    names = {one.name for one in entry_points(group="opentelemetry_instrumentor")}
    done = subprocess.run(
        ["opentelemetry-instrument", "python", "work.py"],
        cwd=tmp_path,
        env={
            **environment,
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": ",".join(names - {"requests"}),
            "PYTHONPATH": str(tmp_path),
            "OTEL_PYTHON_DISTRO": "midwatch",
            "OTEL_PYTHON_CONFIGURATOR": "house",
            "OTEL_TRACES_EXPORTER": "console",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "asked" in done.stdout
    assert '"name": "GET"' in done.stdout
    assert done.stderr.count("midwatch: not started: another configurator") == 1


@pytest.mark.parametrize(
    ("command", "code", "told"), [([], 2, "usage"), (["no-such-program"], 127, "on PATH")]
)
def test_a_wrong_call_says_what_is_right(environment, command, code, told):
    done = subprocess.run(
        ["midwatch-run", *command], env=environment, capture_output=True, text=True
    )
    assert done.returncode == code
    assert told in done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_workers_export_their_own_telemetry(midwatch_run, collector, tmp_path):
    (tmp_path / "work.py").write_text(
        WORK + "import os, sys\n"
        "pid = os.fork()\n"
        "with midwatch.agent('child' if pid == 0 else 'parent'): pass\n"
        "if pid: os.waitpid(pid, 0)\n"
        "sys.exit(0)\n"
    )
    process = midwatch_run("python", "work.py", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert sorted(collector.spans) == [
        "agent.turn",
        "invoke_agent child",
        "invoke_agent monitor",
        "invoke_agent parent",
    ]
    assert len({resource["service.instance.id"] for resource in collector.resources}) == 2


@pytest.mark.parametrize("imported", ["httpx", "httpx2"])
def test_both_http_clients_are_instrumented_whichever_comes_first(midwatch_run, imported):
    process = midwatch_run(
        "python",
        "-c",
        f"import {imported}, httpx, httpx2, midwatch\n"
        "for client in (httpx, httpx2):\n"
        "    assert hasattr(client.HTTPTransport.handle_request, '__wrapped__'), client\n"
        "print(midwatch.get_agent_telemetry().render_prometheus())",
        OTEL_TRACES_EXPORTER="none",
        OTEL_METRICS_EXPORTER="none",
        OTEL_LOGS_EXPORTER="none",
    )
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    for library in ("httpx", "httpx2"):
        assert f'midwatch_instrumented{{library="{library}",state="active"}} 1' in output
