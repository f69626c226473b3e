"""What is injected, as a container would have it, and applications that know nothing of it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from injectable.cache import forget_old, kept_tree
from toolchain.programs import cache_folder

ROOT = Path(__file__).parents[3]
SILENT = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}


@pytest.fixture(scope="session")
def tree() -> Path:
    """The folder that pods get."""
    return kept_tree(ROOT)


@dataclass
class Receiver:
    """An OTLP/HTTP receiver that keeps what it gets; it answers chat completions as well."""

    url: str
    bodies: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def names(self, path: str, *steps: str) -> list[str]:
        """Names of spans or metrics, by the path and the keys that lead to them."""
        found: list[Any] = [body for at, body in self.bodies if at == path]
        for step in steps:
            found = [item for one in found for item in one.get(step, [])]
        return [one["name"] for one in found]

    def spans(self) -> list[str]:
        return self.names("/v1/traces", "resourceSpans", "scopeSpans", "spans")

    def metrics(self) -> list[str]:
        return self.names("/v1/metrics", "resourceMetrics", "scopeMetrics", "metrics")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            kept.bodies.append((self.path, body))
            answer = json.dumps(ANSWER if "chat" in self.path else {}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        kept = Receiver(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield kept
        server.shutdown()


ANSWER = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}
    ],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010},
}


@dataclass(frozen=True)
class Ended:
    """How a program ended, and what it said."""

    code: int
    output: str
    errors: str


@pytest.fixture
def variables(tree: Path, tmp_path: Path) -> dict[str, str]:
    """What a container's environment has after injection, before the pod says more."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": str(tree / "entry"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


@pytest.fixture
def run(variables: dict[str, str], tmp_path: Path) -> Callable[..., Ended]:
    """Runs a program of a container to its end, without exports unless something is said."""

    def ended(*command: object, **more: str) -> Ended:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=tmp_path,
            env={**variables, **SILENT, **more},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return ended


UV = Path(sys.executable).with_name("uv")


def install(python: Path, *packages: str) -> None:
    """Install packages as they are locked, unless a version is told."""
    told = {name.partition("==")[0] for name in packages if "==" in name}
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    lines = [line.rstrip(" \\") for line in lock.splitlines() if "==" in line[:80]]
    limits = python.parents[1].with_suffix(".txt")
    limits.write_text(
        "\n".join(
            line
            for line in lines
            if not line.startswith((" ", "#")) and line.partition("==")[0] not in told
        ),
        encoding="utf-8",
    )
    command = [str(UV), "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python)]
    subprocess.run([*command, "--constraints", str(limits), *packages], check=True, timeout=240)


def environment(folder: Path, *packages: str) -> Path:
    """The Python of a new environment with these packages."""
    subprocess.run(
        [UV, "venv", "--quiet", "--python", sys.executable, folder], check=True, timeout=240
    )
    python = folder / "bin" / "python"
    if packages:
        install(python, *packages)
    return python


@pytest.fixture(scope="session")
def new_environment(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes an environment with packages, and gives its Python."""
    return lambda *packages: environment(tmp_path_factory.mktemp("venv") / "venv", *packages)


@pytest.fixture(scope="session")
def bare(new_environment: Callable[..., Path]) -> Path:
    """The Python of an environment with nothing in it."""
    return new_environment()


@pytest.fixture(scope="session")
def shop() -> Path:
    """The Python of an application with agents and a server, and nothing of telemetry.

    It is kept for the next tests, as the folder that is injected: compiling it takes 5 s. Nobody
    may change what is in it.
    """
    packages = ("flask", "gunicorn", "langgraph", "langchain-openai")
    lock = (ROOT / "requirements.lock").read_bytes()
    made_of = f"{sys.version}\0{sys.executable}\0{packages}\0".encode() + lock
    kept = cache_folder() / "test-environments" / hashlib.sha256(made_of).hexdigest()[:16]
    kept.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{kept}.lock"):
        if not (kept / "complete").exists():
            shutil.rmtree(kept, ignore_errors=True)
            environment(kept, *packages)
            (kept / "complete").touch()
        Path(f"{kept}.lock").touch()
    forget_old(kept.parent, kept)
    return kept / "bin" / "python"


@pytest.fixture
def other_shop(shop: Path, tmp_path: Path) -> Callable[..., Path]:
    """Makes an environment as the shop's, but with packages of its own in it."""

    def make(*packages: str) -> Path:
        folder = tmp_path / "venv"
        # With what is compiled, which takes longer than the test.
        shutil.copytree(shop.parents[1], folder, symlinks=True, copy_function=os.link)
        install(folder / "bin" / "python", *packages)
        return folder / "bin" / "python"

    return make
