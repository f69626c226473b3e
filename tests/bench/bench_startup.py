"""What Midwatch adds to the start of a process that imports none of its targets.

    python tests/bench/bench_startup.py [--runs 40] [--code CODE] [--variables NAME=VALUE ...]

Runs `python -c CODE` bare and under `midwatch-run`, in turns, and shows the median of the CPU time
(user and system) of each. Also shows the modules that cost most.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

BUDGET_MILLISECONDS = 150.0
WRAPPER = [str(Path(sys.executable).with_name("midwatch-run"))]


def cpu_milliseconds(command: Sequence[str], environ: dict[str, str]) -> float:
    """The CPU time of a command and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environ, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return used * 1000


def environments(home: str, variables: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """The environment without Midwatch and the one with it."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(
            ("OTEL_", "MIDWATCH_", "AGENT_", "LANGFUSE_", "LANGSMITH_", "PYTHON")
        )
    }
    bare = {**kept, "HOME": home}
    return bare, {**bare, **dict(pair.split("=", 1) for pair in variables)}


def slowest_imports(environ: dict[str, str], code: str, number: int = 12) -> list[str]:
    """The modules whose own import takes longest, from Python's own measurement."""
    done = subprocess.run(
        [*WRAPPER, sys.executable, "-X", "importtime", "-c", code],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split("|") for line in done.stderr.splitlines() if line.startswith("import time:")]
    timed = [(int(row[0].removeprefix("import time:")), row[2].strip()) for row in rows[1:]]
    return [
        f"{micro / 1000:7.1f} ms  {name}" for micro, name in sorted(timed, reverse=True)[:number]
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; 1 if the median is above the budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--code", default="pass", help="what the process does")
    parser.add_argument("--variables", nargs="*", default=[])
    given = parser.parse_args(arguments)
    command = [sys.executable, "-c", given.code]
    wrapped = [*WRAPPER, *command]
    with tempfile.TemporaryDirectory() as home:
        bare, with_variables = environments(home, given.variables)
        for warmed in (command, wrapped):
            cpu_milliseconds(warmed, with_variables)
        pairs = [
            (cpu_milliseconds(command, bare), cpu_milliseconds(wrapped, with_variables))
            for _ in range(given.runs)
        ]
        slowest = slowest_imports(with_variables, given.code)
    medians = [statistics.median(column) for column in zip(*pairs, strict=True)]
    added = medians[1] - medians[0]
    sys.stdout.write(
        f"bare {medians[0]:.1f} ms, with midwatch {medians[1]:.1f} ms, "
        f"added {added:.1f} ms of CPU (budget {BUDGET_MILLISECONDS:g} ms, {given.runs} runs)\n"
    )
    sys.stdout.write("\n".join(slowest) + "\n")
    return int(added > BUDGET_MILLISECONDS)


if __name__ == "__main__":
    raise SystemExit(main())
