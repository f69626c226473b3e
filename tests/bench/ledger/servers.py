"""The servers that take spans: ours and the peers, each as a process tree that is watched."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from frameworks.environments import Environment

PEERS = Path(__file__).parent / "peers"
READY_SECONDS = 600.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Contestant:
    """How a server is started and what it is asked.

    Attributes:
        name: how tables call it.
        command: the program and its arguments; `{port}` and `{folder}` are filled in.
        variables: its environment, filled in as the command.
        ready: the path that answers 200 when it can take spans.
        headers: what it wants in a request besides.
        database: its SQLite file in the folder.
        count: the statement that counts the spans that a reader would find.
    """

    name: str
    command: Callable[[], list[str]]
    variables: Mapping[str, str]
    ready: str
    headers: Mapping[str, str] = field(default_factory=dict)
    database: str = "ledger.db"
    count: str = "SELECT count(*) FROM spans"


def _of_peer(name: str, program: str, *arguments: str) -> Callable[[], list[str]]:
    def command() -> list[str]:
        environment = Environment(f"bench-{name}", PEERS / name)
        environment.make()
        return [str(environment.python.with_name(program)), *arguments]

    return command


MIDWATCH = Contestant(
    "midwatch",
    lambda: [str(Path(sys.executable).with_name("midwatch-ledger")), "serve"],
    {
        "MIDWATCH_LEDGER_LISTEN": "127.0.0.1:{port}",
        "MIDWATCH_LEDGER_DATABASE_URL": "sqlite:///{folder}/ledger.db",
    },
    "/readyz",
)
MLFLOW = Contestant(
    "mlflow",
    _of_peer(
        *("mlflow", "mlflow", "server", "--host", "127.0.0.1", "--port", "{port}"),
        *("--backend-store-uri", "sqlite:///{folder}/ledger.db"),
        *("--artifacts-destination", "{folder}/artifacts"),
    ),
    {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"},
    "/health",
    {"x-mlflow-experiment-id": "0"},
)
PHOENIX = Contestant(
    "phoenix",
    _of_peer("phoenix", "phoenix", "serve"),
    {
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": "{port}",
        "PHOENIX_GRPC_PORT": "{other_port}",
        "PHOENIX_WORKING_DIR": "{folder}",
        "PHOENIX_TELEMETRY_ENABLED": "false",
        "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
    },
    "/healthz",
    database="phoenix.db",
)
CONTESTANTS = {one.name: one for one in (MIDWATCH, MLFLOW, PHOENIX)}


class Server:
    """A contestant that runs, in a folder of its own; `seconds_to_ready` says how soon it did."""

    def __init__(
        self, contestant: Contestant, folder: Path, variables: Mapping[str, str] | None = None
    ) -> None:
        self.contestant = contestant
        self.folder = folder
        filled = {"port": str(free_port()), "other_port": str(free_port()), "folder": str(folder)}
        self.url = f"http://127.0.0.1:{filled['port']}"
        command = [part.format(**filled) for part in contestant.command()]
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        named = {**contestant.variables, **(variables or {})}
        began = time.monotonic()
        with (folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                env={
                    **kept,
                    "HOME": str(folder),
                    **{name: value.format(**filled) for name, value in named.items()},
                },
                stdout=log,
                stderr=log,
                cwd=folder,
            )
        self._wait()
        self.seconds_to_ready = time.monotonic() - began

    def _wait(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with suppress(httpx.TransportError):
                if httpx.get(self.url + self.contestant.ready, timeout=5).status_code == 200:
                    return
            time.sleep(0.02)
        self.close()
        said = (self.folder / "log").read_text(errors="replace")[-2_000:]
        raise RuntimeError(f"{self.contestant.name} did not become ready: {said}")

    def visible(self) -> int:
        """Return how many spans a reader of its database finds."""
        path = self.folder / self.contestant.database
        with suppress(sqlite3.OperationalError):
            connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
            try:
                return int(connection.execute(self.contestant.count).fetchone()[0])
            finally:
                connection.close()
        return 0

    def cpu_seconds(self) -> float:
        """Return the CPU time of the process and all that it started, user and system."""
        return cpu_seconds(self.process.pid)

    def kill(self) -> None:
        """End it as a crash would, with all that it started."""
        for process in tree(self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(process, 9)
        self.process.wait()

    def close(self) -> None:
        """End it in order; by force if it doesn't."""
        started = tree(self.process.pid)
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for process in started:
            with suppress(ProcessLookupError):
                os.kill(process, 9)

    def disk_bytes(self) -> int:
        """Return the size of its database; after `close`, when nothing waits beside it."""
        return (self.folder / self.contestant.database).stat().st_size


class MemoryWatch:
    """Follows the memory of a process tree (proportional set size); `peak` is in bytes."""

    def __init__(self, pid: int) -> None:
        self.peak = 0
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop following."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.25):
            self.peak = max(self.peak, sum(_memory_of(process) for process in tree(self._pid)))


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and of all that it started, user and system."""
    return sum(_cpu_of(process) for process in tree(pid))


def tree(pid: int) -> list[int]:
    """Return the process and all its descendants that live."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        waiting.extend(children.get(found[-1], ()))
    return found


def free_port() -> int:
    """Return a port that nothing listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _cpu_of(pid: int) -> float:
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        # User and system time, and those of its children that have ended.
        return sum(int(fields[place]) for place in (11, 12, 13, 14)) / _TICKS
    return 0.0


def _memory_of(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
