"""Programs under `midwatch-run`, with a spool of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def environment(home: Path, **variables: str) -> dict[str, str]:
    """The environment of a program, without anything of the tester's own telemetry."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "MIDWATCH_", "AGENT_", "PYTHONPATH", "LANG"))
    }
    binaries = str(Path(sys.executable).parent)
    return {
        **kept,
        "PATH": f"{binaries}{os.pathsep}{kept['PATH']}",
        "HOME": str(home),
        "PYTHONPATH": str(home),
        "MIDWATCH_SPOOL_DIR": str(home / "spool"),
        # Whether all spans arrive must not depend on how busy the machine is.
        "MIDWATCH_ADAPTIVE_SAMPLING": "false",
        **variables,
    }


@contextmanager
def running(home: Path, *command: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """A command under `midwatch-run`; killed at the end of the block if it still runs."""
    process = subprocess.Popen(
        ["midwatch-run", *command],
        cwd=home,
        env=environment(home, **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def answers(url: str) -> str:
    """What a GET gives, or nothing."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310
            return str(response.read().decode())
    except OSError:
        return ""


def post(url: str) -> None:
    """A POST of nothing that is answered."""
    request = urllib.request.Request(url, method="POST", data=b"")  # noqa: S310
    with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310
        response.read()
