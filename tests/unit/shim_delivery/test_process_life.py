"""However a process ends, what it recorded is not lost, and its end is not delayed."""

from __future__ import annotations

import signal
import subprocess
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler

import pytest
from midwatch.pipeline.spool import Spool
from midwatch.pipeline.spool_accounts import in_flight

from tests.free_ports import free_port

from .receiving import OtlpReceiver, eventually, receiving
from .running import answers, environment, post, running


@pytest.fixture
def collector():
    with receiving() as receiver:
        yield receiver


def variables(collector: OtlpReceiver, **more: str) -> dict[str, str]:
    # Nothing is sent before the end, so that it is the end that has to send it.
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "MIDWATCH_FLUSH_INTERVAL": "3600",
        "OTEL_METRICS_EXPORTER": "none",
        **more,
    }


WORK = "import midwatch\nwith midwatch.agent('monitor'): pass\n"
ENDINGS = {
    "normal": ("", 0),
    "exit": ("import sys; sys.exit(3)", 3),
    "exception": ("raise RuntimeError('a defect of the application')", 1),
    "interrupt": ("import os, signal; os.kill(os.getpid(), signal.SIGINT)", -signal.SIGINT),
    "terminate": ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
}


@pytest.mark.parametrize("how", ENDINGS)
def test_however_it_ends_its_spans_arrive(collector, tmp_path, how):
    ending, code = ENDINGS[how]
    (tmp_path / "work.py").write_text(WORK + ending + "\n")
    with running(tmp_path, "python", "work.py", **variables(collector)) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == code, output
    if not collector.spans:
        # The end waits for two seconds at most; on a machine that needs longer it was spooled.
        environ = environment(tmp_path, **variables(collector))
        subprocess.run(["midwatch", "replay"], env=environ, timeout=60, check=True)
    assert collector.spans == ["invoke_agent monitor"]


CHILDREN = """
import multiprocessing, midwatch, os
def work(name):
    with midwatch.agent(name): pass
def pooled(name):
    work(name)
    return os.getpid()
if __name__ == "__main__":
    work("parent")
    for method in ("fork", "forkserver", "spawn"):
        child = multiprocessing.get_context(method).Process(target=work, args=(method,))
        child.start()
        child.join()
    from concurrent.futures import ProcessPoolExecutor
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        pool.submit(pooled, "pooled").result()
    pid = os.fork()
    if pid == 0:
        work("forked")
        raise SystemExit
    os.waitpid(pid, 0)
"""


def test_children_of_all_kinds_send_their_own_spans_and_only_these(collector, tmp_path):
    (tmp_path / "work.py").write_text(CHILDREN)
    with running(tmp_path, "python", "work.py", **variables(collector)) as process:
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    names = ["fork", "forked", "forkserver", "parent", "pooled", "spawn"]
    assert sorted(collector.spans) == [f"invoke_agent {name}" for name in names]


def test_a_process_that_is_killed_loses_nothing_that_was_written_ahead(collector, tmp_path):
    collector.stop()
    (tmp_path / "work.py").write_text(
        "import midwatch, os, signal, time, pathlib\n"
        "for number in range(50):\n"
        "    with midwatch.agent(f'agent {number}'): pass\n"
        "while not list(pathlib.Path('spool').glob('lanes/*/traces/*/*.segment')):\n"
        "    time.sleep(0.02)\n"
        "time.sleep(0.5)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ahead = variables(collector, MIDWATCH_SPOOL_MODE="write-ahead", MIDWATCH_FLUSH_INTERVAL="200ms")
    with running(tmp_path, "python", "work.py", **ahead) as process:
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    collector.start()
    (tmp_path / "next.py").write_text(
        WORK + "import midwatch.startup, time\nmidwatch.startup._started.flush(20)\n"
    )
    with running(tmp_path, "python", "next.py", **ahead) as process:
        process.communicate(timeout=60)
    before = [f"invoke_agent agent {number}" for number in range(50)]
    assert collector.spans == [*before, "invoke_agent monitor"]
    sums = Spool(tmp_path / "spool", 1 << 20).accounts.sum()
    assert sums[("created", "none")] == 51
    assert in_flight(sums) == 0
    assert sums[("spooled", "none")] == sums[("replayed", "none")] >= 50


FLASK = """
import flask, os
app = flask.Flask("app")
@app.get("/pid")
def pid():
    return str(os.getpid())
@app.post("/chat")
def chat():
    return "ok"
"""
FASTAPI = """
import fastapi, os
app = fastapi.FastAPI()
@app.get("/pid")
def pid():
    return os.getpid()
@app.post("/chat")
def chat():
    return "ok"
"""
GUNICORN = ["gunicorn", "--bind", "127.0.0.1:{port}", "--workers", "2", "app:app"]


def hang(handler: BaseHTTPRequestHandler, path: str) -> bool:
    time.sleep(60)
    return True


def served(url: str, count: int) -> Counter[str]:
    """Requests to the chat, and how many each worker served of others."""
    workers: Counter[str] = Counter()
    for _ in range(count):
        post(f"{url}/chat")
        workers[answers(f"{url}/pid")] += 1
    return workers


@pytest.mark.parametrize(
    ("program", "command"),
    [
        (FLASK, [*GUNICORN, "--worker-class", "sync"]),
        (FLASK, [*GUNICORN, "--worker-class", "gthread", "--threads", "4", "--preload"]),
        (FASTAPI, ["uvicorn", "app:app", "--port", "{port}", "--workers", "2"]),
    ],
    ids=["gunicorn sync", "gunicorn threads preload", "uvicorn workers"],
)
def test_no_span_of_a_server_is_lost_when_it_is_stopped(collector, tmp_path, program, command):
    (tmp_path / "app.py").write_text(program)
    port = free_port()
    command = [part.format(port=port) for part in command]
    with running(tmp_path, *command, **variables(collector)) as process:
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: answers(f"{url}/pid") or process.poll() is not None)
        served(url, 12)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    eventually(lambda: collector.spans.count("POST /chat") >= 12, 10)
    assert collector.spans.count("POST /chat") == 12, output
    assert collector.events.count("turn.finished") == 12
    assert len(set(collector.span_ids)) == len(collector.span_ids)


def test_no_span_is_lost_when_uvicorn_reloads(collector, tmp_path):
    (tmp_path / "app.py").write_text(FASTAPI)
    port = free_port()
    command = ["uvicorn", "app:app", "--port", str(port), "--reload", "--reload-delay", "0.1"]
    with running(tmp_path, *command, **variables(collector)) as process:
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: answers(f"{url}/pid"))
        (first,) = served(url, 5)
        (tmp_path / "app.py").write_text(FASTAPI + "\n# changed\n")
        eventually(lambda: answers(f"{url}/pid") not in ("", first))
        served(url, 5)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    eventually(lambda: collector.spans.count("POST /chat") >= 10, 10)
    assert collector.spans.count("POST /chat") == 10


def test_a_hanging_collector_delays_the_stop_of_gunicorn_by_no_more_than_is_allowed(
    collector, tmp_path
):
    collector.behave = hang
    (tmp_path / "app.py").write_text(FLASK)
    port = free_port()
    command = [part.format(port=port) for part in GUNICORN]
    with running(tmp_path, *command, **variables(collector)) as process:
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: answers(f"{url}/pid"))
        served(url, 4)
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert time.monotonic() - begun < 8
    collector.behave = lambda handler, path: False
    (tmp_path / "next.py").write_text(
        "import midwatch.startup; midwatch.startup._started.flush(20)\n"
    )
    with running(tmp_path, "python", "next.py", **variables(collector)) as process:
        process.communicate(timeout=60)
    assert collector.spans.count("POST /chat") == 4
