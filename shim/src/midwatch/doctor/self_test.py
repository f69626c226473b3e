"""A process of its own, started as `midwatch-run` does, that imports what is installed.

Run as a program (`python -m midwatch.doctor.self_test NAME ...`) it is that process: it imports the
libraries of these names and prints as JSON what became of them. Nothing leaves it.
"""

from __future__ import annotations

import importlib
import json
import logging
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from midwatch.doctor.report import Patient
from midwatch.run import environment

_SECONDS = 90.0
_MARK = "midwatch-self-test:"
_SILENT = {
    "OTEL_TRACES_EXPORTER": "none",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
    "OTEL_CONFIG_FILE": "",
    "MIDWATCH_SPOOL_MODE": "off",
    "AGENT_TRACE_JSONL_PATH": "",
    "LANGFUSE_ENABLED": "false",
    "LANGSMITH_TRACING": "false",
    # Errors are told in full: here they are those of instrumentors, and of no application.
    "MIDWATCH_CONTENT": "full",
}


@dataclass(frozen=True)
class SelfTest:
    """What the process saw: states by library, import errors by library, Midwatch's log lines.

    `problem` says why there is nothing to see, if so.
    """

    states: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    log: Sequence[str] = ()
    problem: str = ""
    remedy: str = ""

    def told_of(self, library: str) -> str:
        """What the log says of a library."""
        wanted = f"instrument.{library} failed ("
        lines = [line.partition(wanted)[2] for line in self.log if wanted in line]
        return " ".join(lines[0].rpartition("); ")[0].split()) if lines else ""


def run_self_test(patient: Patient, libraries: Sequence[str]) -> SelfTest:
    """Start the process and read what it saw."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__, *libraries],
            env=environment({**patient.environ, **_SILENT}),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        told = f"a process under midwatch-run took more than {_SECONDS:g} seconds to start"
        return SelfTest(problem=told, remedy="see what hangs: midwatch-run python -c pass")
    except OSError as error:
        return SelfTest(problem=f"no process can be started ({error})", remedy="see the error")
    lines = [line for line in done.stdout.splitlines() if line.startswith(_MARK)]
    if not lines:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        told = f"a process under midwatch-run ended with code {done.returncode} ({last})"
        return SelfTest(problem=told, remedy="see the rest: midwatch-run python -c pass")
    seen = json.loads(lines[-1].removeprefix(_MARK))
    if not seen["started"]:
        said = [line for line in done.stderr.splitlines() if "midwatch:" in line]
        told = f" ({said[0]})" if said else ""
        return SelfTest(
            problem=f"a process under midwatch-run did not start Midwatch{told}",
            remedy="see the rest: midwatch-run python -c pass",
        )
    return SelfTest(dict(seen["states"]), seen["errors"], seen["log"])


class _Lines(logging.Handler):
    """Keeps the messages of a logger."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message."""
        self.lines.append(record.getMessage())


def main(names: Sequence[str]) -> None:
    """Import the libraries, and print what became of them."""
    from midwatch import startup
    from midwatch.instrumentors.libraries import LIBRARIES
    from midwatch.instrumentors.states import STATES

    handler = _Lines()
    logging.getLogger("midwatch").addHandler(handler)
    errors: dict[str, str] = {}
    for library in LIBRARIES:
        if library.name in names:
            try:
                importlib.import_module(library.module)
            except BaseException as error:
                errors[library.name] = f"{type(error).__name__}: {error}"
    seen = {
        "started": startup._started is not None,
        "states": [each for each in STATES.known() if each[1] != "rival"],
        "errors": errors,
        "log": handler.lines,
    }
    sys.stdout.write(f"\n{_MARK}{json.dumps(seen)}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
