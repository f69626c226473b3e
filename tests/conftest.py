"""What holds for every test, in the workspace and in the environments of the frameworks."""

from __future__ import annotations

import gc
import importlib.util
import io
import os
import runpy
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

STACK = "tests/stack"
# What takes longest, and mostly waits, begins first: the others compute beside it.
FIRST = (
    f"{STACK}/",
    "tests/unit/stack/test_stack_supervisor.py",
    "tests/unit/shim_delivery/test_outages.py",
)

# Modules and tests are made once and stay: nothing looks for garbage in them until all are there.
gc.disable()
gc.set_threshold(100_000, 50, 100)
# On a loaded machine tracing is slow, and the shim would rightly begin to sample what a test looks
# for. The tests of sampling say for themselves what they want.
os.environ.setdefault("MIDWATCH_ADAPTIVE_SAMPLING", "false")
# The programs of the stack are written in Go. Those that run for a second (helm, promtool) take a
# fifth less CPU when their memory may grow further before it is collected.
os.environ.setdefault("GOGC", "400")
# The rules' folder, which its tests put on the path, has tests of its own: `tests` means these.
if "tests" in sys.modules:
    sys.modules["tests"].__path__ = [str(Path(__file__).parent)]
# A shell that runs the tests in the background has them ignore interrupts, and with them all that
# they start: what tests interrupt would go on.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure() -> None:
    """Have clients of HTTP share what they trust: each reads all authorities, for 20 ms.

    Only what httpx and httpx2 make for themselves: who else asks may add to what it gets.
    """
    ssl.create_default_context = _once(ssl.create_default_context, "httpx._config")
    if importlib.util.find_spec("httpcore2"):
        import httpcore2

        httpcore2.default_ssl_context = _once(httpcore2.default_ssl_context, "httpx2._config")


def _once(make: Callable[..., ssl.SSLContext], caller: str) -> Any:
    """Give what makes contexts, which gives this caller the same again for the same."""

    @cache
    def made(_variables: tuple[str | None, ...], **named: Any) -> ssl.SSLContext:
        return make(**named)

    def asked(*arguments: Any, **named: Any) -> ssl.SSLContext:
        if arguments or sys._getframe(1).f_globals["__name__"] != caller:
            return make(*arguments, **named)
        return made((os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")), **named)

    return asked


@pytest.fixture
def frozen_heap() -> None:
    """Has `gc.collect()` look at what the test makes: all that a worker has takes it seconds."""
    gc.freeze()


@pytest.fixture
def run_module(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a module as `python -m` does, in this process, which has loaded what it needs.

    Another Python takes half a second before it has. What is to show how a process starts, ends or
    takes signals needs a process; of each command one test does.
    """

    def run(
        module: str, *arguments: object, answers: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        command = [module, *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", list(command))
        monkeypatch.setattr(sys, "stdin", io.StringIO(answers))
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        code: Any = 0
        try:
            runpy.run_module(module, run_name="__main__")
        except SystemExit as end:
            code = end.code or 0
        said = capsys.readouterr()
        return subprocess.CompletedProcess(command, code, said.out, said.err)

    return run


@pytest.hookimpl(optionalhook=True)  # The environments of the frameworks have no xdist.
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Leave what shares programs to one worker: each file, and the folder of the running stack."""
    from xdist.scheduler import LoadFileScheduling

    class BySharedPrograms(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return STACK if nodeid.startswith(f"{STACK}/") else super()._split_scope(nodeid)

    return BySharedPrograms(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest; all else stays in the order of folders."""
    items.sort(key=lambda item: not item.nodeid.startswith(FIRST))


def pytest_collection_finish() -> None:
    """Leave what was collected out of any look for garbage; looking first takes a second."""
    gc.freeze()
    gc.enable()
